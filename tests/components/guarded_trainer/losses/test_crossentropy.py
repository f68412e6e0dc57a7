# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf

from components.guarded_trainer.losses.crossentropy import (
    BinaryAdjustedCrossentropy,
    SparseAdjustedCrossentropy,
    SparseFocalCrossentropy,
)

PRIORS = (0.7, 0.2, 0.1)
LOGITS = np.random.default_rng(0).normal(scale=3, size=(7, 3)).astype(np.float32)
IDS = np.arange(7) % 3
UNIT = LOGITS[:, :1]
BINARY = (IDS > 0).astype(np.float32)[:, None]


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


LOSSES = {
    "adjusted": lambda **kw: SparseAdjustedCrossentropy(PRIORS, **kw),
    "smoothed": lambda **kw: SparseAdjustedCrossentropy(label_smoothing=0.1, **kw),
    "focal": SparseFocalCrossentropy,
}


def expected(name):
    """The losses by their definitions."""
    p = softmax(LOGITS + (np.log(PRIORS) if name == "adjusted" else 0))
    chosen = p[np.arange(7), IDS]
    if name == "focal":
        return -((1 - chosen) ** 2) * np.log(chosen)
    if name == "smoothed":
        return -0.9 * np.log(chosen) - 0.1 * np.log(p).mean(axis=1)
    return -np.log(chosen)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("from_logits", [True, False])
def test_loss_is_as_defined(name, from_logits):
    outputs = LOGITS if from_logits else softmax(LOGITS)
    loss = LOSSES[name](from_logits=from_logits, reduction=None)
    np.testing.assert_allclose(loss(IDS, outputs), expected(name), rtol=1e-4)
    # As Keras may hand labels over.
    np.testing.assert_array_equal(
        loss(IDS[:, None].astype(np.float32), outputs), loss(IDS, outputs)
    )


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_unit_is_adjusted_as_two_units_are(from_logits, label_smoothing):
    one = BinaryAdjustedCrossentropy(
        (0.9, 0.1),
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        reduction=None,
    )
    two = SparseAdjustedCrossentropy(
        (0.9, 0.1), label_smoothing, from_logits=True, reduction=None
    )
    both = np.concatenate([np.zeros_like(UNIT), UNIT], axis=1)
    np.testing.assert_allclose(
        one(BINARY, UNIT if from_logits else sigmoid(UNIT)),
        two(BINARY[:, 0], both),
        rtol=1e-4,
    )


def test_equal_shares_change_nothing():
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    equal = SparseAdjustedCrossentropy([1 / 3] * 3, from_logits=True)
    np.testing.assert_allclose(equal(IDS, LOGITS), plain(IDS, LOGITS), rtol=1e-6)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    equal = BinaryAdjustedCrossentropy((0.5, 0.5), from_logits=True)
    np.testing.assert_allclose(equal(BINARY, UNIT), binary(BINARY, UNIT), rtol=1e-6)
    unadjusted = BinaryAdjustedCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        unadjusted(BINARY, UNIT), binary(BINARY, UNIT), rtol=1e-6
    )


ALL = [
    pytest.param(LOSSES["adjusted"], 3, id="adjusted"),
    pytest.param(LOSSES["smoothed"], 3, id="smoothed"),
    pytest.param(LOSSES["focal"], 3, id="focal"),
    pytest.param(
        lambda **kw: BinaryAdjustedCrossentropy((0.9, 0.1), **kw), 1, id="unit"
    ),
]


def extremes(units, from_logits, dtype):
    if units == 1:
        values = [[0.0], [1.0], [1.0], [0.0]]
        labels = [[1.0], [1.0], [0.0], [0.0]]
    else:
        values = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
        labels = [0, 0, 2, 1]
    scale = 1e4 if from_logits else 1.0
    return tf.constant(labels), tf.constant(scale * np.array(values), dtype)


@pytest.mark.parametrize(("make", "units"), ALL)
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16], ids=str)
def test_loss_and_gradient_are_finite_where_outputs_are_extreme(
    make, units, from_logits, dtype
):
    labels, outputs = extremes(units, from_logits, dtype)
    loss = make(from_logits=from_logits, reduction=None)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        values = loss(labels, outputs)
    assert values.dtype == tf.float32
    assert np.isfinite(values).all()
    gradient = tf.cast(tape.gradient(values, outputs), tf.float32)
    # A float16 cannot hold the slope of a logarithm near 0; that of the model's
    # activation, which is 0 there, comes after it.
    if dtype is not tf.float16 or from_logits:
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("make", "units"), ALL)
def test_sample_weights_are_merged(make, units):
    loss = make(from_logits=True)
    each = make(from_logits=True, reduction=None)
    labels = IDS if units > 1 else BINARY
    outputs = LOGITS[:, :units]
    weights = np.linspace(0, 3, 7).astype(np.float32)
    np.testing.assert_allclose(
        loss(labels, outputs, sample_weight=weights),
        np.mean(weights * each(labels, outputs)),
        rtol=1e-5,
    )


@pytest.mark.parametrize(("make", "units"), ALL)
def test_loss_survives_serialization(make, units):
    loss = make(from_logits=True, name="own")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    labels = IDS if units > 1 else BINARY
    np.testing.assert_array_equal(
        copy(labels, LOGITS[:, :units]), loss(labels, LOGITS[:, :units])
    )


@pytest.mark.parametrize(("make", "units"), ALL)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_example_that_is_surely_wrong_can_be_unlearnt(make, units, policy):
    # The probability of the true class has been rounded to 0; its logit tells more.
    keras.config.set_dtype_policy(policy)
    end = keras.layers.Dense(units, "sigmoid" if units == 1 else "softmax")
    model = keras.Sequential([keras.Input((1,)), end])
    end.set_weights([np.zeros((1, units)), np.array([200.0] + [0.0] * (units - 1))])
    model.compile(keras.optimizers.SGD(1.0), make())
    label = np.array([[0.0]]) if units == 1 else np.array([units - 1])
    model.fit(np.zeros((1, 1)), label, verbose=0)
    bias = end.get_weights()[1]
    assert bias[0] < 199.99
