# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest

from components.causes import Severity
from components.findings import Verdict
from components.guarded_trainer.rules.diagnosis import diagnose
from components.guarded_trainer.rules.facts import LayerFacts
from components.records.training import Recalibration, Remedy


@pytest.fixture(scope="session")
def judged():
    """Diagnoses a training whose last epoch was kept."""

    def judge(facts, epochs, **options):
        arguments = {"best_epoch": None, "stopped_because": "all epochs were trained"}
        return Verdict.of(diagnose(facts, epochs, **(arguments | options)))

    return judge


def blocking(verdict):
    return [finding.cause for finding in verdict.blocking]


def remarks(verdict):
    return {(f.severity, f.cause) for f in verdict.findings if not f.blocks}


RATE_REMEDY = Remedy(
    action="lower_learning_rate",
    cause="learning_rate_too_high",
    rule="LossDivergence",
    epoch=2,
    back_to_epoch=-1,
    message="The loss is 50: the rate was lowered.",
)


def test_healthy_training_has_nothing_said_of_it(judged, facts, learning):
    assert judged(facts(), learning()).findings == ()


def test_nothing_learnt_without_a_symptom_is_no_signal(judged, facts, failing):
    verdict = judged(facts(), failing(8))
    assert blocking(verdict) == ["no_signal"]
    (finding,) = verdict.blocking
    assert "50.0% on fitted rows" in finding.message
    assert "all epochs were trained" in finding.message
    assert finding.measured == pytest.approx(0.0, abs=1e-3)
    assert finding.limit == 0.1


@pytest.fixture(scope="session")
def readings(layer, guessing):
    """Readings of failing trainings, by the symptom that they show."""
    still = [layer(name, update_ratio=0.0) for name in ("first", "last")]
    slow = [layer(name, update_ratio=1e-6) for name in ("first", "last")]
    fast = [layer(name, update_ratio=2.0) for name in ("first", "last")]
    quiet = layer("first", gradient_norm=1e-9, gradient_mean=1e-12)
    return {
        "still": guessing(*still),
        "slow": guessing(*slow),
        "fast": guessing(*fast),
        "vanished": guessing(quiet, layer("last")),
        "dead": guessing(layer("first", dead_share=1.0), layer("last")),
        "flat": guessing(layer("first", saturated_share=1.0), layer("last")),
        "zero": guessing(layer("first", weight_norm=0.0), layer("last")),
        "exploded": guessing(layer("first", gradient_norm=1e5), layer("last")),
        "nan": guessing(layer("first", not_finite=("weights",)), layer("last")),
        "one class": guessing(predicted_shares=(0.0, 1.0), recalls=(0.0, 1.0)),
        "constant": guessing(output_spread=0.0),
        "uneven": guessing(
            true_shares=(0.9, 0.1),
            recalls=(1.0, 0.0),
            inference_accuracy=0.9,
            training_accuracy=0.9,
            inference_loss=0.33,
            training_loss=0.33,
        ),
    }


@pytest.mark.parametrize(
    ("seen", "at_start", "cause"),
    [
        ("still", False, "unchanged_weights"),
        ("slow", False, "learning_rate_too_low"),
        ("fast", False, "learning_rate_too_high"),
        ("vanished", True, "vanishing_gradient"),
        ("vanished", False, "vanishing_gradient"),
        ("dead", True, "dead_relu"),
        ("dead", False, "dead_relu"),
        ("flat", True, "saturated_activation"),
        ("flat", False, "saturated_activation"),
        ("zero", True, "poor_initialization"),
        ("exploded", True, "exploding_gradient"),
        ("nan", False, "not_a_number"),
        ("one class", False, "collapse"),
        ("constant", False, "constant_output"),
    ],
)
def test_symptom_explains_why_nothing_was_learnt(
    judged, facts, failing, readings, seen, at_start, cause
):
    known = facts(initial=readings[seen]) if at_start else facts()
    verdict = judged(known, failing(8, probe=readings[seen]))
    assert blocking(verdict) == [cause]


def test_readings_that_are_rare_count_all_the_same(judged, facts, failing, readings):
    unseen = failing(9, probe=None)
    seen = failing(1, probe=readings["slow"])
    verdict = judged(facts(), seen + unseen + seen)
    assert blocking(verdict) == ["learning_rate_too_low"]


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"num_trainable": 0}, "frozen_model"),
        ({"input_scale": 100.0}, "unscaled_input"),
        (
            {
                "layers": (
                    LayerFacts("first", "Dense", trainable=True, identical_units=True),
                    LayerFacts("last", "Dense", trainable=True),
                )
            },
            "poor_initialization",
        ),
        (
            {
                "layers": (
                    LayerFacts("first", "Dense", None, 900),
                    LayerFacts("last", "Dense", None, 100, trainable=True),
                )
            },
            "frozen_model",
        ),
    ],
    ids=["nothing-trainable", "unscaled", "alike", "frozen"],
)
def test_fact_explains_why_nothing_was_learnt(judged, facts, failing, fields, cause):
    assert blocking(judged(facts(**fields), failing())) == [cause]


