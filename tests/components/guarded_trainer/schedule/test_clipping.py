# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from components.guarded_trainer import trainee
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.schedule.clipping import clip

X, Y = np.full((4, 2), 100.0, np.float32), np.array([0, 1, 1, 1])


def compiled(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def step(model):
    """Returns how far one step moves the weights."""
    before = model.get_weights()
    model.fit(X, Y, verbose=0, shuffle=False)
    changes = [a - b for a, b in zip(model.get_weights(), before, strict=True)]
    return np.sqrt(sum(np.square(change).sum() for change in changes))


@pytest.mark.parametrize(
    "wrap", [lambda o: o, keras.optimizers.LossScaleOptimizer], ids=["plain", "scaled"]
)
def test_steps_are_clipped_from_now_on(wrap):
    model = compiled(wrap(keras.optimizers.SGD(1.0)))
    assert step(model) > 10
    assert clip(model, 1.0)
    assert step(model) <= 1.0 + 1e-5


def test_step_that_is_small_is_left_alone():
    one, other = (compiled(keras.optimizers.SGD(1.0)) for _ in range(2))
    assert clip(one, 1e6)
    assert step(one) == step(other)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"clipnorm": 5.0}, False),
        ({"clipvalue": 5.0}, False),
        ({"global_clipnorm": 1.0}, False),
        ({"global_clipnorm": 0.5}, False),
        ({"global_clipnorm": 1.1}, True),
    ],
    ids=str,
)
def test_clipping_of_the_users_own_is_kept(settings, expected):
    model = compiled(keras.optimizers.SGD(1.0, **settings))
    assert clip(model, 1.0) is expected
    for name, value in settings.items():
        assert getattr(model.optimizer, name) == (1.0 if expected else value)


def test_model_without_an_optimizer_is_left_alone():
    assert not clip(keras.Sequential([keras.Input((2,)), layers.Dense(2)]), 1.0)


@pytest.mark.parametrize("clip_norm", [None, 2.0])
def test_compiled_model_is_clipped_where_asked_for(class_table, clip_norm):
    model = compiled(keras.optimizers.SGD(1.0))
    config = TrainingConfig(schedule={"clip_norm": clip_norm})
    trainee.prepare(model, X, class_table(0, 1), config)
    assert model.optimizer.global_clipnorm == clip_norm
