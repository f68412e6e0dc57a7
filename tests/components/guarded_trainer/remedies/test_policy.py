# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_trainer.remedies.changes import Change, Stop
from components.guarded_trainer.remedies.policy import decide
from components.guarded_trainer.remedies.settings import RemedyConfig
from components.guarded_trainer.rules.facts import LayerFacts, TrainingFacts
from components.guarded_trainer.rules.table import look
from components.records.training import Epoch, LayerReading, ProbeReading, Remedy

ANY = RemedyConfig()


def facts(**changes):
    """An MLP on ten classes, of 100 weights per layer with a norm of 1."""
    values = {
        "num_classes": 10,
        "class_counts": (100,) * 10,
        "num_examples": 1000,
        "num_held_out": 100,
        "steps_per_epoch": 30,
        "planned_epochs": 50,
        "batch_size": 32,
        "learning_rate": 0.001,
        "optimizer": "Adam",
        "num_parameters": 200,
        "num_trainable": 200,
        "layers": tuple(
            LayerFacts(layer=name, kind="Dense", num_parameters=100, trainable=True)
            for name in "ab"
        ),
        "initial": probe(),
    }
    return TrainingFacts(**{**values, **changes})


def probe(update=None, gradients=(0.1, 0.1), dead=None, **changes):
    return ProbeReading(
        num_examples=100,
        true_shares=(0.1,) * 10,
        layers=tuple(
            LayerReading(
                layer=name,
                gradient_norm=gradient,
                gradient_mean=gradient / 100,
                weight_norm=1.0,
                update_ratio=update,
                dead_share=dead,
            )
            for name, gradient in zip("ab", gradients, strict=True)
        ),
        **changes,
    )


def epochs(*losses, accuracy=0.1, first=2.3, **changes):
    """Epochs of a model that guesses, with these losses."""
    made = []
    for i, loss in enumerate(losses):
        values = {
            "loss": loss,
            "accuracy": accuracy,
            "held_out_loss": loss,
            "first_loss": first if i == 0 else losses[i - 1],
            "worst_batch_loss": loss,
            "probe": probe(update=0.005),
        }
        made.append(Epoch(**{**values, **changes}))
    return tuple(made)


def remedy(action, epoch=0, cause="learning_rate_too_high"):
    return Remedy(action=action, cause=cause, epoch=epoch, message="")


def ask(facts_, epochs_, taken=(), settings=ANY, **details):
    """Decides as the loop does, with what the rules see."""
    seen = look(facts_, epochs_)
    return decide(facts_, epochs_, seen, taken, settings, **details)


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param((2.3, 1.5, 1.0, 0.8, 0.7), id="learns"),
        pytest.param((2.3, 2.29, 2.28, 2.25, 2.1), id="slow-starter"),
        pytest.param((9.0, 3.0, 1.0), id="bad-start-that-recovers"),
        pytest.param((0.5, 0.6, 0.5, 0.65, 0.5, 0.4), id="noisy"),
        pytest.param((), id="no-epochs"),
        pytest.param((2.3,), id="one-epoch"),
    ],
)
def test_healthy_training_is_let_be(losses):
    assert ask(facts(), epochs(*losses)) is None


def test_loss_that_stays_far_above_its_start_is_not_waited_for():
    falling = epochs(5000.0, 400.0, 40.0)
    assert ask(facts(), falling[:2]) is None
    decision = ask(facts(), falling)
    assert (decision.action, decision.back) == ("lower_learning_rate", "start")


@given(
    st.lists(st.floats(0.01, 2.29), min_size=1, max_size=30),
    st.floats(1e-4, 1e-2),
    st.floats(0.25, 1.0),
)
def test_no_course_of_a_model_that_has_learnt_is_stopped(losses, update, accuracy):
    made = epochs(*losses, accuracy=accuracy, probe=probe(update=update))
    decision = ask(facts(), made)
    assert decision is None or (
        isinstance(decision, Change) and decision.rule == "OscillatingLoss"
    )


def test_broken_training_is_rolled_back_at_a_lower_rate():
    decision = ask(
        facts(learning_rate=0.1), epochs(2.3, math.nan), broken="the loss became nan"
    )
    assert (decision.action, decision.back) == ("lower_learning_rate", "last")
    assert decision.cause == "not_a_number"
    assert decision.reason == "the loss became nan"
    # The first step at 0.1 changes ten weights' norm of 1 by 1: 0.01 is wanted.
    assert decision.factor == pytest.approx(0.01)


def test_broken_again_it_is_clipped_and_then_lowered_again():
    lower, clip = remedy("lower_learning_rate"), remedy("clip_gradients")
    made = epochs(math.nan)
    actions = [
        ask(facts(), made, taken, broken="the loss became nan").action
        for taken in [(), (lower,), (lower, clip), (lower, clip, lower)]
    ]
    assert actions == [
        "lower_learning_rate",
        "clip_gradients",
        "lower_learning_rate",
        "lower_learning_rate",
    ]