def test_last_layer_may_start_at_zero(judged, facts, failing, guessing, layer):
    zero = guessing(layer("first"), layer("last", weight_norm=0.0))
    verdict = judged(facts(initial=zero), failing())
    assert blocking(verdict) == ["no_signal"]


def test_frozen_dead_base_is_frozen_rather_than_dead(judged, facts, failing, readings):
    layers = (
        LayerFacts("first", "Dense", "relu", 900),
        LayerFacts("last", "Dense", None, 100, trainable=True),
    )
    known = facts(layers=layers, initial=readings["dead"])
    verdict = judged(known, failing(probe=readings["dead"]))
    assert blocking(verdict) == ["frozen_model"]


def test_neglected_rare_class_explains_guessing(judged, facts, failing, readings):
    uneven = facts(class_counts=(900, 80), held_out_counts=(180, 16))
    epochs = failing(probe=readings["uneven"], accuracy=0.918, held_out_accuracy=0.918)
    assert blocking(judged(uneven, epochs)) == ["class_imbalance"]


def test_diverged_loss_names_the_rate_before_what_it_left(
    judged, facts, failing, readings
):
    epochs = failing(8, loss=20.0, probe=readings["dead"])
    verdict = judged(facts(), epochs)
    assert blocking(verdict) == ["learning_rate_too_high"]
    assert (Severity.WARN, "dead_relu") in remarks(verdict)


def test_what_a_remedy_answered_explains_a_failure(judged, facts, failing):
    verdict = judged(facts(), failing(), remedies=[RATE_REMEDY])
    assert blocking(verdict) == ["learning_rate_too_high"]
    assert "The loss is 50" in verdict.blocking[0].message


def test_remedy_that_helped_blocks_nothing(judged, facts, learning):
    assert judged(facts(), learning(), remedies=[RATE_REMEDY]).passed


@pytest.mark.parametrize("level", ["learning", "failing"])
def test_training_without_good_weights_is_lost(judged, facts, request, level):
    epochs = request.getfixturevalue(level)(3, loss=math.nan)
    verdict = judged(facts(), epochs)
    assert blocking(verdict) == ["not_a_number"]
    assert "No good weights" in verdict.blocking[0].message


def test_training_without_epochs_is_lost(judged, facts):
    assert blocking(judged(facts(), [])) == ["no_signal"]
    verdict = judged(facts(), [], remedies=[RATE_REMEDY])
    assert blocking(verdict) == ["learning_rate_too_high"]


@pytest.mark.parametrize(
    "seen", ["still", "slow", "fast", "vanished", "dead", "flat", "zero", "constant"]
)
def test_symptom_without_harm_is_information(
    judged, facts, learning, readings, probe, seen
):
    odd = readings[seen].model_copy(
        update={
            "inference_accuracy": 0.9,
            "training_accuracy": 0.9,
            "recalls": (0.9, 0.9),
        }
    )
    verdict = judged(facts(initial=odd), learning(probe=odd))
    assert verdict.passed
    assert {severity for severity, _ in remarks(verdict)} <= {Severity.INFO}


@pytest.fixture(scope="session")
def noisy(failing, guessing):
    """A training that has learnt all there is in noisy labels."""

    def make(count=12, *layers, **fields):
        reading = guessing(
            *layers,
            training_accuracy=0.68,
            inference_accuracy=0.69,
            training_loss=0.62,
            inference_loss=0.61,
            recalls=(0.68, 0.7),
        )
        numbers = {
            "loss": 0.62,
            "accuracy": 0.68,
            "held_out_accuracy": 0.67,
            "probe": reading,
        }
        return failing(count, **(numbers | fields))

    return make


def test_noisy_labels_are_underfit_at_most(judged, facts, noisy):
    verdict = judged(facts(), noisy())
    assert verdict.passed
    assert (Severity.WARN, "underfit") in remarks(verdict)


@pytest.mark.parametrize(
    "odd",
    [
        {"dead_share": 0.8},
        {"saturated_share": 0.8},
        {"update_ratio": 2.0},
        {"gradient_norm": 1e-5},
    ],
    ids=str,
)
def test_noisy_labels_excuse_odd_layers(judged, facts, noisy, layer, odd):
    epochs = noisy(12, layer("first", **odd), layer("last", **odd))
    assert judged(facts(), epochs).passed


