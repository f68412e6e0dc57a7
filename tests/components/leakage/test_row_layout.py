# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.content.columns import columns_of
from components.leakage.predictive.rows import make_row
from components.leakage.row_layout import RowLayout

ROW = {"b": np.array([1, 2]), "a": np.array([0.5], np.float32), "text": [b"x"]}


def layout_of(*rows):
    made = [make_row(row, "1", label_key="label") for row in rows]
    return RowLayout.of(made, ("label", "id"))


def describe(layout, features):
    (vector,) = layout.vectors(columns_of(features))
    return vector


def test_numbers_stand_by_name_and_the_rest_is_a_hash():
    layout = layout_of(ROW)
    assert layout.sizes == (("a", 1), ("b", 2))
    assert layout.length == 4
    vector = describe(layout, {**ROW, "label": np.array([7]), "id": [b"z"]})
    assert vector[:3].tolist() == [0.5, 1, 2]
    assert vector[3] == describe(layout, ROW)[3]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"text": [b"y"]}, id="another-text"),
        pytest.param({"text": []}, id="no-text"),
        pytest.param({"more": np.array([1.0])}, id="another-feature"),
        pytest.param({"a": [b"0.5"]}, id="number-as-text"),
        pytest.param({"b": np.array([1, 2, 3])}, id="another-size"),
    ],
)
def test_what_must_be_equal_differs_in_the_hash(other):
    layout = layout_of(ROW)
    assert describe(layout, {**ROW, **other})[-1] != describe(layout, ROW)[-1]


def test_absent_numbers_are_nan():
    layout = layout_of(ROW, {"text": [b"x"], "b": np.array([3, 4])})
    vector = describe(layout, {"text": [b"x"]})
    assert np.isnan(vector[:3]).all()
    assert vector[-1] == describe(layout, ROW)[-1]


def test_feature_of_several_sizes_must_be_equal():
    layout = layout_of(ROW, {**ROW, "b": np.array([1.0])})
    assert layout.sizes == (("a", 1),)
    moved = {**ROW, "b": np.array([1, 2.001])}
    assert describe(layout, moved)[-1] != describe(layout, ROW)[-1]


def test_matrix_holds_the_sample_as_it_is_described():
    rows = [ROW, {"b": np.array([5, 6])}, {"a": np.array([np.nan])}]
    layout = layout_of(*rows)
    made = [make_row(row, "1", label_key="label") for row in rows]
    matrix = layout.matrix(made)
    described = np.stack([describe(layout, row) for row in rows])
    np.testing.assert_array_equal(matrix[:, :-1], described[:, :-1])
    assert matrix[:, -1].tolist() == [0, 0, 0]


def test_long_vectors_are_thinned_alike():
    row = {"x": np.arange(10_000.0)}
    layout = layout_of(row)
    assert layout.length == 10_000 // 4 + 1
    vector = describe(layout, row)
    assert vector[:3].tolist() == [0, 4, 8]
    matrix = layout.matrix([make_row(row, "1", label_key="label")])
    np.testing.assert_array_equal(matrix[0, :-1], vector[:-1])


def test_named_tolerances_stand_where_their_feature_does():
    layout = layout_of(ROW)
    assert layout.tolerances({"b": 0.25}) == [None, 0.25, 0.25, 0.0]


@pytest.mark.parametrize("rows", [[], [{"text": [b"x"]}], [{}]])
def test_without_numbers_there_is_no_layout(rows):
    assert layout_of(*rows) is None
