# SPDX-License-Identifier: Apache-2.0
import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.causes import Severity
from components.errors import InputError
from components.guarded_trainer import modes
from components.guarded_trainer.head import Head, read_head

INPUTS = tf.random.stateless_normal((5, 4), (1, 2))
SPARSE = "sparse_categorical_crossentropy"


def sequential(*end):
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu"), *end])


def functional(*end):
    inputs = outputs = keras.Input((4,))
    for layer in end:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


class Subclassed(keras.Model):
    """Its layers stand in another order than they are used in."""

    def __init__(self, *end):
        super().__init__()
        self.end = end[::-1]

    def call(self, inputs):
        for layer in self.end[::-1]:
            inputs = layer(inputs)
        return inputs


def unbuilt(*end):
    return keras.Sequential(end)


def nested(*end):
    return sequential(keras.Sequential(end))


KINDS = [sequential, functional, Subclassed, unbuilt, nested]
ENDS = {
    "softmax": (lambda: [layers.Dense(3, "softmax")], False),
    "linear": (lambda: [layers.Dense(3)], True),
    "no-bias": (lambda: [layers.Dense(3, use_bias=False)], True),
    "activation": (lambda: [layers.Dense(3), layers.Activation("softmax")], False),
    "softmax-layer": (lambda: [layers.Dense(3), layers.Softmax()], False),
    "reshaped": (lambda: [layers.Dense(3, "softmax"), layers.Reshape((3,))], False),
    "dropout": (lambda: [layers.Dense(3, "softmax"), layers.Dropout(0.5)], False),
    "sigmoids": (lambda: [layers.Dense(3, "sigmoid")], False),
    "operation": (
        lambda: [layers.Dense(3), layers.Lambda(lambda x: keras.ops.softmax(x))],
        False,
    ),
    "own-softmax": (
        lambda: [
            layers.Dense(3),
            layers.Lambda(lambda x: tf.exp(x) / tf.reduce_sum(tf.exp(x), 1)[:, None]),
        ],
        False,
    ),
    "log-softmax": (lambda: [layers.Dense(3, "log_softmax")], True),
    "batch-norm": (lambda: [layers.Dense(3), layers.BatchNormalization()], True),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("end", ENDS)
def test_units_are_told_apart(kind, end):
    make, logits = ENDS[end]
    head, findings = read_head(kind(*make()), 3, INPUTS)
    assert head == Head(num_classes=3, units=3, logits=logits, one_hot=False)
    assert findings == ()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("make", "logits"),
    [
        pytest.param(lambda: [layers.Dense(1, "sigmoid")], False, id="sigmoid"),
        pytest.param(lambda: [layers.Dense(1)], True, id="linear"),
        pytest.param(
            lambda: [layers.Dense(1), layers.Activation("sigmoid")], False, id="layer"
        ),
        pytest.param(
            lambda: [layers.Dense(1, "sigmoid"), layers.Lambda(lambda x: x * 0.9)],
            False,
            id="within-0-and-1",
        ),
        pytest.param(
            lambda: [layers.Dense(1), layers.Lambda(lambda x: x * 99.0)],
            True,
            id="beyond-0-and-1",
        ),
    ],
)
def test_single_unit_is_told_apart(kind, make, logits):
    keras.utils.set_random_seed(0)
    head, findings = read_head(kind(*make()), 2, INPUTS)
    assert head == Head(num_classes=2, units=1, logits=logits, one_hot=False)
    assert findings == ()


def test_compiled_loss_tells_what_a_single_unit_means():
    model = sequential(layers.Dense(1), layers.Lambda(lambda x: tf.abs(x) / 1e6))
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    assert read_head(model, 2, INPUTS)[0].logits is True
    model.compile("sgd", "binary_crossentropy")
    assert read_head(model, 2, INPUTS)[0].logits is False


def test_average_of_softmaxes_is_a_distribution():
    inputs = keras.Input((4,))
    ends = [layers.Dense(3, "softmax")(inputs) for _ in range(2)]
    model = keras.Model(inputs, layers.Average()(ends))
    assert read_head(model, 3, INPUTS)[0].logits is False


