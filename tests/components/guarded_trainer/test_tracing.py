# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf

from components.guarded_trainer import batch_norm, modes


class Traced(keras.Model):
    """A model whose author has put `tf.function` on its call."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(8)
        self.norm = keras.layers.BatchNormalization(momentum=0.5)
        self.drop = keras.layers.Dropout(0.5)
        self.answer = keras.layers.Dense(2, activation="softmax")

    @tf.function
    def call(self, inputs, training=False):
        hidden = self.norm(self.hidden(inputs), training=training)
        return self.answer(self.drop(hidden, training=training))


@pytest.fixture
def inputs():
    return tf.constant(np.random.default_rng(0).normal(3.0, 2.0, (64, 4)), tf.float32)


@pytest.fixture
def model(inputs):
    keras.utils.set_random_seed(0)
    model = Traced()
    modes.call(model, inputs, training=False)
    return model


def test_asking_before_training_does_not_stop_batch_norm_from_learning(model, inputs):
    assert modes.adaptive_layers(model, inputs) == (model.norm,)
    modes.forward(model, inputs, training=True)
    before = model.norm.moving_mean.numpy()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(inputs, tf.zeros(64), verbose=0)
    assert not np.allclose(model.norm.moving_mean.numpy(), before)


def test_asking_after_training_changes_nothing(model, inputs):
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(inputs, tf.zeros(64), verbose=0)
    before = [v.numpy().copy() for v in model.variables]
    layers = modes.adaptive_layers(model, inputs)
    modes.forward(model, inputs, training=True)
    batch_norm.measure(model, layers, [inputs])
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_what_enters_batch_norm_is_measured(model, inputs):
    layers = modes.adaptive_layers(model, inputs)
    (measured,) = batch_norm.measure(model, layers, [inputs])
    entering = model.hidden(inputs).numpy()
    np.testing.assert_allclose(measured.mean, entering.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(measured.variance, entering.var(axis=0), rtol=1e-3)


def test_the_modes_differ(model, inputs):
    inference = modes.forward(model, inputs, training=False)
    training = modes.forward(model, inputs, training=True)
    assert not np.allclose(inference, training)


def test_the_method_is_as_it_was_afterwards(model, inputs):
    before = model.call
    modes.forward(model, inputs, training=False)
    assert "call" not in vars(model)
    assert type(model.call) is type(before)
