# SPDX-License-Identifier: Apache-2.0
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer.schedule import rate
from components.guarded_trainer.schedule.callbacks import (
    LowerOnPlateau,
    WarmUp,
    make_callbacks,
)
from components.guarded_trainer.schedule.settings import ScheduleConfig

X, Y = np.ones((8, 2), np.float32), np.zeros(8)
SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.5, 100, 0.9)


def compiled(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


class Rates(keras.callbacks.Callback):
    """Keeps the rate of each step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(rate.get(self.model.optimizer))


def train(model, *callbacks, **kwargs):
    rates = Rates()
    model.fit(X, Y, batch_size=2, callbacks=[*callbacks, rates], verbose=0, **kwargs)
    return rates.seen


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.4),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.4)),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_rate_rises_in_a_line_to_its_full_value(make):
    seen = train(compiled(make()), WarmUp(4), epochs=2)
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.4] + [0.4] * 4)


def test_warm_up_is_taken_up_where_it_was_left():
    model, first, second = compiled("sgd"), WarmUp(6), WarmUp(6)
    rate.put(model.optimizer, 0.6)
    assert train(model, first, epochs=1) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    second.set_state(json.loads(json.dumps(first.get_state())))
    assert train(model, second, epochs=1) == pytest.approx([0.5, 0.6, 0.6, 0.6])


def test_warm_up_follows_whoever_else_changes_the_rate():
    model, warm_up = compiled("sgd"), WarmUp(8)
    rate.put(model.optimizer, 0.8)
    begin = warm_up.get_state()
    assert train(model, warm_up) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    # A remedy lowers the rate, and training goes on ...
    rate.put(model.optimizer, rate.get(model.optimizer) / 10)
    assert train(model, warm_up) == pytest.approx([0.05, 0.06, 0.07, 0.08])
    # ... or goes back to the beginning, with the rate of then.
    warm_up.set_state(begin)
    rate.put(model.optimizer, 0.08)
    assert train(model, warm_up) == pytest.approx([0.01, 0.02, 0.03, 0.04])


def test_warm_up_changes_no_step_after_it():
    with_it, without = compiled("sgd"), compiled("sgd")
    train(with_it, WarmUp(1), epochs=2)
    train(without, epochs=2)
    for a, b in zip(with_it.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "callback",
    [WarmUp(4), LowerOnPlateau("loss", 0.5, 1, 1e-6)],
    ids=lambda callback: type(callback).__name__,
)
def test_schedule_of_the_optimizer_is_left_alone(callback):
    model = compiled(keras.optimizers.SGD(SCHEDULE))
    seen = train(model, callback, epochs=3)
    assert seen == train(compiled(keras.optimizers.SGD(SCHEDULE)), epochs=3)
    assert "follows a schedule" in callback.note


def plateau(losses, *, optimizer=None, state=None, **settings):
    """Shows losses to the callback; returns the rate after each, and the callback."""
    given = {"factor": 0.5, "patience": 2, "min_rate": 1e-6} | settings
    callback = LowerOnPlateau("val_loss", **given)
    callback.set_model(compiled(optimizer or keras.optimizers.SGD(0.8)))
    if state:
        callback.set_state(state)
    callback.on_train_begin()
    seen = []
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {} if loss is None else {"val_loss": loss})
        seen.append(rate.get(callback.model.optimizer))
    return seen, callback


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        pytest.param([3, 2, 1], [0.8, 0.8, 0.8], id="falling"),
        pytest.param([1, 1 - 1e-9, 1 - 2e-9], [0.8, 0.8, 0.8], id="hardly-falling"),
        pytest.param([1, 1, 1], [0.8, 0.8, 0.4], id="level"),
        pytest.param([1, 2, 0.5, 2], [0.8] * 4, id="a-better-one-in-time"),
        pytest.param([1, 2, 2, 2, 2], [0.8, 0.8, 0.4, 0.4, 0.2], id="twice"),
        pytest.param([1, np.nan, np.nan, 2], [0.8] * 4, id="not-a-number"),
        pytest.param([1, np.inf, np.inf], [0.8, 0.8, 0.4], id="infinite"),
        pytest.param([None, None, None], [0.8] * 3, id="not-measured"),
    ],
)
def test_rate_is_lowered_when_patience_runs_out(losses, rates):
    seen, _ = plateau(losses)
    assert seen == pytest.approx(rates)


def test_rate_is_not_lowered_below_the_least():
    assert plateau([1] * 4, patience=1, min_rate=0.3)[0][-1] == pytest.approx(0.3)
    assert plateau([1] * 4, patience=1, min_rate=0.8)[0][-1] == pytest.approx(0.8)
    assert plateau([1] * 4, patience=1, min_rate=9.0)[0][-1] == pytest.approx(0.8)


def test_plateau_is_taken_up_where_it_was_left():
    losses = [1, 2, 2, 2, 0.9, 2, 2]
    whole, _ = plateau(losses)
    for i in range(1, len(losses)):
        before, callback = plateau(losses[:i])
        state = json.loads(json.dumps(callback.get_state()))
        optimizer = keras.optimizers.SGD(before[-1])
        after, _ = plateau(losses[i:], state=state, optimizer=optimizer)
        assert [*before, *after] == pytest.approx(whole)


def test_segments_of_a_training_go_on_with_the_same_callback():
    seen, callback = plateau([1, 2])
    callback.on_train_begin()
    callback.on_epoch_end(2, {"val_loss": 2})
    assert rate.get(callback.model.optimizer) == pytest.approx(seen[-1] / 2)


def patience_of(callback):
    """Counts the epochs after the best one until the rate is lowered."""
    callback.set_model(compiled(keras.optimizers.SGD(0.8)))
    callback.on_train_begin()
    for epoch in range(20):
        callback.on_epoch_end(epoch, {"val_loss": 1.0})
        if rate.get(callback.model.optimizer) < 0.7:
            return epoch
    return None


@pytest.mark.parametrize(
    ("settings", "patience", "expected"),
    [
        ({}, 8, 4),
        ({}, 3, 2),
        ({}, 1, 1),
        ({}, None, 4),
        ({"plateau_patience": 6}, 8, 6),
    ],
    ids=str,
)
def test_lower_rate_has_time_to_prove_itself(settings, patience, expected):
    (callback,) = make_callbacks(
        ScheduleConfig(**settings), monitor="val_loss", patience=patience
    )
    assert patience_of(callback) == expected


def test_callbacks_are_those_asked_for():
    nothing = ScheduleConfig(reduce_on_plateau=False)
    assert make_callbacks(nothing, monitor="loss", patience=8) == ()
    both = ScheduleConfig(warm_up_steps=5)
    made = make_callbacks(both, monitor="loss", patience=8)
    assert [type(callback) for callback in made] == [WarmUp, LowerOnPlateau]


def test_rate_is_set_on_every_replica():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = compiled(keras.optimizers.Adam(0.4))
    assert train(model, WarmUp(4)) == pytest.approx([0.1, 0.2, 0.3, 0.4])
