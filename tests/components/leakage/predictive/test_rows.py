# SPDX-License-Identifier: Apache-2.0
import json
import math

import numpy as np
import pytest

from components.leakage.predictive.rows import (
    MAX_ENTRIES,
    MAX_TEXT,
    make_row,
    stride,
)


def row_of(features, label="cat", **details):
    return make_row(features, label, label_key="label", **details)


def id_of(value, label="cat"):
    ((_, number, is_named),) = row_of({"id": value}, label, no_content=("id",)).ids
    return number, is_named


def test_numbers_are_packed_by_name_and_by_value():
    row = row_of({"b": [2, 3], "a": np.array([0.5], np.float32), "label": [1]})
    assert json.loads(row.layout) == [["a", 1], ["b", 2]]
    assert np.frombuffer(row.numbers, "<f8").tolist() == [0.5, 2.0, 3.0]
    assert row.cells == 3
    assert row == row_of({"a": [0.5], "b": np.array([2.0, 3.0])})


def test_texts_are_hashed_as_a_whole():
    one, other = row_of({"t": [b"ab", b"c"]}), row_of({"t": [b"a", b"bc"]})
    assert one.texts != other.texts
    assert one == row_of({"t": [b"ab", b"c"]})
    assert (
        row_of({"t": [b"x" * (MAX_TEXT + 1)]}).texts
        == row_of({"t": [b"y" * (MAX_TEXT + 1)]}).texts
    )


def test_feature_without_values_is_absent():
    assert row_of({"a": [], "t": []}) == row_of({})


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ([17], 17),
        ([2.5], 2.5),
        ([b"IMG_0042.jpg"], 42),
        ([b"2024-05-01"], 20240501),
        ([b"0" * 30 + b"7"], 0),
    ],
)
def test_number_of_an_id_is_read(value, number):
    assert id_of(value) == (number, False)


def test_id_without_a_digit_has_no_number():
    assert math.isnan(id_of([b"abc"])[0])


@pytest.mark.parametrize(
    ("text", "label", "is_named"),
    [
        (b"train/cat/1.png", "cat", True),
        (b"cat_1", "Cat", True),
        (b"category/1.png", "cat", False),
        (b"photos/3/0031.png", "3", True),
        (b"photos/0031.png", "3", False),
        (b"not a cat (old)/1", "not a cat (old)", True),
    ],
)
def test_label_in_an_id_is_seen_where_it_stands_alone(text, label, is_named):
    assert id_of([text], label)[1] is is_named


@pytest.mark.parametrize(
    ("size", "step"),
    [(1, 1), (MAX_ENTRIES, 1), (MAX_ENTRIES + 1, 2), (4 * MAX_ENTRIES + 1, 8)],
)
def test_long_vectors_are_thinned(size, step):
    assert stride(size) == step
    row = row_of({"x": np.arange(size)})
    kept = np.frombuffer(row.numbers, "<f8")
    assert kept.tolist() == list(range(0, size, step))
    assert len(kept) <= MAX_ENTRIES
