# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from components.guarded_trainer.remedies import actions
from components.guarded_trainer.schedule import clipping, rate

X = np.ones((4, 2), np.float32)
Y = np.zeros((4, 1), np.float32)


def compiled(optimizer, *hidden):
    model = keras.Sequential(
        [keras.Input((2,)), *hidden, layers.Dense(1, kernel_initializer="ones")]
    )
    model.compile(optimizer, "mse")
    return model


def step(model):
    """Takes one step; returns by how much it moved the first weight."""
    kernel = model.layers[-1].kernel
    before = float(kernel[0, 0])
    model.fit(X, Y, batch_size=4, verbose=0)
    return before - float(kernel[0, 0])


def scaled(optimizer):
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)


@pytest.mark.parametrize("wrap", [lambda o: o, scaled], ids=["plain", "loss-scaled"])
@pytest.mark.parametrize(
    "learning_rate",
    [
        0.01,
        lambda: 0.01,
        keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.01, 0.001]),
    ],
    ids=["number", "function", "schedule"],
)
def test_rate_is_scaled_whatever_it_is(learning_rate, wrap):
    model = compiled(wrap(keras.optimizers.SGD(learning_rate)))
    start = model.get_weights()
    full = step(model)
    actions.scale_rate(model, 0.1)
    model.set_weights(start)
    assert step(model) == pytest.approx(full / 10, rel=1e-3)
    actions.scale_rate(model, 0.5)
    model.set_weights(start)
    assert step(model) == pytest.approx(full / 20, rel=1e-3)
    assert rate.get(model.optimizer) == pytest.approx(0.0005)


def test_scaled_schedule_survives_saving():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5)
    made = actions.ScaledSchedule(schedule, 0.1)
    config = keras.optimizers.schedules.serialize(made)
    again = keras.optimizers.schedules.deserialize(config)
    assert float(again(10)) == pytest.approx(float(made(10))) == pytest.approx(0.025)


def test_clipping_reaches_a_step_that_is_traced_already():
    model = compiled(keras.optimizers.SGD(1.0))
    start = model.get_weights()
    assert step(model) > 1
    assert actions.can_clip(model, 1.0)
    clipping.clip(model, 1.0)
    assert not actions.can_clip(model, 1.0)
    model.set_weights(start)
    assert step(model) < 1


@pytest.mark.parametrize(
    ("limits", "may"),
    [
        ({}, True),
        ({"clipnorm": 5.0}, False),
        ({"clipvalue": 5.0}, False),
        ({"global_clipnorm": 5.0}, True),
        ({"global_clipnorm": 1.0}, False),
    ],
)
def test_only_a_gradient_that_is_not_limited_already_is_clipped(limits, may):
    model = compiled(keras.optimizers.SGD(1.0, **limits))
    assert actions.can_clip(model, 1.0) is may


def test_lower_momentum_reaches_a_step_that_is_traced_already():
    norm = layers.BatchNormalization(momentum=0.99)
    slow = layers.BatchNormalization(momentum=0.5)
    model = compiled("sgd", norm, slow)
    step(model)
    assert float(norm.moving_mean[0]) == pytest.approx(0.01)
    actions.lower_momentum(model, [norm, slow], 0.75)
    assert (norm.momentum, slow.momentum) == (0.75, 0.5)
    norm.moving_mean.assign([0.0, 0.0])
    step(model)
    assert float(norm.moving_mean[0]) == pytest.approx(0.25)
