# SPDX-License-Identifier: Apache-2.0
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.content.fingerprint import (
    canonical_floats,
    canonical_pictures,
    canonical_value,
    feature_part,
    fingerprint,
    fingerprint_of,
    number_part_head,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    st.lists(st.binary(max_size=6), max_size=4),
    st.lists(INT64, max_size=4),
    st.lists(st.floats(width=32), max_size=4),
)
FEATURES = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


@given(FEATURES, st.randoms())
def test_order_of_features_does_not_count(features, random):
    items = list(features.items())
    random.shuffle(items)
    assert fingerprint(dict(items)) == fingerprint(features)


@given(FEATURES, st.text(max_size=4))
def test_feature_without_values_equals_an_absent_one(features, name):
    features.pop(name, None)
    assert fingerprint({**features, name: []}) == fingerprint(features)


@given(FEATURES, st.text(max_size=4), VALUES)
def test_ignored_feature_does_not_count(features, name, values):
    features.pop(name, None)
    assert fingerprint({**features, name: values}, {name}) == fingerprint(features)


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_integers_equal_floats_of_the_same_value(values):
    assert canonical_value(values) == canonical_value([float(v) for v in values])


@given(st.lists(st.floats(width=32), min_size=1))
def test_width_of_floats_does_not_count(values):
    narrow, wide = np.array(values, np.float32), np.array(values, np.float64)
    assert canonical_value(narrow) == canonical_value(wide) == canonical_value(values)


def test_zeros_are_equal_whatever_their_sign():
    assert canonical_value([-0.0]) == canonical_value([0.0]) == canonical_value([0])


def test_nans_are_equal_whatever_their_bits():
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000001))[0]
    assert canonical_value([odd]) == canonical_value([float("nan")])
    assert canonical_value([float("nan")]) != canonical_value([float("inf")])


@given(st.lists(INT64, min_size=1), st.lists(INT64, min_size=1))
def test_integers_are_told_apart_over_their_whole_range(some, others):
    assert (canonical_value(some) == canonical_value(others)) == (some == others)


@pytest.mark.parametrize("large", [2**53 + 1, 2**63 - 1, -(2**53) - 1])
def test_integer_that_is_no_float_differs_from_the_nearest_float(large):
    assert canonical_value([large]) != canonical_value([float(large)])


@pytest.mark.parametrize("large", [2**53, 2**60, -(2**63)])
def test_large_integer_that_is_a_float_equals_it(large):
    assert canonical_value([large]) == canonical_value([float(large)])


@given(
    st.lists(st.binary(max_size=4), min_size=1),
    st.lists(st.binary(max_size=4), min_size=1),
)
def test_texts_are_told_apart(some, others):
    assert (canonical_value(some) == canonical_value(others)) == (some == others)


@pytest.mark.parametrize(
    ("some", "other"),
    [
        pytest.param({"a": [b"xy"]}, {"a": [b"x", b"y"]}, id="value-cut-in-two"),
        pytest.param({"a": [b"x", b"yz"]}, {"a": [b"xy", b"z"]}, id="shifted-value"),
        pytest.param({"ab": [b"c"]}, {"a": [b"bc"]}, id="shifted-from-name-to-value"),
        pytest.param({"a": [1, 2]}, {"a": [1], "b": [2]}, id="moved-to-next-feature"),
        pytest.param({"a": [1]}, {"b": [1]}, id="other-name"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, id="other-order-of-values"),
        pytest.param({"a": [5]}, {"a": [b"5"]}, id="number-and-text"),
        pytest.param({"a": [b""]}, {}, id="empty-text-and-nothing"),
        pytest.param({"a": [0]}, {}, id="zero-and-nothing"),
        pytest.param(
            {"a": [struct.pack("<d", 1.0)]}, {"a": [1.0]}, id="bytes-of-a-number"
        ),
    ],
)
def test_different_content_differs(some, other):
    assert fingerprint(some) != fingerprint(other)


def test_fingerprint_never_changes_between_releases():
    features = {"pixels": [0.5, 1.0], "name": [b"x"], "id": [7], "label": [1]}
    known = fingerprint(features, {"label", "id"})
    assert known.hex() == "7ef6ceeb247a29df6e49dfc2801c5cba"


@pytest.mark.parametrize("values", [["text"], [b"x", 1], [object()], [2**64]])
def test_values_of_other_types_are_refused(values):
    with pytest.raises(TypeError, match="must be all bytes, all int64 or all floats"):
        canonical_value(values)


@given(st.text(max_size=4), st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_parts_made_in_columns_equal_those_made_one_by_one(name, values):
    head = number_part_head(name, len(values))
    column = head + canonical_floats(np.array(values, np.float32)).tobytes()
    assert column == feature_part(name, canonical_value(values))
    assert fingerprint_of(column) == fingerprint({name: values})


@pytest.mark.parametrize("large", [2**53 + 1, 2**63 - 1])
def test_integers_that_are_no_floats_are_said_to_be(large):
    assert canonical_floats(np.array([1, large])) is None
    assert canonical_floats(np.array([1, 2**53])).tolist() == [1, 2**53]


def test_pictures_count_by_shape_and_pixels():
    wide, tall = np.zeros((2, 8, 3), np.uint8), np.zeros((8, 2, 3), np.uint8)
    values = [b"encoded"]
    assert canonical_pictures(values, [wide]) == canonical_pictures([b"x"], [wide])
    assert canonical_pictures(values, [wide]) != canonical_pictures(values, [tall])
    strided = np.zeros((4, 8, 3), np.uint8)[::2]
    assert canonical_pictures(values, [wide]) == canonical_pictures(values, [strided])


def test_values_that_are_no_picture_count_as_they_are():
    assert canonical_pictures([b"a", b"b"], [None, None]) == canonical_value(
        [b"a", b"b"]
    )
    pixels = np.zeros((1, 1, 3), np.uint8)
    mixed = {
        canonical_pictures([b"a", b"b"], decoded)
        for decoded in ([None, None], [pixels, None], [None, pixels], [pixels, pixels])
    }
    assert len(mixed) == 4
