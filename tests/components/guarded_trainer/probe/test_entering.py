# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from components.guarded_trainer.probe.entering import measure_entering
from components.guarded_trainer.probe.layers import watched_layers

X = np.random.default_rng(0).normal([1, 0, 5], [1, 100, 2], (70, 3))
X = X.astype(np.float32)


def measure(model, inputs=X):
    return measure_entering(model, watched_layers(model), inputs)


def sequential(*end, shape=(3,)):
    return keras.Sequential([keras.Input(shape), *end])


def test_raw_inputs_are_measured_over_the_whole_probe():
    found = measure(sequential(layers.Dense(2)))
    x = X.astype(np.float64)
    assert found.scale == pytest.approx(np.sqrt(np.square(x).mean()))
    assert (found.smallest, found.largest) == (X.min(), X.max())
    assert found.feature_scales == pytest.approx(np.sqrt(np.square(x).mean(axis=0)))


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([layers.BatchNormalization()], id="batch-norm"),
        pytest.param([layers.LayerNormalization()], id="layer-norm"),
        pytest.param(
            [layers.Flatten(), layers.Dropout(0.1), layers.BatchNormalization()],
            id="layers-without-weights",
        ),
        pytest.param([layers.Rescaling(0.001)], id="rescaling"),
    ],
)
def test_layers_that_normalise_bring_inputs_to_order(order):
    assert measure(sequential(*order, layers.Dense(2))).scale < 2


def test_adapted_normalization_brings_inputs_to_order():
    normalize = layers.Normalization()
    normalize.adapt(X)
    assert measure(sequential(normalize, layers.Dense(2))).scale == pytest.approx(1)


def test_normalisation_after_the_first_weights_is_too_late():
    model = sequential(layers.Dense(2), layers.BatchNormalization(), layers.Dense(2))
    assert measure(model).scale > 10


def test_frozen_layers_are_passed():
    model = sequential(layers.Dense(2), layers.Dense(2))
    model.layers[0].trainable = False
    hidden = model.layers[0](X)
    assert measure(model).largest == pytest.approx(np.max(hidden), rel=1e-5)


def test_features_of_sequences_and_pictures_are_their_last_axis():
    pictures = np.full((5, 4, 4, 2), [3.0, 255.0], np.float32)
    model = sequential(layers.Conv2D(2, 3), shape=(4, 4, 2))
    assert measure(model, pictures).feature_scales == pytest.approx((3, 255))


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        pytest.param(
            sequential(layers.Embedding(9, 2), shape=(3,)),
            np.ones((4, 3), np.int32),
            id="ids",
        ),
        pytest.param(sequential(layers.Rescaling(1.0)), X, id="no-weights"),
        pytest.param(
            sequential(layers.Dense(2, trainable=False)), X, id="nothing-trained"
        ),
    ],
)
def test_what_cannot_be_told_is_none(model, inputs):
    assert measure(model, inputs) is None


def test_several_inputs_are_measured_where_they_meet():
    a, b = keras.Input((3,), name="a"), keras.Input((1,), name="b")
    joined = layers.Concatenate()([layers.Rescaling(0.0)(a), b])
    model = keras.Model({"a": a, "b": b}, layers.Dense(2)(joined))
    found = measure(model, {"a": X, "b": np.full((70, 1), 7, np.float32)})
    assert found.feature_scales == pytest.approx((0, 0, 0, 7))


def test_nothing_stays_on_the_model():
    model = sequential(
        layers.GaussianNoise(1.0), layers.BatchNormalization(), layers.Dense(2)
    )
    before = [np.array(v) for v in model.variables]
    attributes = [vars(layer).keys() for layer in model.layers]
    measure(model)
    assert attributes == [vars(layer).keys() for layer in model.layers]
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert model(X).shape == (70, 2)