def test_reading_changes_nothing():
    model = sequential(
        layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3)
    )
    before = model.get_weights()
    read_head(model, 3, INPUTS)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(
            lambda: sequential(layers.Dense(4)),
            "expected 3 outputs, .* has 4; use `context.num_classes`",
            id="too-many",
        ),
        pytest.param(
            lambda: sequential(layers.Dense(1)),
            "expected 3 .* has 1",
            id="one-of-three",
        ),
        pytest.param(
            lambda: sequential(layers.Reshape((3, 1))),
            r"\(batch, 3\), .* answers \(5, 3, 1\); end the model",
            id="rank",
        ),
        pytest.param(
            lambda: keras.Model(
                (x := keras.Input((4,))), [layers.Dense(3)(x), layers.Dense(3)(x)]
            ),
            "answers a list of outputs",
            id="several",
        ),
        pytest.param(
            lambda: keras.Model((x := keras.Input((4,))), {"y": layers.Dense(3)(x)}),
            "answers a dict of outputs",
            id="named",
        ),
    ],
)
def test_model_of_another_shape_is_refused(model, message):
    with pytest.raises(InputError, match=f"model: .*{message}"):
        read_head(model(), 3, INPUTS)


@pytest.mark.parametrize(
    ("units", "loss", "one_hot"),
    [
        (3, SPARSE, False),
        (3, "categorical_crossentropy", True),
        (3, keras.losses.BinaryCrossentropy(), True),
        (1, "binary_crossentropy", False),
        (1, "mse", False),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),
)
def test_labels_follow_the_loss(units, loss, one_hot):
    model = sequential(layers.Dense(units, "softmax" if units > 1 else "sigmoid"))
    model.compile("sgd", loss)
    head, findings = read_head(model, 3 if units == 3 else 2, INPUTS)
    assert head.one_hot is one_hot
    assert not any(finding.blocks for finding in findings)
    labels = head.encode(tf.constant([0, 1], tf.int64)).numpy()
    if one_hot:
        np.testing.assert_array_equal(labels, [[1, 0, 0], [0, 1, 0]])
    else:
        np.testing.assert_array_equal(labels, [[0], [1]] if units == 1 else [0, 1])


