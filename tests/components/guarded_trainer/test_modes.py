# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer import modes

INPUTS = 2.0 + 3.0 * tf.random.stateless_normal((16, 4), (1, 2))


class OwnBatchNorm(layers.BatchNormalization):
    """Takes fewer arguments than its base, in another order than Keras might."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=training)


class AnyArguments(layers.BatchNormalization):
    def call(self, inputs, **kwargs):
        return super().call(inputs, **kwargs)


class Untold(keras.Model):
    """Its `call` has no argument `training`, so Keras trains it in inference mode."""

    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()
        self.end = layers.Dense(2)

    def call(self, inputs):
        return self.end(self.norm(inputs))


class Told(Untold):
    def call(self, inputs, training=False):
        return self.end(self.norm(inputs, training=training))


class AlwaysInference(Untold):
    def call(self, inputs, training=False):
        return self.end(self.norm(inputs, training=False))


def sequential(*end):
    return keras.Sequential([keras.Input((4,)), *end])


def snapshot(model):
    return [np.array(variable) for variable in model.variables]


def assert_unchanged(model, before):
    for old, new in zip(before, snapshot(model), strict=True):
        np.testing.assert_array_equal(old, new)


def noisy():
    return sequential(
        layers.GaussianNoise(1.0),
        layers.BatchNormalization(momentum=0.5),
        layers.Dropout(0.5),
        layers.Dense(3),
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("in_graph", [False, True])
def test_forward_changes_nothing_and_repeats_itself(training, in_graph):
    model = noisy()
    before = snapshot(model)

    def ask(inputs):
        return modes.forward(model, inputs, training=training)

    ask = tf.function(ask) if in_graph else ask
    first = ask(INPUTS).numpy()
    for inputs in (INPUTS[:3], INPUTS * np.nan, INPUTS):
        again = ask(inputs).numpy()
    np.testing.assert_array_equal(again, first)
    assert_unchanged(model, before)


@pytest.mark.parametrize(
    "make", [noisy, Untold, Told, AlwaysInference], ids=lambda make: make.__name__
)
def test_forward_without_training_is_what_keras_predicts(make):
    model = make()
    expected = model.predict(INPUTS, verbose=0)
    outputs = modes.forward(model, INPUTS, training=False)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "adapts"), [(Untold, False), (Told, True), (AlwaysInference, False)]
)
def test_layers_that_keras_updates_in_training_are_the_adaptive_ones(make, adapts):
    model = make()
    model(INPUTS)
    found = modes.adaptive_layers(model, INPUTS)
    assert found == ((model.norm,) if adapts else ())
    before = np.array(model.norm.moving_mean)
    model.compile("sgd", "mse")
    model.fit(INPUTS, tf.zeros((16, 2)), verbose=0)
    assert np.array_equal(before, model.norm.moving_mean) is not adapts


def test_nested_layers_are_found_and_frozen_ones_are_not():
    inner = sequential(layers.BatchNormalization(name="inner"), layers.Dense(4))
    frozen = sequential(layers.BatchNormalization(name="frozen"), layers.Dense(4))
    frozen.trainable = False
    model = sequential(
        inner,
        frozen,
        layers.BatchNormalization(name="held", trainable=False),
        layers.BatchNormalization(name="last"),
    )
    before = snapshot(model)
    found = modes.adaptive_layers(model, INPUTS)
    assert [layer.name for layer in found] == ["inner", "last"]
    assert_unchanged(model, before)


def test_shared_layer_is_found_once():
    norm = layers.BatchNormalization()
    model = sequential(norm, layers.Dense(4), norm)
    assert modes.adaptive_layers(model, INPUTS) == (norm,)


def test_model_without_batch_norm_has_no_adaptive_layers():
    assert modes.adaptive_layers(sequential(layers.Dense(2)), INPUTS) == ()


@pytest.mark.parametrize(
    "make",
    [
        layers.BatchNormalization,
        lambda: layers.BatchNormalization(synchronized=True),
        lambda: layers.BatchNormalization(center=False, scale=False),
        OwnBatchNorm,
        AnyArguments,
    ],
    ids=["plain", "synchronized", "bare", "subclass", "any-arguments"],
)
def test_batch_statistics_normalise_with_the_batch(make):
    norm = make()
    model = sequential(norm, layers.Dropout(0.5))
    model(INPUTS)
    (found,) = modes.adaptive_layers(model, INPUTS) or (norm,)
    before = snapshot(model)
    inference = modes.forward(model, INPUTS, training=False)
    with modes.batch_statistics([found]):
        outputs = modes.forward(model, INPUTS, training=False)
    rows = np.asarray(INPUTS)
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + norm.epsilon)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert np.abs(inference - outputs).max() > 0.5
    again = modes.forward(model, INPUTS, training=False)
    np.testing.assert_array_equal(again, inference)
    assert_unchanged(model, before)


def test_batch_statistics_leave_other_layers_alone():
    first, second = layers.BatchNormalization(), layers.BatchNormalization()
    model = sequential(first, layers.Dropout(0.9), second)
    with modes.batch_statistics([first]):
        outputs = modes.forward(model, INPUTS, training=False)
    # The second still divides by the square root of its variance of 1, plus epsilon.
    np.testing.assert_allclose(np.mean(outputs, axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.std(outputs, axis=0), 1.0, atol=2e-3)


def test_batch_statistics_end_with_an_error():
    model = sequential(layers.BatchNormalization())
    (norm,) = modes.adaptive_layers(model, INPUTS)
    with pytest.raises(KeyError, match="stop"), modes.batch_statistics([norm]):
        raise KeyError("stop")
    assert "call" not in vars(norm)


def test_training_passed_by_position_is_overruled():
    class Positional(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization()

        def call(self, inputs, training=False):
            return self.norm.call(inputs, training)

    model = Positional()
    model.norm.build((None, 4))
    model(INPUTS)
    with modes.batch_statistics([model.norm]):
        outputs = modes.forward(model, INPUTS, training=False)
    np.testing.assert_allclose(np.mean(outputs, axis=0), 0.0, atol=1e-5)


def test_each_use_of_a_layer_is_told():
    norm = layers.BatchNormalization()
    model = sequential(norm, layers.Dense(4), norm)
    used = []
    with modes.batch_statistics([norm], after_call=used.append):
        modes.forward(model, INPUTS, training=False)
    assert used == [norm, norm]
