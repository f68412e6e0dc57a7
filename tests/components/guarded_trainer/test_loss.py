# SPDX-License-Identifier: Apache-2.0
import re

import keras
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.loss import Loss, read_loss

THREE = tf.nn.softmax(tf.random.stateless_normal((4, 3), (0, 0)))
ONE = tf.sigmoid(tf.random.stateless_normal((4, 1), (0, 0)))


def compiled(loss):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", loss)
    return model


def sparse_focal(labels, outputs):
    # Keras hands labels over as floats.
    chosen = tf.gather(outputs, tf.cast(labels, tf.int32), axis=1, batch_dims=1)
    return -tf.math.log(chosen) * (1 - chosen) ** 2


def one_hot_focal(labels, outputs):
    return -tf.reduce_sum(labels * tf.math.log(outputs) * (1 - outputs) ** 2, axis=1)


class SparseFocal(keras.losses.Loss):
    def call(self, labels, outputs):
        return sparse_focal(labels, outputs)


class Smoothed(keras.losses.SparseCategoricalCrossentropy):
    pass


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (
            "sparse_categorical_crossentropy",
            Loss("sparse_categorical_crossentropy", False, False),
        ),
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            Loss("sparse_categorical_crossentropy", True, False),
        ),
        (
            keras.losses.sparse_categorical_crossentropy,
            Loss("sparse_categorical_crossentropy", False, False),
        ),
        (Smoothed(), Loss("sparse_categorical_crossentropy", False, False)),
        ("CategoricalCrossentropy", Loss("categorical_crossentropy", False, True)),
        (
            keras.losses.CategoricalFocalCrossentropy(from_logits=True),
            Loss("categorical_focal_crossentropy", True, True),
        ),
        ("bce", Loss("binary_crossentropy", False, True)),
        ("mse", Loss("mean_squared_error", False, True)),
        (keras.losses.KLDivergence(), Loss("kl_divergence", False, True)),
        (["mse"], Loss("mean_squared_error", False, True)),
        (sparse_focal, Loss("", None, False)),
        (one_hot_focal, Loss("", None, True)),
        (SparseFocal(), Loss("", None, False)),
    ],
    ids=lambda value: (
        getattr(value, "name", None) or re.sub(" at 0x[0-9a-f]+", "", str(value))
    ),
)
def test_loss_is_read(loss, expected):
    assert read_loss(compiled(loss), THREE) == expected


def test_loss_for_a_named_output_is_read():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="answer")])
    model.compile("sgd", {"answer": "categorical_crossentropy"})
    assert read_loss(model, THREE).name == "categorical_crossentropy"


def test_model_without_a_loss_tells_nothing():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    assert read_loss(model, THREE) == Loss()
    model.compile("sgd")
    assert read_loss(model, THREE) == Loss()


def test_single_unit_never_wants_one_hot_labels():
    loss = read_loss(compiled(lambda labels, outputs: labels * outputs), ONE)
    assert loss.one_hot is False


@pytest.mark.parametrize(
    ("loss", "came"),
    [
        pytest.param(lambda labels, outputs: tf.reduce_sum(outputs), "both", id="both"),
        pytest.param(lambda labels, outputs: {}["k"], "neither", id="neither"),
        pytest.param(lambda labels, outputs: outputs, "neither", id="no-mean"),
    ],
)
def test_loss_that_does_not_tell_is_refused(loss, came):
    with pytest.raises(InputError, match=f"model: .*takes {came}; let it"):
        read_loss(compiled(loss), THREE)


@pytest.mark.parametrize(
    ("name", "is_binary", "is_categorical"),
    [
        ("binary_crossentropy", True, False),
        ("binary_focal_crossentropy", True, False),
        ("categorical_focal_crossentropy", False, True),
        ("sparse_categorical_crossentropy", False, True),
        ("categorical_hinge", False, False),
        ("", False, False),
    ],
)
def test_kinds_of_crossentropy(name, is_binary, is_categorical):
    loss = Loss(name)
    assert (loss.is_binary, loss.is_categorical) == (is_binary, is_categorical)
