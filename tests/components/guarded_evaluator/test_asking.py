# SPDX-License-Identifier: Apache-2.0
import shutil

import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_evaluator.asking import Asked, explained, plain, try_models
from components.guarded_evaluator.models import JudgedModel


@pytest.fixture(scope="module")
def with_weights(tmp_path_factory):
    """A SavedModel of which every file matters."""
    module = tf.Module()
    module.weights = tf.Variable(np.ones((200, 3), np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def answer(examples):
        features = {
            "x": tf.io.FixedLenFeature((3,), tf.float32),
            "my count": tf.io.FixedLenFeature((), tf.int64),
        }
        parsed = tf.io.parse_example(examples, features)
        return {"output": tf.nn.softmax(parsed["x"] * module.weights[0])}

    folder = tmp_path_factory.mktemp("with_weights")
    tf.saved_model.save(module, str(folder), {"serving_default": answer})
    return folder


def judged(folder, key=""):
    return JudgedModel("candidate", str(folder), "serving_default", key)


@pytest.mark.parametrize("kept", [None, 0.0, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize(
    "file",
    [
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    ],
)
def test_a_model_that_is_cut_off_is_refused(with_weights, tmp_path, file, kept):
    shutil.copytree(with_weights, tmp_path / "cut")
    path = tmp_path / "cut" / file
    data = path.read_bytes()
    path.unlink()
    if kept is not None:
        # At 1.0 the very last byte is missing.
        path.write_bytes(data[: min(int(kept * len(data)), len(data) - 1)])
    with pytest.raises(InputError, match=r"cut: expected a SavedModel .*; it may be c"):
        Asked(judged(tmp_path / "cut"))


def test_a_flipped_bit_in_the_weights_is_refused(with_weights, tmp_path):
    shutil.copytree(with_weights, tmp_path / "flipped")
    [path] = (tmp_path / "flipped" / "variables").glob("*.data*")
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="expected a SavedModel"):
        Asked(judged(tmp_path / "flipped"))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            {"x": [1.0, 2.0, 3.0]},
            r"an example lacks the feature 'my count' \(int64\) that the model parses",
        ),
        (
            {"x": [1.0, 2.0, 3.0], "my count": 1.5},
            "parses the feature 'my count' otherwise .*float but expected type: int64",
        ),
        (
            {"x": [1.0, 2.0], "my count": 1},
            r"'x' otherwise \(Number of float values != expected.  ?Values size: 2 but",
        ),
    ],
)
def test_data_with_other_features_are_told_by_name(
    with_weights, example, features, message
):
    with pytest.raises(InputError, match=message) as caught:
        Asked(judged(with_weights)).probabilities([example(**features)])
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("the features that it was trained on")


def test_what_is_no_example_is_refused(with_weights):
    with pytest.raises(InputError, match="Could not parse example input"):
        Asked(judged(with_weights)).probabilities([b"abc"])


def test_probabilities_are_those_of_the_model(with_weights, example, softmax):
    rows = np.array([[1.0, 2.0, 3.0], [0.5, 0.0, 1.0]])
    examples = [example(**{"x": row.tolist(), "my count": 1}) for row in rows]
    answers = Asked(judged(with_weights)).probabilities(examples)
    assert answers.dtype == np.float64
    np.testing.assert_allclose(answers, softmax(rows), rtol=1e-6)


def test_sound_models_pass_the_trial(with_weights, example):
    row = example(**{"x": [1.0, 2.0, 3.0], "my count": 1})
    try_models([judged(with_weights), judged(with_weights)], row, 3)
    with pytest.raises(InputError, match=r"of 4 classes, but it answers float32 of sh"):
        try_models([judged(with_weights)], row, 4)


def test_what_beam_adds_is_taken_off():
    model = judged("/model")
    error = InputError("one; clear line [while running 'ToExtracts']\nTraceback")
    assert str(plain(error, model)) == "one; clear line"
    missing = ValueError("Fail to call signature ... [b'...']")
    missing.__cause__ = tf.errors.InvalidArgumentError(
        None, None, "Feature: x (data type: float) is required but could not be found."
    )
    assert "lacks the feature 'x' (float)" in str(plain(missing, model))
    other = RuntimeError("Key: something else.  No matter")
    assert plain(other, model) is other


def test_an_unknown_reason_is_told_in_one_line():
    error = ValueError("Graph execution error:\n\nDetected at node x\nA reason\nmore")
    assert "(ValueError: A reason)" in str(explained(error, judged("/model")))
    assert "no reason given" in str(explained(ValueError(), judged("/model")))
