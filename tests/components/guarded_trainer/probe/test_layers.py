# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer.probe.layers import (
    activation_name,
    watched_layers,
    watching,
)
from components.guarded_trainer.tracing import plain_calls

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def names(model):
    return [entry.name for entry in watched_layers(model)]


def test_layers_of_nested_models_are_found_and_containers_left_out():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a")], name="in")
    model = keras.Sequential(
        [keras.Input((3,)), inner, layers.Dense(2, name="b")], name="out"
    )
    assert names(model) == ["in/a", "out/b"]


def test_each_layer_is_found_once_however_often_it_is_used():
    shared = layers.Dense(3, name="shared")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, shared(shared(inputs)))
    assert [x for x in names(model) if "shared" in x] == ["shared"]


def test_layers_of_one_path_get_names_of_their_own():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__(name="twins")
            self.a = layers.Dense(4, name="d")
            self.b = layers.Dense(3, name="d")

        def call(self, inputs):
            return self.b(self.a(inputs))

    model = Twins()
    model(X)
    assert names(model) == ["twins/d", "twins/d (2)"]


def test_cells_belong_to_their_recurrent_layer():
    model = keras.Sequential(
        [keras.Input((5, 3)), layers.Bidirectional(layers.LSTM(2)), layers.Dense(2)]
    )
    kinds = [type(entry.layer).__name__ for entry in watched_layers(model)]
    assert kinds == ["LSTM", "LSTM", "Dense"]
    assert len(watched_layers(model)[0].weights) == 3


def test_weights_of_a_layer_are_its_own():
    class Scaled(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def build(self, shape):
            self.dense.build(shape)
            self.scale = self.add_weight(shape=(), name="scale")

        def call(self, inputs):
            return self.scale * self.dense(inputs)

    model = keras.Sequential([keras.Input((3,)), Scaled()])
    assert [len(entry.weights) for entry in watched_layers(model)] == [1, 2]


def test_frozen_weights_are_not_trainable():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(2)])
    model.layers[0].trainable = False
    assert [len(x.trainable) for x in watched_layers(model)] == [0, 2]


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.Dense(1, "relu"), "relu"),
        (layers.Dense(1, tf.nn.relu), "relu"),
        (layers.Dense(1, keras.ops.tanh), "tanh"),
        (layers.Dense(1), None),
        (layers.Dense(1, "linear"), None),
        (layers.Dense(1, lambda x: x), None),
        (layers.Dense(1, layers.ReLU()), None),
        (layers.Activation("relu6"), "relu6"),
        (layers.ReLU(), "relu"),
        (layers.ReLU(negative_slope=0.1), "leaky_relu"),
        (layers.LeakyReLU(), "leaky_relu"),
        (layers.Softmax(), "softmax"),
        (layers.LSTM(1), "tanh"),
        (layers.Dropout(0.5), None),
    ],
)
def test_activation_goes_by_its_name(layer, name):
    assert activation_name(layer) == name


def watch(model, inputs=X):
    found = {}

    def look(inputs):
        entries = watched_layers(model)
        with watching(entries) as calls:
            model(inputs)
        names = {id(entry.layer): entry.name for entry in entries}
        found.update({names[i]: c for i, c in calls.items()})
        return 0

    tf.function(look, autograph=False).get_concrete_function(inputs)
    return found


def test_calls_are_kept_in_their_order_and_layers_left_as_they_were():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(2, "relu", name="a"),
            layers.Dense(2, name="b"),
        ],
        name="m",
    )
    before = [dict(vars(layer)) for layer in model.layers]
    found = watch(model)
    assert list(found) == ["m/a", "m/b"]
    assert len(found["m/a"].outputs) == len(found["m/a"].activated) == 1
    for layer, old in zip(model.layers, before, strict=True):
        assert vars(layer).keys() == old.keys()
        assert layer.activation is old["activation"]


def test_layers_are_left_as_they_were_when_the_model_raises():
    class Broken(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, "relu")
            self.breaks = False

        def call(self, inputs):
            outputs = self.dense(inputs)
            if self.breaks:
                raise RuntimeError("broken")
            return outputs

    model = Broken()
    model(X)
    model.breaks = True
    with pytest.raises(RuntimeError, match="broken"):
        watch(model)
    assert "call" not in vars(model.dense)
    assert model.dense.activation is keras.activations.relu


def test_what_a_loop_hides_is_not_kept():
    inputs = np.zeros((2, 5, 3), np.float32)
    cell = layers.LSTMCell(2)
    model = keras.Sequential([keras.Input((5, 3)), layers.RNN(cell)])
    found = watch(model, inputs)
    (calls,) = [c for name, c in found.items() if name.endswith("rnn")]
    assert [tensor.shape[-1] for tensor in calls.outputs] == [2]


class Decorated(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4, "relu")
        self.norm = layers.BatchNormalization()

    @tf.function
    def call(self, inputs, training=False):
        if tf.reduce_sum(inputs) > 1e9:
            inputs = 0 * inputs
        return self.head(self.norm(self.dense(inputs), training=training))

    @tf.function
    def head(self, inputs):
        return inputs + 1.0


def test_functions_under_a_decorator_are_traced_anew_and_keep_their_own_trace():
    model = Decorated()
    model(X)
    initial = np.array(model.norm.moving_mean)

    def look(inputs):
        with keras.StatelessScope(), plain_calls(model):
            return model(inputs, training=True)

    outputs = tf.function(look, autograph=False)(tf.constant(X))
    np.testing.assert_array_equal(model.norm.moving_mean, initial)
    np.testing.assert_allclose(outputs, model(X, training=True), rtol=1e-4)
    # The training's own trace still updates the statistics.
    assert np.any(np.array(model.norm.moving_mean) != initial)
    assert "call" not in vars(model)
