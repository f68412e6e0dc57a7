# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer import modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head, read_head
from components.guarded_trainer.losses.compiling import choose_loss, compile_for
from components.guarded_trainer.losses.settings import LossConfig

INPUTS = tf.random.stateless_normal((5, 4), (1, 2))
SPARSE = Head(3, 3, logits=True, one_hot=False)
UNIT = Head(2, 1, logits=True, one_hot=False)


def ending(units, activation):
    return keras.Sequential([keras.Input((4,)), layers.Dense(units, activation)])


@pytest.fixture(scope="module")
def uneven(class_table):
    return class_table(0, 1, 2, counts=[80, 15, 5])


@pytest.mark.parametrize(
    ("activation", "kind"),
    [("softmax", "plain"), (None, "balanced_softmax"), (None, "focal")],
)
def test_uncompiled_model_is_compiled_to_learn(class_table, activation, kind):
    keras.utils.set_random_seed(0)
    model = ending(3, activation)
    head, _ = read_head(model, 3, INPUTS)
    config = TrainingConfig(learning_rate=0.1, loss={"kind": kind})
    compile_for(model, head, class_table(0, 1, 2, counts=[3, 2, 1]), config)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert read_head(model, 3, INPUTS) == (head, ())
    class_ids = tf.argmax(INPUTS[:, :3], axis=1)
    model.fit(INPUTS, head.encode(class_ids), epochs=40, verbose=0)
    assert model.evaluate(INPUTS, class_ids, verbose=0, return_dict=True)[
        "accuracy"
    ] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("activation", "kind"),
    [("sigmoid", "plain"), (None, "balanced_softmax"), (None, "focal")],
)
def test_uncompiled_single_unit_is_compiled_to_learn(class_table, activation, kind):
    keras.utils.set_random_seed(0)
    model = ending(1, activation)
    head, _ = read_head(model, 2, INPUTS)
    config = TrainingConfig(learning_rate=0.1, loss={"kind": kind})
    compile_for(model, head, class_table(0, 1, counts=[3, 2]), config)
    assert read_head(model, 2, INPUTS) == (head, ())
    class_ids = tf.cast(INPUTS[:, 0] > 0, tf.int64)
    model.fit(INPUTS, head.encode(class_ids), epochs=40, verbose=0)
    scores = model.evaluate(INPUTS, head.encode(class_ids), verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(1.0)
    probabilities = head.probabilities(modes.call(model, INPUTS, training=False))
    np.testing.assert_array_equal(tf.argmax(probabilities, axis=1), class_ids)


@pytest.mark.parametrize(
    ("head", "settings", "name", "kind"),
    [
        (
            SPARSE,
            {"kind": "plain"},
            "sparse_categorical_crossentropy",
            keras.losses.SparseCategoricalCrossentropy,
        ),
        (
            UNIT,
            {"kind": "plain", "label_smoothing": 0.1},
            "binary_crossentropy",
            keras.losses.BinaryCrossentropy,
        ),
        (UNIT, {"kind": "focal"}, "focal", keras.losses.BinaryFocalCrossentropy),
        (
            UNIT,
            {"kind": "balanced_softmax"},
            "balanced_softmax",
            keras.losses.BinaryCrossentropy,
        ),
        (
            SPARSE,
            {"kind": "auto"},
            "balanced_softmax",
            keras.losses.SparseCategoricalCrossentropy,
        ),
    ],
    ids=str,
)
def test_loss_fits_the_head(uneven, class_table, head, settings, name, kind):
    classes = uneven if head is SPARSE else class_table(0, 1, counts=[9, 1])
    chosen = choose_loss(head, classes, LossConfig(**settings))
    assert isinstance(chosen.loss, kind)
    assert chosen.loss.from_logits is True
    assert (chosen.name, chosen.class_weight) == (name, None)


def test_class_weights_go_with_the_plain_loss(class_table):
    classes = class_table(0, 1, 2, counts=[80, 15, 5], weights=[0.5, 2.0, 6.0])
    chosen = choose_loss(SPARSE, classes, LossConfig(kind="class_weights"))
    assert chosen.name == "sparse_categorical_crossentropy"
    assert chosen.class_weight == {0: 0.5, 1: 2.0, 2: 6.0}


def test_labels_are_smoothed_for_any_number_of_units(uneven):
    chosen = choose_loss(SPARSE, uneven, LossConfig(kind="plain", label_smoothing=0.3))
    keras_own = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.3
    )
    outputs, ids = INPUTS[:, :3], np.array([0, 1, 2, 0, 1])
    np.testing.assert_allclose(
        chosen.loss(ids, outputs), keras_own(tf.one_hot(ids, 3), outputs), rtol=1e-5
    )


def test_optimizer_is_as_configured(uneven):
    model = ending(3, "softmax")
    compile_for(model, SPARSE, uneven, TrainingConfig(), jit_compile=False)
    assert type(model.optimizer) is keras.optimizers.Adam
    assert model.optimizer.global_clipnorm is None
    assert model.jit_compile is False
    config = TrainingConfig(
        loss={"regularization": "strong"}, schedule={"clip_norm": 2.0}
    )
    compile_for(model, SPARSE, uneven, config)
    assert type(model.optimizer) is keras.optimizers.AdamW
    assert model.optimizer.weight_decay == 0.05
    assert model.optimizer.global_clipnorm == 2.0


def test_biases_and_normalisation_are_not_decayed(uneven):
    model = keras.Sequential(
        [keras.Input((4,)), layers.BatchNormalization(), layers.Dense(3)]
    )
    config = TrainingConfig(
        learning_rate=1e-3, loss={"kind": "plain", "weight_decay": 100.0}
    )
    compile_for(model, SPARSE, uneven, config)
    normalization, end = model.layers
    end.set_weights([np.ones((4, 3)), np.ones(3)])
    model.fit(INPUTS, np.zeros(5), verbose=0)
    kernel, bias = end.get_weights()
    assert kernel.max() < 0.95
    for kept in (bias, normalization.gamma.numpy()):
        assert kept.min() > 0.99


def test_adjusted_loss_recognises_the_rare_class(class_table):
    # Two overlapping classes, 20 to 1: the plain loss hardly ever answers the second.
    random = np.random.default_rng(0)
    counts = [400, 20]
    ids = np.repeat([0, 1], counts)
    x = (random.normal(size=(420, 4)) + ids[:, None]).astype(np.float32)
    recalls = {}
    for kind in ("plain", "auto"):
        keras.utils.set_random_seed(0)
        model = ending(2, "softmax")
        head, _ = read_head(model, 2, tf.constant(x))
        config = TrainingConfig(learning_rate=0.05, loss={"kind": kind})
        compile_for(model, head, class_table(0, 1, counts=counts), config)
        model.fit(x, ids, epochs=20, verbose=0)
        answers = model.predict(x, verbose=0).argmax(axis=1)
        recalls[kind] = (answers[ids == 1] == 1).mean()
    assert recalls["auto"] > 0.7 > recalls["plain"]
