# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from tensorflow.core.example import example_pb2

from components.content.examples import describe_row, label_text, read_features


def test_features_are_read_with_their_types(example):
    features = read_features(example(text=[b"a", b"b"], count=[2**62], width=[0.5]))
    assert features == {"text": [b"a", b"b"], "count": 2**62, "width": np.float32(0.5)}
    assert features["count"].dtype == np.int64
    assert features["width"].dtype == np.float32


def test_features_without_values_are_left_out():
    empty = example_pb2.Example()
    empty.features.feature["no_kind"].SetInParent()
    empty.features.feature["no_value"].int64_list.SetInParent()
    assert read_features(empty.SerializeToString()) == {}
    assert read_features(b"") == {}


def test_other_records_are_refused():
    with pytest.raises(DecodeError):
        read_features(b"\xff not a tf.train.Example")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([3]), "3"),
        ([b"setosa"], "setosa"),
        (["é".encode()], "é"),
        ([b"\xff"], "\\xff"),
        ([b"a", b"b"], "a, b"),
    ],
)
def test_label_becomes_text(values, text):
    assert label_text(values) == text


def test_row_is_described_by_its_ids():
    features = {"id": np.array([7]), "path": [b"a.png"], "x": np.zeros(9)}
    assert describe_row(features, "y", ("path", "id")) == "path=b'a.png', id=7"


def test_row_without_ids_is_described_by_its_first_features():
    features = {"d": [b"x"], "c": np.arange(9), "b": np.array([1]), "a": [b"y"]}
    assert describe_row(features, "a", ("id",)) == "b=1, c=0 1 2 ..., d=b'x'"


def test_row_without_features_has_an_empty_description():
    assert describe_row({}, "y", ()) == ""


def test_description_is_bounded():
    assert len(describe_row({"x": [b"\xff" * 10**6] * 9}, "y", ())) <= 120
