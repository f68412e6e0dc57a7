# SPDX-License-Identifier: Apache-2.0
import re
import textwrap
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.user_code import loading
from components.guarded_trainer.user_code.functions import try_augment, try_preprocess

ROWS = tf.constant(np.random.default_rng(0).normal(size=(6, 4, 4, 1)), tf.float32)
CONTEXT = SimpleNamespace(
    train_inputs=tf.data.Dataset.from_tensor_slices(ROWS).batch(3)
)


@pytest.fixture
def code(tmp_path):
    """Loads a user's file."""

    def load(text):
        path = tmp_path / "model.py"
        build = "import keras, numpy as np, tensorflow as tf\n"
        rest = "\ndef build_model(context): ...\n"
        path.write_text(build + textwrap.dedent(text) + rest)
        return loading.load(str(path))

    return load


def preprocess(code, text):
    return try_preprocess(code(text).preprocess, CONTEXT, ROWS)


@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        pytest.param(
            """
            def preprocess(context):
                return lambda x: x / 255
            """,
            (4, 4, 1),
            lambda x: x / 255,
            id="function",
        ),
        pytest.param(
            """
            def preprocess(context):
                layer = keras.layers.Normalization(axis=None)
                layer.adapt(context.train_inputs)
                return layer
            """,
            (4, 4, 1),
            lambda x: (x - np.mean(x)) / np.std(x),
            id="layer",
        ),
        pytest.param(
            """
            def preprocess(context):
                layer = keras.layers.Normalization(axis=None)
                layer.adapt(context.train_inputs)
                return lambda x: tf.reshape(layer(x), (-1, 16))
            """,
            (16,),
            lambda x: ((x - np.mean(x)) / np.std(x)).reshape(-1, 16),
            id="function-with-a-layer",
        ),
        pytest.param(
            """
            def preprocess(context):
                return keras.layers.Dropout(0.5)
            """,
            (4, 4, 1),
            lambda x: x,
            id="layer-in-inference-mode",
        ),
        pytest.param(
            """
            def preprocess(context):
                return lambda x: tf.cast(x > 0, tf.uint8)
            """,
            (4, 4, 1),
            lambda x: x > 0,
            id="integers",
        ),
        pytest.param(
            """
            def preprocess(context):
                return lambda x: tf.math.log(x)
            """,
            (4, 4, 1),
            lambda x: tf.math.log(x).numpy(),
            id="nan-is-for-the-data-check",
        ),
    ],
)
def test_preprocessing_is_applied_to_rows(code, text, shape, expected):
    made = preprocess(code, text)
    assert made.shape == shape
    result = made(ROWS)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, expected(ROWS.numpy()), atol=1e-5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            "1 / 0", r"model\.py:3: preprocess\(context\) failed with Zero", id="raises"
        ),
        pytest.param(
            "pass",
            "a function of a batch of inputs, but it returned NoneType",
            id="none",
        ),
        pytest.param(
            "return lambda x: x.nothing",
            r"model\.py:3: preprocessing a batch failed",
            id="later",
        ),
        pytest.param(
            "return lambda x: tf.random.normal(tf.shape(x))",
            "it is random; move",
            id="random",
        ),
        pytest.param(
            "return lambda x: x + np.random.rand()",
            "it is random; move",
            id="numpy-random",
        ),
        pytest.param(
            "return keras.layers.RandomFlip(seed=1)",
            None,
            id="random-layer-outside-of-training",
        ),
        pytest.param(
            "return lambda x: x - tf.reduce_mean(x)", "treat each row alone", id="batch"
        ),
        pytest.param(
            "return lambda x: x[0]",
            r"keep the 6 rows .* shape \(4, 4, 1\)",
            id="one-row",
        ),
        pytest.param(
            "return lambda x: tf.reduce_mean(x)",
            r"keep the 6 rows .* shape \(\)",
            id="scalar",
        ),
        pytest.param(
            "return lambda x: {'a': x}",
            "one tensor of a batch, but it makes a dict",
            id="dict",
        ),
        pytest.param("return lambda x: tf.as_string(x)", "makes string", id="text"),
        pytest.param(
            "init = tf.lookup.KeyValueTensorInitializer([0], [1])\n"
            "    table = tf.lookup.StaticHashTable(init, 0)\n"
            "    return lambda x: table.lookup(tf.cast(x, tf.int32))",
            "can be exported with the model, but saving it failed: .*untracked",
            id="table",
        ),
        pytest.param(
            "return lambda x: tf.numpy_function(np.abs, [x], tf.float32)",
            "Python of this process",
            id="numpy",
        ),
    ],
)
def test_preprocessing_that_would_serve_another_model_is_refused(code, body, message):
    text = f"def preprocess(context):\n    {body}\n"
    if message is None:
        assert preprocess(code, text).shape == (4, 4, 1)
        return
    with pytest.raises(InputError, match=message) as caught:
        preprocess(code, text)
    assert re.search(r"model\.py", str(caught.value))


def augment(code, body):
    text = f"def augment(context):\n    {body}\n"
    return try_augment(code(text).augment, CONTEXT, ROWS)


def test_augmentation_varies_by_seed(code):
    made = augment(
        code, "return lambda x, seed: x + tf.random.stateless_normal((), seed)"
    )
    one, again, other = (made(ROWS, tf.constant([3, k], tf.int64)) for k in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0


def test_augmentation_with_a_state_is_told(code, caplog):
    augment(code, "return lambda x, seed: x + tf.random.normal(())")
    assert "does not depend on its seed alone" in caplog.text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("1 / 0", r"model\.py:3: augment\(context\) failed", id="raises"),
        pytest.param("return 3", "a seed, but it returned int", id="number"),
        pytest.param(
            "return lambda x: x",
            r"augmenting a batch failed with TypeError",
            id="no-seed",
        ),
        pytest.param(
            "return lambda x, seed: x[:, :2]",
            r"keep the shape \(4, 4, 1\) .* makes \(2, 4, 1\)",
            id="shape",
        ),
        pytest.param("return lambda x, seed: x[:2]", "keep the 6 rows", id="rows"),
        pytest.param(
            "return lambda x, seed: x / 0", "finite numbers, but it makes NaN", id="nan"
        ),
    ],
)
def test_augmentation_that_cannot_be_used_is_refused(code, body, message):
    with pytest.raises(InputError, match=message):
        augment(code, body)


def test_a_random_layer_can_augment(code):
    made = augment(
        code,
        "flip = keras.layers.RandomFlip('horizontal')\n"
        "    return lambda x, seed: flip(x, training=True)",
    )
    batches = tf.data.Dataset.from_tensors(ROWS).map(
        lambda x: made(x, tf.constant([0, 0], tf.int64))
    )
    assert next(iter(batches)).shape == ROWS.shape


def test_keras_stays_in_the_precision_it_was_in():
    assert keras.config.dtype_policy().name == "float32"
