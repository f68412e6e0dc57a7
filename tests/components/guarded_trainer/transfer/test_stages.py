# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from components.guarded_trainer.transfer import stages


@pytest.fixture(scope="module")
def mobilenet():
    return keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.25
    )


@pytest.fixture(scope="module")
def nested():
    """A base with small models inside, as ConvNeXt has, and a pooling branch."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    stem = keras.Sequential(
        [layers.Conv2D(4, 2, strides=2, name="stem"), layers.BatchNormalization()]
    )
    x = stem(inputs)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, name="gate")(gate)
    x = layers.Multiply()([x, gate])
    x = layers.Conv2D(4, 2, strides=2, name="top")(x)
    return keras.Model(inputs, x)


def names(found):
    return [[layer.name for layer in stage] for stage in found]


def test_a_stage_is_the_layers_of_one_resolution(mobilenet):
    found = stages.stages(mobilenet)
    assert [stage[0].name for stage in found] == [
        "conv1",
        "conv_dw_2",
        "conv_dw_4",
        "conv_dw_12",
    ]
    together = [layer for stage in found for layer in stage]
    assert len({layer.name for layer in together}) == len(together) == 27


def test_a_layer_that_pools_belongs_to_those_it_works_for(nested):
    assert names(stages.stages(nested)) == [["stem", "gate"], ["top"]]


@pytest.mark.parametrize(
    ("unfreeze", "first"),
    [
        (0, []),
        (1, ["conv_dw_12"]),
        (2, ["conv_dw_12", "conv_dw_4"]),
        (99, ["conv_dw_12", "conv_dw_4", "conv_dw_2", "conv1"]),
        ("all", ["conv_dw_12", "conv_dw_4", "conv_dw_2", "conv1"]),
    ],
)
def test_stages_are_unfrozen_from_the_top(mobilenet, unfreeze, first):
    chosen = stages.choose(mobilenet, unfreeze)
    assert [stage[0].name for stage in chosen] == first


def test_nothing_else_is_trained(mobilenet):
    chosen = stages.choose(mobilenet, 1)
    stages.unfreeze(mobilenet, chosen)
    trained = {id(w) for w in mobilenet.trainable_weights}
    assert trained == {id(w) for layer in chosen[0] for w in layer.weights}
    stages.unfreeze(mobilenet, ())
    assert not mobilenet.trainable_weights
    # Frozen or not, they are the same stages.
    assert stages.choose(mobilenet, 1) == chosen


def test_layers_of_inner_models_are_unfrozen_one_by_one(nested):
    stages.unfreeze(nested, stages.choose(nested, "all"))
    assert sorted(w.path.split("/")[-2] for w in nested.trainable_weights) == [
        "gate",
        "gate",
        "stem",
        "stem",
        "top",
        "top",
    ]


def test_batch_norm_stays_in_inference_mode(nested):
    stages.unfreeze(nested, stages.choose(nested, "all"))
    before = [np.array(w) for w in nested.non_trainable_weights]
    inputs = np.random.default_rng(0).normal(size=(8, 16, 16, 3)) * 9
    in_training = nested(inputs, training=True)
    np.testing.assert_array_equal(in_training, nested(inputs, training=False))
    for old, new in zip(before, nested.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_from_random_weights_all_layers_are_trained(nested):
    stages.unfreeze(nested, ())
    stages.train_all(nested)
    # Kernels and biases of three layers, scale and shift of one BatchNorm.
    assert len(nested.trainable_weights) == 8