def test_noisy_labels_excuse_unscaled_inputs(judged, facts, noisy):
    verdict = judged(facts(input_scale=60.0), noisy())
    assert verdict.passed
    assert (Severity.WARN, "unscaled_input") in remarks(verdict)


def test_poor_model_at_a_rate_that_moves_nothing_is_blocked(
    judged, facts, noisy, layer
):
    epochs = noisy(12, layer("first", update_ratio=1e-6), layer("last", update_ratio=0))
    assert blocking(judged(facts(), epochs)) == ["learning_rate_too_low"]


def test_falling_loss_at_the_end_of_the_plan_warns_of_underfit(judged, facts, failing):
    epochs = [
        epoch.model_copy(update={"loss": 0.9 - 0.03 * i, "first_loss": 0.95})
        for i, epoch in enumerate(failing(5))
    ]
    cut_short = judged(facts(planned_epochs=5), epochs)
    assert cut_short.passed
    assert (Severity.WARN, "underfit") in remarks(cut_short)
    assert blocking(judged(facts(planned_epochs=6), epochs)) == ["no_signal"]


def test_loss_that_falls_below_zero_learns_nothing(judged, facts, failing):
    epochs = [
        epoch.model_copy(update={"loss": -2.0 - i, "first_loss": -1.0})
        for i, epoch in enumerate(failing(5))
    ]
    assert blocking(judged(facts(planned_epochs=5), epochs)) == ["no_signal"]


def by_heart(failing, probe, held_out, **fields):
    return failing(
        probe=probe(**fields), accuracy=0.95, held_out_accuracy=held_out, loss=0.2
    )


@pytest.mark.parametrize(
    ("held_out", "rows", "blocks"),
    [
        (0.5, 200, True),
        (0.56, 200, False),  # 0.1 of the possible gain, and a bit: the evaluator's.
        (0.5, 20, True),
        (0.5, 5, False),
        (0.9, 200, False),
        (None, 200, False),
    ],
)
def test_labels_learnt_by_heart_carry_no_signal(
    judged, facts, failing, probe, held_out, rows, blocks
):
    epochs = by_heart(failing, probe, held_out)
    verdict = judged(facts(num_held_out=rows), epochs)
    assert blocking(verdict) == (["no_signal"] if blocks else [])


def test_held_out_rows_may_be_spread_over_classes_unlike_the_fitted(
    judged, facts, learning
):
    """Nine of ten right is much on even classes, and little on uneven ones."""
    epochs = learning(accuracy=0.99, held_out_accuracy=0.9)
    uneven = facts(class_counts=(950, 50), held_out_counts=(100, 100))
    assert judged(uneven, epochs).passed
    unknown = dataclasses.replace(uneven, held_out_counts=())
    assert blocking(judged(unknown, epochs)) == ["no_signal"]


def test_weighted_classes_may_cost_accuracy(judged, facts, failing, probe):
    reading = probe(
        true_shares=(0.95, 0.05),
        inference_accuracy=0.92,
        training_accuracy=0.92,
        recalls=(0.92, 0.9),
    )
    uneven = facts(class_counts=(950, 50), held_out_counts=(190, 10))
    epochs = failing(probe=reading, accuracy=0.92, held_out_accuracy=0.91)
    assert judged(uneven, epochs).passed


def mode_gap(learning, probe, layer):
    drifted = [
        layer("bn_1", mean_shift=0.4, log_variance_ratio=0.1),
        layer("bn_2", mean_shift=3.0, log_variance_ratio=4.6),
    ]
    reading = probe(*drifted, training_accuracy=1.0, inference_accuracy=1 / 3)
    return learning(probe=reading, held_out_accuracy=0.34)


def test_mode_gap_blocks_and_names_the_worst_layers(
    judged, facts, learning, probe, layer
):
    verdict = judged(facts(), mode_gap(learning, probe, layer))
    assert blocking(verdict) == ["mode_gap"]
    (finding,) = verdict.blocking
    assert "33.3% in inference mode and 100.0% in training mode" in finding.message
    assert finding.message.index("bn_2") < finding.message.index("bn_1")
    assert finding.subject.layer == "bn_2"
    assert finding.measured == pytest.approx(2 / 3)


def recalibration(kept, after):
    return Recalibration(
        kept=kept,
        num_examples=1000,
        num_held_out=200,
        loss_before=3.0,
        loss_after=0.1,
        accuracy_before=0.34,
        accuracy_after=after,
    )


