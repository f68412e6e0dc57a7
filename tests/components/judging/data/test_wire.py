# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.example import example_pb2

from components.judging.data import wire

_INT64 = st.integers(-(2**63), 2**63 - 1)


def parse(serialized):
    return example_pb2.Example.FromString(serialized).features.feature


@settings(deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=200), st.lists(_INT64), max_size=4),
    st.lists(st.binary(max_size=300)),
    st.lists(st.floats(width=32)),
)
def test_bytes_are_those_of_protobuf(integers, texts, floats):
    columns = {
        name: wire.int_features(np.array([values], np.int64).reshape(1, -1))
        for name, values in integers.items()
    }
    columns["texts\n"] = wire.bytes_features([texts])
    columns["floats\n"] = wire.float_features(np.array([floats], np.float32))
    example = example_pb2.Example()
    example.features.SetInParent()
    for name, values in integers.items():
        example.features.feature[name].int64_list.value.extend(values)
        example.features.feature[name].int64_list.SetInParent()
    example.features.feature["texts\n"].bytes_list.value.extend(texts)
    example.features.feature["texts\n"].bytes_list.SetInParent()
    example.features.feature["floats\n"].float_list.value.extend(floats)
    example.features.feature["floats\n"].float_list.SetInParent()

    (row,) = wire.join(columns, 1)

    assert row == example.SerializeToString(deterministic=True)


def test_a_row_without_a_value_lacks_the_feature():
    rows = wire.join({"a": wire.int_features(np.array([[1]])) + [None]}, 2)
    assert [sorted(parse(row)) for row in rows] == [["a"], []]


def test_rows_without_any_feature_are_examples():
    assert [len(parse(row)) for row in wire.join({}, 3)] == [0, 0, 0]


def test_no_rows_are_no_examples():
    empty = np.zeros((0, 2))
    assert wire.join({"a": wire.float_features(empty)}, 0) == []


@pytest.mark.parametrize("length", [0, 1, 31, 32, 127, 128, 5000])
def test_rows_of_any_length_are_told_apart(length):
    values = np.arange(3 * length, dtype=np.float32).reshape(3, length)
    rows = wire.join({"x": wire.float_features(values)}, 3)
    parsed = [parse(row)["x"].float_list.value for row in rows]
    assert np.array_equal(np.array(parsed), values)