def test_loss_that_is_nan_before_the_first_step_is_beyond_repair():
    decision = ask(facts(), epochs(math.nan, first=math.nan), broken="nan")
    assert isinstance(decision, Stop)
    assert "before the first step" in decision.reason


@pytest.mark.parametrize(
    ("settings", "action"),
    [
        (RemedyConfig(allowed=("clip_gradients",)), "clip_gradients"),
        (RemedyConfig(allowed=("lower_learning_rate",)), "lower_learning_rate"),
    ],
)
def test_only_what_is_allowed_is_done(settings, action):
    assert ask(facts(), epochs(math.nan), (), settings, broken="nan").action == action


@pytest.mark.parametrize(
    "settings",
    [RemedyConfig(allowed=()), RemedyConfig(max_remedies=0)],
)
def test_broken_training_that_must_not_be_repaired_is_stopped(settings):
    decision = ask(facts(), epochs(math.nan), (), settings, broken="nan in epoch 1")
    assert decision == Stop("not_a_number", "nan in epoch 1")


def test_nothing_is_decided_where_remedies_are_off():
    settings = RemedyConfig(enabled=False)
    assert ask(facts(), epochs(math.nan), (), settings, broken="nan") is None


def test_number_of_remedies_is_bounded():
    taken = (remedy("lower_learning_rate"),) * ANY.max_remedies
    assert isinstance(ask(facts(), epochs(math.nan), taken, broken="nan"), Stop)


def test_diverged_training_starts_again():
    decision = ask(facts(learning_rate=10.0), epochs(800.0, 790.0))
    assert (decision.action, decision.back) == ("lower_learning_rate", "start")
    assert decision.cause == "learning_rate_too_high"
    # 10 times ten weights' norm is 100: ten to the minus four of that is wanted.
    assert decision.factor == pytest.approx(1e-4)


def test_training_that_diverges_after_a_good_start_goes_back_to_its_best():
    decision = ask(facts(), epochs(2.0, 1.0, 50.0, 60.0))
    assert (decision.action, decision.back) == ("lower_learning_rate", "best")


def test_loss_that_is_high_once_may_come_down_by_itself():
    assert ask(facts(), epochs(2.0, 1.0, 50.0)) is None
    assert ask(facts(), epochs(2.0, 1.0, 50.0, 20.0)) is None


def test_clipping_is_no_answer_to_a_rate_that_is_too_high():
    lower = remedy("lower_learning_rate")
    decision = ask(facts(), epochs(800.0, 790.0), (lower,))
    assert decision.action == "lower_learning_rate"


def test_epochs_before_the_last_remedy_do_not_count():
    made = epochs(2.0, 50.0, 60.0)
    assert ask(facts(), made, (remedy("raise_learning_rate", 1),), since=2) is None


def test_network_that_large_steps_have_killed_starts_again():
    made = epochs(
        2.4, 2.3, 2.3, probe=probe(update=0.0, dead=1.0), worst_batch_loss=900.0
    )
    decision = ask(facts(learning_rate=1.0), made)
    assert (decision.action, decision.back) == ("lower_learning_rate", "start")


def test_network_that_was_dead_where_it_was_rolled_back_to_starts_again():
    dead = probe(update=0.0, gradients=(0.0, 0.1), dead=1.0)
    made = epochs(2.4, 2.3, 2.3, 2.3, 2.3, probe=dead, worst_batch_loss=900.0)
    taken = (remedy("lower_learning_rate", 1),)
    decision = ask(facts(learning_rate=1.0), made, taken, since=2)
    assert (decision.action, decision.back) == ("lower_learning_rate", "start")


def test_network_that_lives_after_a_remedy_is_given_time():
    alive = probe(update=0.001, gradients=(0.1, 0.1))
    made = epochs(2.4, 2.3, 2.3, 2.3, 2.3, probe=alive, worst_batch_loss=900.0)
    taken = (remedy("lower_learning_rate", 1),)
    assert ask(facts(learning_rate=1.0), made, taken, since=2) is None


def test_swinging_loss_that_gets_no_better_is_answered_by_a_lower_rate():
    swings = (2.0, 1.0, 2.0, 1.1, 2.0, 1.2, 2.0, 1.3, 2.0)
    decision = ask(facts(), epochs(*swings, accuracy=0.5))
    assert (decision.action, decision.factor) == ("lower_learning_rate", 0.1)
    assert decision.back is None


def test_swinging_loss_that_gets_better_is_let_be():
    swings = (2.0, 1.2, 2.0, 1.1, 2.0, 1.0, 2.0, 0.9, 2.0)
    assert ask(facts(), epochs(*swings, accuracy=0.5)) is None