BINARY_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
SPARSE_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
HUGE = layers.Lambda(lambda x: tf.nn.relu(x) + 5)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "severity"),
    [
        (3, "softmax", SPARSE, None),
        (3, None, SPARSE_LOGITS, None),
        (3, None, SPARSE, Severity.BLOCK),
        (3, "relu", "categorical_crossentropy", Severity.BLOCK),
        (3, "softmax", SPARSE_LOGITS, Severity.WARN),
        (3, "relu", SPARSE_LOGITS, Severity.WARN),
        (3, "tanh", SPARSE, Severity.BLOCK),
        (3, "tanh", SPARSE_LOGITS, Severity.WARN),
        (3, "sigmoid", SPARSE, Severity.WARN),
        (3, "sigmoid", SPARSE_LOGITS, Severity.WARN),
        (3, "softmax", "binary_crossentropy", Severity.WARN),
        (3, "softmax", BINARY_LOGITS, Severity.WARN),
        (3, "sigmoid", BINARY_LOGITS, Severity.WARN),
        (3, "sigmoid", "binary_crossentropy", None),
        (3, "hard_sigmoid", "binary_crossentropy", None),
        (3, None, "binary_crossentropy", Severity.BLOCK),
        (3, None, BINARY_LOGITS, None),
        (3, None, "mse", Severity.WARN),
        (3, "softmax", "mse", None),
        (3, "softmax", "mae", Severity.WARN),
        (3, None, "hinge", Severity.WARN),
        (3, None, "categorical_hinge", None),
        (3, "softmax", "kl_divergence", None),
        (3, None, "kl_divergence", Severity.BLOCK),
        (3, None, "poisson", Severity.BLOCK),
        (3, None, lambda y, p: keras.losses.categorical_crossentropy(y, p), None),
        (1, "sigmoid", "binary_crossentropy", None),
        (1, None, BINARY_LOGITS, None),
        (1, None, "binary_crossentropy", Severity.BLOCK),
        (1, "sigmoid", BINARY_LOGITS, Severity.WARN),
        (1, "softmax", "binary_crossentropy", Severity.BLOCK),
        (1, "sigmoid", "categorical_crossentropy", Severity.BLOCK),
        (1, "sigmoid", "kl_divergence", Severity.BLOCK),
        (1, "relu", "binary_crossentropy", Severity.BLOCK),
        (1, "tanh", "binary_crossentropy", Severity.BLOCK),
        (1, "sigmoid", "mse", None),
        (1, None, "mse", Severity.BLOCK),
        (1, "relu", "mae", Severity.BLOCK),
        (1, None, "hinge", Severity.WARN),
        (1, "tanh", "hinge", Severity.WARN),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),
)
def test_loss_is_held_against_the_last_layer(units, activation, loss, severity):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of a softmax over one unit.
        model = sequential(layers.Dense(units, activation))
        model.compile("sgd", loss)
        _, findings = read_head(model, max(units, 2), INPUTS)
    assert [(f.cause, f.severity) for f in findings] == (
        [("loss_mismatch", severity)] if severity else []
    )


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", "binary_crossentropy"),
        ("softmax", SPARSE_LOGITS),
        ("sigmoid", SPARSE),
        ("sigmoid", SPARSE_LOGITS),
        ("tanh", SPARSE_LOGITS),
        (None, "hinge"),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),
)
def test_what_only_warns_learns_all_the_same(activation, loss):
    keras.utils.set_random_seed(0)
    class_ids = np.arange(90) % 3
    inputs = np.eye(4, dtype=np.float32)[class_ids]
    model = sequential(layers.Dense(16, "tanh"), layers.Dense(3, activation))
    model.compile(keras.optimizers.Adam(0.05), loss)
    head, _ = read_head(model, 3, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of `from_logits`.
        model.fit(inputs, head.encode(tf.constant(class_ids)), epochs=8, verbose=0)
    answers = model(inputs[:3]).numpy().argmax(axis=1)
    np.testing.assert_array_equal(answers, class_ids[:3])


def test_labels_out_of_range_for_a_single_unit_are_refused():
    model = sequential(layers.Dense(1, "sigmoid"))
    model.compile("sgd", SPARSE)
    with pytest.raises(InputError, match="model: .* label 1 is out of its range; use"):
        read_head(model, 2, INPUTS)


def test_blocking_mismatch_says_what_to_use_instead():
    model = sequential(layers.Dense(1))
    model.compile("sgd", "mse")
    _, (finding,) = read_head(model, 2, INPUTS)
    assert "class ids 0 and 1" in finding.message
    assert "sigmoid" in finding.remedy


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("head", "outputs", "expected"),
    [
        pytest.param(
            Head(3, 3, logits=False, one_hot=False),
            [[0.5, 0.25, 0.25]],
            [[0.5, 0.25, 0.25]],
            id="probabilities",
        ),
        pytest.param(
            Head(3, 3, logits=False, one_hot=False),
            [[0.8, 0.8, 0.4]],
            [[0.4, 0.4, 0.2]],
            id="independent-units",
        ),
        pytest.param(
            Head(3, 3, logits=False, one_hot=False),
            [[0, 0, 0]],
            [[0, 0, 0]],
            id="zeros",
        ),
        pytest.param(
            Head(3, 3, logits=True, one_hot=False),
            [[1.0, 2.0, -3.0]],
            softmax(np.array([[1.0, 2.0, -3.0]])),
            id="logits",
        ),
        pytest.param(
            Head(2, 1, logits=False, one_hot=False),
            [[0.25], [1.0]],
            [[0.75, 0.25], [0.0, 1.0]],
            id="unit",
        ),
        pytest.param(
            Head(2, 1, logits=True, one_hot=False),
            [[0.0], [100.0]],
            [[0.5, 0.5], [0.0, 1.0]],
            id="logit",
        ),
        pytest.param(
            Head(2, 2, logits=False, one_hot=False),
            [[np.nan, 0.5]],
            [[np.nan, np.nan]],
            id="nan",
        ),
    ],
)
def test_probabilities(head, outputs, expected):
    probabilities = head.probabilities(tf.constant(outputs, tf.float32))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_probabilities_are_float32(dtype):
    head = Head(3, 3, logits=True, one_hot=False)
    probabilities = head.probabilities(tf.zeros((2, 3), dtype))
    assert probabilities.dtype == tf.float32


@pytest.mark.parametrize("units", [1, 2])
def test_mixed_precision_gives_exact_probabilities(units):
    keras.config.set_dtype_policy("mixed_float16")
    model = sequential(layers.Dense(units, "softmax" if units == 2 else "sigmoid"))
    head, findings = read_head(model, 2, INPUTS)
    assert (head.logits, findings) == (False, ())
    outputs = modes.call(model, INPUTS, training=False)
    assert outputs.dtype == tf.float16
    sums = tf.reduce_sum(head.probabilities(outputs), axis=1)
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)


def test_no_rows_have_no_probabilities():
    head = Head(3, 3, logits=False, one_hot=False)
    assert head.probabilities(tf.zeros((0, 3))).shape == (0, 3)
