# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from components.guarded_trainer import variables


def network(units=3, optimizer="adam"):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(units), layers.Dropout(0.5), layers.Dense(1)]
    )
    model.compile(optimizer, "mse")
    variables.build_optimizer(model)
    return model


def take(model):
    return {name: variables.copy_of(g) for name, g in variables.groups(model).items()}


def test_all_that_a_step_changes_comes_back():
    model = network()
    before = take(model)
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0)
    moved = take(model)
    assert not all(
        np.array_equal(a, b)
        for a, b in zip(before["model"], moved["model"], strict=True)
    )
    variables.restore(model, before)
    now = take(model)
    for name, values in before.items():
        for a, b in zip(values, now[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_seeds_of_random_layers_are_among_them():
    model = network()
    dropout = model.layers[1]
    found = variables.groups(model)["model"]
    assert any(v is dropout.seed_generator.state for v in found)


def test_variables_of_a_loss_scaling_optimizer_are_among_them():
    inner = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    found = variables.groups(network(optimizer=optimizer))["optimizer"]
    assert any(v is optimizer.dynamic_scale for v in found)
    assert any(v is inner.learning_rate for v in found)
    assert len({id(v) for v in found}) == len(found)


def test_second_model_of_the_same_form_has_the_same_digest():
    assert variables.digest(network(), {}) == variables.digest(network(), {})


@pytest.mark.parametrize(
    "other",
    [
        lambda: variables.digest(network(4), {}),
        lambda: variables.digest(network(optimizer="sgd"), {}),
        lambda: variables.digest(network(optimizer=keras.optimizers.Adam(0.5)), {}),
        lambda: variables.digest(network(), {"data": "others"}),
    ],
)
def test_digest_tells_trainings_apart(other):
    assert variables.digest(network(), {}) != other()