@pytest.mark.parametrize(
    ("update", "factor"), [(3e-5, 100.0), (3.4e-7, 1e4), (1e-12, 1e6)]
)
def test_stalled_rate_is_raised_into_the_sound_range(update, factor):
    made = epochs(2.31, 2.3, 2.3, probe=probe(update=update))
    decision = ask(facts(), made)
    assert (decision.action, decision.back) == ("raise_learning_rate", None)
    assert decision.factor == pytest.approx(factor)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (epochs(2.31, 2.3, probe=probe(update=1e-7)), "too early"),
        (epochs(2.3, 2.1, 1.9, probe=probe(update=1e-6)), "it learns"),
        (epochs(2.31, 2.3, 2.3, probe=probe(update=1e-3)), "the rate is sound"),
        (epochs(2.31, 2.3, 2.3, probe=probe(update=0.0)), "nothing moves at all"),
        (
            epochs(2.31, 2.3, 2.3, probe=probe(update=1e-6, gradients=(1e-9, 0.1))),
            "the gradient has vanished",
        ),
        (epochs(2.31, 2.3, 2.3, probe=None), "nothing is known"),
        (
            epochs(2.31, 2.3, 2.3) + epochs(2.3, probe=probe(update=1e-6)),
            "it was lowered on a plateau",
        ),
        (
            epochs(1.01, 1.0, 1.0, accuracy=0.6, probe=probe(update=1e-5)),
            "it is fine-tuned",
        ),
    ],
)
def test_rate_is_not_raised_without_need(made, why):
    assert ask(facts(), made) is None, why


def test_rate_is_raised_three_times_at_most():
    made = epochs(2.31, 2.3, 2.3, probe=probe(update=1e-7))
    taken = (remedy("raise_learning_rate"),) * 3
    assert ask(facts(), made, taken) is None


def batch_norm(momentum, **changes):
    layers = (LayerFacts(layer="n", kind="BatchNormalization", momentum=momentum),)
    return facts(layers=layers, **changes)


GAP = {"training_accuracy": 0.9, "inference_accuracy": 0.2, "inference_loss": 9.0}


def test_momentum_that_the_plan_is_too_short_for_is_lowered():
    made = epochs(1.0, accuracy=0.9, probe=probe(0.005, **GAP))
    decision = ask(batch_norm(0.999), made)
    assert decision.action == "lower_batch_norm_momentum"
    assert decision.value == pytest.approx(0.9)
    assert decision.back is None


def test_momentum_is_lowered_no_more_than_an_epoch_needs():
    made = epochs(1.0, accuracy=0.9, probe=probe(0.005, **GAP))
    decision = ask(batch_norm(0.99999, steps_per_epoch=1000), made)
    assert decision.value**1000 == pytest.approx(0.01)


def test_gap_that_closes_by_itself_is_let_be():
    made = epochs(1.0, accuracy=0.9, probe=probe(0.005, **GAP))
    assert ask(batch_norm(0.99), made) is None


def test_gap_that_misleads_the_choice_of_the_best_epoch_is_not():
    made = [
        epoch.model_copy(update={"held_out_loss": 5.0 + i})
        for i, epoch in enumerate(
            epochs(1.0, 0.8, 0.6, 0.5, 0.4, accuracy=0.9, probe=probe(0.005, **GAP))
        )
    ]
    decision = ask(batch_norm(0.99, steps_per_epoch=10), made)
    assert decision.action == "lower_batch_norm_momentum"


def test_too_few_steps_for_any_momentum_are_left_to_recalibration():
    made = epochs(1.0, accuracy=0.9, probe=probe(0.005, **GAP))
    few = batch_norm(0.99, steps_per_epoch=1, planned_epochs=5)
    assert ask(few, made) is None


def test_model_without_trainable_weights_is_stopped():
    decision = ask(facts(num_trainable=0), epochs(2.3))
    assert decision.cause == "frozen_model"


def test_network_without_any_gradient_is_stopped():
    dead = probe(update=0.0, gradients=(0.0, 0.1))
    assert ask(facts(), epochs(2.3, 2.3, probe=dead)) is None
    decision = ask(facts(), epochs(2.3, 2.3, 2.3, probe=dead))
    assert isinstance(decision, Stop)


def test_vanished_gradient_is_given_time_before_the_training_is_stopped():
    vanished = probe(update=0.001, gradients=(1e-9, 0.1))
    assert ask(facts(), epochs(*[2.3] * 14, probe=vanished)) is None
    decision = ask(facts(), epochs(*[2.3] * 15, probe=vanished))
    assert (type(decision), decision.cause) == (Stop, "vanishing_gradient")
    moving = [2.3 - 0.01 * i for i in range(15)]
    assert ask(facts(), epochs(*moving, probe=vanished)) is None
    patient = RemedyConfig(stop_early=False)
    assert ask(facts(), epochs(*[2.3] * 15, probe=vanished), (), patient) is None
