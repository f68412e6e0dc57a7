# SPDX-License-Identifier: Apache-2.0
import keras
import pytest

from components.guarded_trainer import recording


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ("sgd", "SGD"),
        (keras.optimizers.AdamW(), "AdamW"),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "Adam"),
    ],
)
def test_the_optimizer_is_named_without_its_loss_scaling(optimizer, name):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert recording.optimizer_name(model) == ""
    model.compile(optimizer, "mse")
    assert recording.optimizer_name(model) == name


def test_versions_of_what_shapes_a_model():
    assert recording.versions()["keras"] == keras.__version__