def test_recalibration_that_was_kept_closes_the_gap(
    judged, facts, learning, probe, layer
):
    epochs = mode_gap(learning, probe, layer)
    assert judged(facts(), epochs, recalibration=recalibration(True, 0.93)).passed
    left = judged(facts(), epochs, recalibration=recalibration(False, 0.3))
    assert blocking(left) == ["mode_gap"]


def test_best_epoch_is_judged_rather_than_the_last(judged, facts, learning, failing):
    epochs = learning(4) + failing(4)
    assert judged(facts(), epochs, best_epoch=3).passed
    assert blocking(judged(facts(), epochs)) == ["no_signal"]


def test_without_probe_and_accuracy_nothing_is_said_of_learning(judged, facts, failing):
    epochs = failing(probe=None, accuracy=None, held_out_accuracy=None)
    assert judged(facts(initial=None), epochs).passed


def test_without_probe_accuracy_tells(judged, facts, failing, learning):
    assert blocking(judged(facts(initial=None), failing(probe=None))) == ["no_signal"]
    assert judged(facts(initial=None), learning(probe=None)).passed


def test_what_passed_is_not_mentioned_of_a_good_training(
    judged, facts, learning, readings
):
    epochs = learning(8)
    epochs[0] = epochs[0].model_copy(update={"probe": readings["one class"]})
    assert judged(facts(), epochs).findings == ()


def test_what_passed_in_a_bad_training_is_told_with_its_epoch(
    judged, facts, failing, readings
):
    epochs = failing(8)
    epochs[1] = epochs[1].model_copy(update={"probe": readings["one class"]})
    told = [f.message for f in judged(facts(), epochs).findings]
    assert any("(after epoch 2)" in message for message in told)
    assert not any("(after epoch 8)" in message for message in told)


def test_capacity_and_overfit_warn_though_all_is_well(judged, facts, learning):
    large = facts(num_trainable=10**6, num_parameters=10**6)
    assert (Severity.WARN, "overfit") in remarks(judged(large, learning()))


def test_poor_model_on_a_frozen_base_may_have_a_hard_task(judged, facts, noisy):
    layers = (
        LayerFacts("first", "Conv2D", "relu", 9000),
        LayerFacts("last", "Dense", None, 100, trainable=True),
    )
    known = facts(layers=layers, num_parameters=9100, num_trainable=100)
    assert judged(known, noisy()).passed


def test_remedy_that_helped_does_not_explain_a_poor_model(judged, facts, noisy):
    helped = RATE_REMEDY.model_copy(update={"helped": True})
    assert judged(facts(), noisy(), remedies=[helped]).passed
    verdict = judged(facts(), noisy(), remedies=[RATE_REMEDY])
    assert blocking(verdict) == ["learning_rate_too_high"]


def test_poor_model_of_unscaled_inputs_is_blocked_where_training_was_upset(
    judged, facts, noisy
):
    epochs = noisy()
    epochs[2] = epochs[2].model_copy(update={"loss": 50.0})
    assert blocking(judged(facts(input_scale=60.0), epochs)) == ["unscaled_input"]


def test_vanished_outputs_of_a_hidden_layer_explain_guessing(
    judged, facts, failing, guessing, layer
):
    hidden = guessing(layer("first", output_std=0.0), layer("last"))
    verdict = judged(facts(initial=hidden), failing())
    assert blocking(verdict) == ["poor_initialization"]
    last = guessing(layer("first"), layer("last", output_std=0.0))
    assert blocking(judged(facts(initial=last), failing())) == ["no_signal"]


def test_running_accuracy_does_not_excuse_weights_that_were_lost_later(
    judged, facts, failing
):
    """An epoch may begin well and end with nothing."""
    assert blocking(judged(facts(), failing(accuracy=0.9))) == ["no_signal"]


@pytest.mark.parametrize(("rows", "blocks"), [(2000, False), (100, True)])
def test_hard_task_may_allow_little_if_that_little_is_certain(
    judged, facts, failing, rows, blocks
):
    epochs = failing(accuracy=0.54, held_out_accuracy=0.54)
    verdict = judged(facts(num_held_out=rows), epochs)
    assert blocking(verdict) == (["no_signal"] if blocks else [])
    assert "no_signal" in {finding.cause for finding in verdict.findings}


def test_poor_model_without_any_gain_on_held_out_rows_is_explained_all_the_same(
    judged, facts, noisy
):
    epochs = noisy(held_out_accuracy=0.48)
    assert blocking(judged(facts(), epochs)) == ["no_signal"]
    epochs[2] = epochs[2].model_copy(update={"loss": 50.0})
    assert blocking(judged(facts(input_scale=60.0), epochs)) == ["unscaled_input"]
