# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import hypothesis
import pytest
from hypothesis import strategies as st

from components import causes
from components.guarded_trainer.rules import document
from components.guarded_trainer.rules.facts import LayerFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.table import RULES, look
from components.records.training import Epoch

LIMITS = RuleLimits()


def fired(symptoms, rule):
    return [symptom for symptom in symptoms if symptom.rule == rule]


def test_names_are_unique_and_causes_known():
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))
    assert {cause for rule in RULES for cause in rule.causes} <= set(causes.CATALOGUE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_says_what_it_is(rule):
    assert rule.check.__doc__.startswith("Fires ")
    assert rule.sentence
    assert rule.looks_at
    assert rule.source
    for name in rule.limits:
        assert document.default(name) >= 0


def test_each_limit_of_symptoms_belongs_to_a_rule():
    named = {name for rule in RULES for name in rule.limits}
    for group in ("gradients", "activations", "inputs", "predictions", "batch_norm"):
        fields = type(getattr(LIMITS, group)).model_fields
        assert {f"{group}.{field}" for field in fields} <= named


def test_healthy_training_shows_nothing(facts, learning):
    epochs = learning(12)
    for count in range(len(epochs) + 1):
        assert look(facts(), epochs[:count]) == ()


def test_symptom_names_rule_cause_and_epoch(facts, failing, guessing):
    quiet = guessing(output_spread=1e-6)
    (symptom,) = fired(look(facts(), failing(3, probe=quiet)), "ConstantOutput")
    assert (symptom.cause, symptom.epoch) == ("constant_output", 2)
    assert symptom.measured == pytest.approx(1e-6)
    assert symptom.limit == LIMITS.predictions.min_output_spread


def test_without_a_probe_nothing_is_seen_of_layers(facts, failing):
    symptoms = look(facts(initial=None), failing(probe=None))
    assert not [s for s in symptoms if s.layer]


@pytest.mark.parametrize(
    ("rule", "fields", "beyond", "at"),
    [
        ("UnscaledInput", "input_scale", 10.0, 9.99),
        ("UnscaledInput", "input_scale", 0.01, 0.011),
        ("UnscaledInput", "input_scale", 1e-9, 0.0),
        ("UnscaledInput", "input_scale", 1e9, None),
        ("UnscaledInput", "input_scale", 1e9, math.nan),
        ("Capacity", "num_trainable", 100_001, 100_000),
        ("NothingTrainable", "num_trainable", 0, 1),
    ],
)
def test_facts_at_their_limits(facts, rule, fields, beyond, at):
    assert fired(look(facts(**{fields: beyond})), rule)
    assert not fired(look(facts(**{fields: at})), rule)


def test_one_loud_feature_is_unscaled(facts):
    scales = (("area", 100.0), ("b", 1.0), ("c", 1.0))
    (symptom,) = fired(look(facts(feature_scales=scales)), "UnscaledInput")
    assert "area" in symptom.message
    calm = (("area", 99.0), ("b", 1.0), ("c", 1.0))
    assert not fired(look(facts(feature_scales=calm)), "UnscaledInput")


def test_regularised_model_may_be_large(facts):
    layers = (LayerFacts("drop", "Dropout", regularized=True),)
    assert not fired(look(facts(num_trainable=10**6, layers=layers)), "Capacity")


def test_frozen_base_is_seen_and_adapted_normalisation_is_not(facts):
    base = LayerFacts("base", "Conv2D", "relu", 9000)
    normal = LayerFacts("scale", "Normalization", None, 9)
    head = LayerFacts("head", "Dense", None, 1000, trainable=True)
    counts = {"num_parameters": 10_000, "num_trainable": 1000}
    (symptom,) = fired(look(facts(layers=(base, head), **counts)), "FrozenLayers")
    assert symptom.layer == "base"
    assert "10.0%" in symptom.message
    assert not fired(look(facts(layers=(normal, head), **counts)), "FrozenLayers")


@pytest.mark.parametrize(
    ("momentum", "steps", "fires"), [(0.99, 458, True), (0.99, 459, False)]
)
def test_momentum_tells_before_the_first_step_what_will_be_left(
    facts, momentum, steps, fires
):
    layers = (LayerFacts("bn", "BatchNormalization", momentum=momentum),)
    told = look(facts(layers=layers, steps_per_epoch=steps, planned_epochs=1))
    assert bool(fired(told, "BatchNormMomentum")) is fires


def test_loss_far_above_guessing_at_the_start_is_a_poor_start(facts, guessing):
    bad = guessing(training_loss=10.01 * math.log(2))
    good = guessing(training_loss=10.0 * math.log(2))
    assert fired(look(facts(initial=bad)), "PoorWeightInitialization")
    assert not fired(look(facts(initial=good)), "PoorWeightInitialization")


def test_units_that_start_alike_are_a_poor_start(facts):
    layers = (LayerFacts("same", "Dense", trainable=True, identical_units=True),)
    (symptom,) = fired(look(facts(layers=layers)), "PoorWeightInitialization")
    assert symptom.layer == "same"


@pytest.mark.parametrize(
    ("rule", "beyond", "within"),
    [
        ("DeadRelu", {"dead_share": 0.51}, {"dead_share": 0.5}),
        ("SaturatedActivation", {"saturated_share": 0.51}, {"saturated_share": 0.5}),
        ("AllZero", {"weight_norm": 0.0}, {"weight_norm": 1e-9}),
        ("TensorVariance", {"output_std": 9e-6}, {"output_std": 1e-5}),
        ("TensorVariance", {"output_std": 1001.0}, {"output_std": 1000.0}),
        ("ExplodingTensor", {"not_finite": ("weights",)}, {"not_finite": ()}),
        (
            "ExplodingGradient",
            {"gradient_norm": 1001.0},
            {"gradient_norm": 1000.0},
        ),
        (
            "VanishingGradient",
            {"gradient_norm": 9e-5, "gradient_mean": 1e-5},
            {"gradient_norm": 1e-4, "gradient_mean": 1e-5},
        ),
        (
            "VanishingGradient",
            {"gradient_norm": 0.1, "gradient_mean": 9e-8},
            {"gradient_norm": 0.1, "gradient_mean": 1e-7},
        ),
        (
            "BatchNormDrift",
            {"mean_shift": 1.01, "log_variance_ratio": 0.0},
            {"mean_shift": 1.0, "log_variance_ratio": 0.69},
        ),
    ],
)
def test_layers_at_their_limits(facts, failing, guessing, layer, rule, beyond, within):
    def see(fields):
        reading = guessing(layer("first", **fields), layer("last"))
        return fired(look(facts(), failing(1, probe=reading)), rule)

    assert see(beyond)[0].layer == "first"
    assert not see(within)


@pytest.mark.parametrize("rule", ["VanishingGradient", "WeightUpdateRatio"])
def test_what_is_learnt_may_stand_still(facts, learning, failing, probe, layer, rule):
    still = {"gradient_norm": 1e-6, "gradient_mean": 1e-9, "update_ratio": 1e-6}
    layers = (layer("first", **still), layer("last", update_ratio=1e-6))
    assert fired(look(facts(), failing(1, probe=probe(*layers))), rule)
    done = probe(*layers, training_loss=0.01)
    assert not fired(look(facts(), failing(1, probe=done)), rule)


def test_layer_that_no_gradient_reaches_is_cut_off(facts, failing, guessing, layer):
    cut = guessing(layer("first", gradient_norm=0.0), layer("last"))
    (symptom,) = fired(look(facts(), failing(1, probe=cut)), "VanishingGradient")
    assert symptom.cause == "unchanged_weights"


@pytest.mark.parametrize(
    ("ratio", "cause"),
    [
        (0.11, "learning_rate_too_high"),
        (0.1, None),
        (1e-4, None),
        (9e-5, "learning_rate_too_low"),
        (None, None),
        (math.nan, None),
    ],
)
def test_update_ratio_tells_the_rate(facts, failing, guessing, layer, ratio, cause):
    layers = [layer(name, update_ratio=ratio) for name in ("first", "last")]
    symptoms = look(facts(), failing(1, probe=guessing(*layers)))
    assert [s.cause for s in fired(symptoms, "WeightUpdateRatio")] == (
        [cause] if cause else []
    )


def test_unchanged_weights_need_three_readings(facts, failing, guessing, layer):
    still = failing(1, probe=guessing(layer("first", update_ratio=0.0), layer("last")))
    unseen = failing(1, probe=None)
    assert not fired(look(facts(), still * 2), "UnchangedTensor")
    (symptom,) = fired(look(facts(), still * 2 + unseen + still), "UnchangedTensor")
    assert symptom.layer == "first"


def test_loss_diverges_above_twice_the_first(facts):
    def see(loss, **fields):
        epochs = [Epoch(loss=loss, first_loss=1.0, **fields)]
        return fired(look(facts(), epochs), "LossDivergence")

    assert see(2.01)
    assert not see(2.0)
    assert see(1.0, worst_batch_loss=1001.0)
    assert not see(1.0, worst_batch_loss=1000.0)
    assert not see(math.nan)
    # A pretrained model may start far below what guessing costs.
    low = [Epoch(loss=0.5, first_loss=0.01)]
    assert not fired(look(facts(), low), "LossDivergence")


def test_loss_that_is_not_finite_is_an_exploding_tensor(facts):
    (symptom,) = fired(look(facts(), [Epoch(loss=math.inf)]), "ExplodingTensor")
    assert symptom.cause == "not_a_number"


def curve(losses):
    return [Epoch(loss=loss, first_loss=losses[0]) for loss in losses]


def test_swinging_loss_oscillates(facts):
    swinging = curve([0.7, 0.5, 0.8, 0.5, 0.8, 0.5, 0.8])
    falling = curve([0.7, 0.6, 0.5, 0.55, 0.4, 0.35, 0.3])
    once = curve([0.7, 0.5, 0.8, 0.5, 0.4, 0.35, 0.3])
    assert fired(look(facts(), swinging), "OscillatingLoss")
    assert not fired(look(facts(), falling), "OscillatingLoss")
    assert not fired(look(facts(), once), "OscillatingLoss")


def test_loss_without_a_new_low_does_not_decrease(facts):
    flat = curve([0.6] + [0.6] * 10)
    assert fired(look(facts(), flat), "LossNotDecreasing")
    assert not fired(look(facts(), flat[:-1]), "LossNotDecreasing")
    assert not fired(look(facts(), [*flat[:-1], *curve([0.59])]), "LossNotDecreasing")


def test_loss_that_hardly_moves_converges_slowly(facts):
    step = 0.01 * math.log(2)
    slow = curve([0.7 - 0.9 * step * i for i in range(5)])
    fast = curve([0.7 - 1.1 * step * i for i in range(5)])
    assert fired(look(facts(), slow), "SlowConvergence")
    assert not fired(look(facts(), fast), "SlowConvergence")
    assert not fired(look(facts(), slow[:2]), "SlowConvergence")


@pytest.mark.parametrize(("held_out", "rows", "fires"), [
    (0.7, 200, True), (0.7, 10, False), (0.85, 200, False), (None, 200, False),
    (0.7, 0, False),
])  # fmt: skip
def test_overfit_must_be_certain(facts, learning, held_out, rows, fires):
    epochs = learning(1, accuracy=0.95, held_out_accuracy=held_out)
    told = look(facts(num_held_out=rows), epochs)
    assert bool(fired(told, "Overfit")) is fires


@pytest.mark.parametrize(
    ("inference", "fires"), [(0.95, True), (0.81, True), (0.79, False), (None, True)]
)
def test_overfit_is_not_what_only_training_mode_does_better(
    facts, learning, probe, inference, fires
):
    epochs = [
        epoch.model_copy(update={"probe": probe(inference_accuracy=inference)})
        for epoch in learning(1, accuracy=0.95, held_out_accuracy=0.7)
    ]
    assert bool(fired(look(facts(num_held_out=200), epochs), "Overfit")) is fires


def test_overtraining_is_ten_epochs_past_the_best(facts):
    held_out = [0.5, 0.4] + [0.45 + 0.01 * i for i in range(10)]
    epochs = [
        Epoch(loss=0.5 - 0.02 * i, held_out_loss=loss)
        for i, loss in enumerate(held_out)
    ]
    assert fired(look(facts(), epochs), "Overtraining")
    assert not fired(look(facts(), epochs[:-1]), "Overtraining")


def test_stalled_epoch_is_long_by_the_clock_and_by_the_others(facts):
    def see(*seconds):
        epochs = [Epoch(loss=0.1, seconds=second) for second in seconds]
        return fired(look(facts(), epochs), "StalledTraining")

    assert see(1, 1, 1, 1801)
    assert not see(1, 1, 1, 1800)
    assert not see(1000, 1000, 1000, 2000)


def test_one_class_for_all_is_seen_unless_it_is_right(facts, failing, guessing):
    def see(predicted, true):
        reading = guessing(predicted_shares=predicted, true_shares=true)
        return fired(look(facts(), failing(1, probe=reading)), "OneClassPredictions")

    (symptom,) = see((0.0, 1.0), (0.5, 0.5))
    assert symptom.class_name == "1"
    assert not see((0.02, 0.98), (0.5, 0.5))
    assert not see((0.0, 1.0), (0.005, 0.995))


def test_neglected_rare_class_goes_by_its_name(facts, failing, guessing):
    uneven = facts(class_counts=(1001, 91), class_names=("no", "yes"))
    reading = guessing(recalls=(1.0, 0.29))
    (symptom,) = fired(look(uneven, failing(1, probe=reading)), "ClassImbalance")
    assert symptom.class_name == "yes"
    fine = guessing(recalls=(1.0, 0.31))
    assert not fired(look(uneven, failing(1, probe=fine)), "ClassImbalance")
    even = dataclasses.replace(uneven, class_counts=(910, 91))
    assert not fired(look(even, failing(1, probe=reading)), "ClassImbalance")


def test_class_that_is_missed_needs_rows_to_be_missed(facts, failing, guessing):
    def see(share, recall):
        reading = guessing(true_shares=(1 - share, share), recalls=(1.0, recall))
        return fired(look(facts(), failing(1, probe=reading)), "Confusion")

    assert see(5 / 128, 0.0)
    assert not see(4 / 128, 0.0)
    assert not see(5 / 128, 0.1)


@pytest.mark.parametrize(
    ("training", "inference", "rows", "fires"),
    [
        (1.0, 0.3, 128, True),
        (0.93, 0.9, 128, False),
        (0.5, 1.0, 128, False),  # Dropout makes training mode worse, which is right.
        (1.0, 1 / 3, 3, True),
        (1.0, 2 / 3, 3, False),
        (None, 0.3, 128, False),
    ],
)
def test_mode_gap_is_one_sided_and_certain(
    facts, failing, guessing, training, inference, rows, fires
):
    reading = guessing(
        training_accuracy=training, inference_accuracy=inference, num_examples=rows
    )
    symptoms = look(facts(), failing(1, probe=reading))
    assert bool(fired(symptoms, "ModeGap")) is fires


def test_noise_that_costs_as_much_as_guessing_is_too_strong(facts, failing, guessing):
    drop = facts(layers=(LayerFacts("drop", "Dropout", regularized=True),))
    loud = guessing(training_loss=0.7 + math.log(2), inference_loss=0.69)
    calm = guessing(training_loss=0.69 + 0.9 * math.log(2), inference_loss=0.69)
    assert fired(look(drop, failing(1, probe=loud)), "StrongRegularization")
    assert not fired(look(drop, failing(1, probe=calm)), "StrongRegularization")
    assert not fired(look(facts(), failing(1, probe=loud)), "StrongRegularization")


def test_penalty_that_outweighs_the_classes_is_too_strong(facts, failing):
    decay = facts(layers=(LayerFacts("dense", "Dense", regularized=True),))
    assert fired(look(decay, failing(1, first_loss=7.0)), "StrongRegularization")
    assert not fired(look(decay, failing(1, first_loss=6.9)), "StrongRegularization")


NUMBERS = st.none() | st.floats(allow_nan=True, allow_infinity=True)


@hypothesis.given(numbers=st.lists(NUMBERS, min_size=6, max_size=6))
@hypothesis.settings(max_examples=60)
def test_no_number_breaks_a_rule(facts, failing, guessing, layer, numbers):
    a, b, c, d, e, f = numbers
    reading = guessing(
        layer("first", gradient_norm=a, weight_norm=b, update_ratio=c, output_std=d),
        layer("last", gradient_norm=e, mean_shift=f, log_variance_ratio=a),
        training_loss=b,
        inference_loss=c,
        output_spread=d,
        recalls=(e, f),
    )
    epochs = failing(4, loss=a, first_loss=b, worst_batch_loss=c, probe=reading)
    for symptom in look(facts(initial=reading, input_scale=d), epochs):
        assert symptom.message


def test_page_of_the_rules_is_fresh(request):
    page = request.config.rootpath / "docs" / "training-rules.md"
    assert page.read_text() == document.markdown(), (
        "run: .venv/bin/python -m components.guarded_trainer.rules.document "
        "> docs/training-rules.md"
    )
