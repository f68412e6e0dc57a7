# SPDX-License-Identifier: Apache-2.0
import keras
import pytest
import tensorflow as tf
from keras import layers

from components.errors import InputError
from components.guarded_trainer import trainee
from components.guarded_trainer.config import TrainingConfig

INPUTS = tf.zeros((4, 3))
CONFIG = TrainingConfig(learning_rate=0.5)


def network(units, activation="softmax", **compiled):
    model = keras.Sequential(
        [layers.BatchNormalization(), layers.Dense(units, activation)]
    )
    if compiled:
        model.compile("sgd", **compiled)
    return model


@pytest.mark.parametrize(("units", "expected"), [(1, 2), (2, 2), (7, 7)])
def test_units_tell_the_classes(units, expected):
    assert trainee.count_classes(network(units, None), INPUTS) == expected


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda x: [x, x], "answers a list of 2 outputs"),
        (lambda x: {"a": x, "b": x}, "answers a dict of 2 outputs"),
        (lambda x: layers.Reshape((3, 1))(x), r"answers \(4, 3, 1\); end it with"),
    ],
)
def test_other_outputs_are_refused(end, message):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, end(layers.Dense(3)(inputs)))
    with pytest.raises(InputError, match=message):
        trainee.count_classes(model, INPUTS)


def test_an_uncompiled_model_is_compiled(class_table):
    model = network(2)
    ready = trainee.prepare(
        model, INPUTS, class_table(0, 1), CONFIG, compile_options={"jit_compile": False}
    )
    assert ready.loss == model.loss.name == "sparse_categorical_crossentropy"
    assert float(model.optimizer.learning_rate) == 0.5
    assert [type(layer).__name__ for layer in ready.batch_norm_layers] == [
        "BatchNormalization"
    ]
    assert (ready.class_weight, ready.findings) == (None, ())


def test_a_compiled_model_stays_as_it_is(class_table):
    model = network(2, loss="categorical_crossentropy")
    optimizer = model.optimizer
    classes = class_table(0, 1, counts=(90, 10), weights=(0.6, 5.0))
    ready = trainee.prepare(model, INPUTS, classes, CONFIG)
    assert model.optimizer is optimizer
    assert ready.head.one_hot
    assert ready.class_weight == {0: 0.6, 1: 5.0}
    ready = trainee.prepare(model, INPUTS, classes, CONFIG, has_sample_weights=True)
    assert ready.class_weight is None


@pytest.mark.parametrize("one_hot", [False, True])
def test_labels_tell_what_a_loss_that_takes_either_is_given(class_table, one_hot):
    def loss(y_true, y_pred):
        return keras.ops.mean(y_true) * keras.ops.mean(y_pred)

    model = network(2, loss=loss)
    ready = trainee.prepare(model, INPUTS, class_table(0, 1), CONFIG, one_hot=one_hot)
    assert ready.head.one_hot is one_hot


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("mse", "mse"),
        (keras.losses.BinaryCrossentropy(), "binary_crossentropy"),
        ([keras.losses.Hinge()], "hinge"),
        (lambda y, p: 0.0, "<lambda>"),
        (None, "custom"),
    ],
)
def test_losses_have_names(loss, name):
    model = network(2)
    model.compile("sgd", loss)
    assert trainee.loss_name(model) == name
