# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.errors import InputError
from components.guarded_trainer.reading import rows as module
from components.guarded_trainer.reading.label_formats import LabelFormat
from components.guarded_trainer.reading.rows import (
    as_arrays,
    check_finite,
    fingerprint,
    labels_of,
    read_rows,
)

IDS = LabelFormat("ids", (0, 1))
X = np.arange(8.0).reshape(4, 2)
Y = np.array([0, 1, 0, 1])


def read(part, where="train"):
    return read_rows(part, IDS, where)


def test_doubles_become_keras_floats_and_bytes_stay():
    inputs = as_arrays({"a": X, "b": [np.arange(4, dtype=np.uint8), X]}, "train")
    assert inputs["a"].dtype == np.float32
    assert isinstance(inputs["b"], tuple)
    assert inputs["b"][0].dtype == np.uint8


def test_lists_of_numbers_are_one_array():
    assert as_arrays([[1.0, 2.0], [3.0, 4.0]], "train").shape == (2, 2)
    assert as_arrays([1.0, 2.0], "train").shape == (2,)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        pytest.param(X, "but it is a ndarray; give inputs and labels", id="alone"),
        pytest.param((X,), "a tuple of 1", id="one"),
        pytest.param((i for i in ()), "generator.*from_generator", id="generator"),
        pytest.param((X, None), "y is None", id="no-labels"),
        pytest.param((X, 3), "y is a single int", id="scalar"),
        pytest.param((X, []), "train: expected examples, but y is empty", id="empty"),
        pytest.param((X[:3], Y), "x has 3 rows and y has 4", id="lengths"),
        pytest.param(({"a": X, "b": X[:1]}, Y), r"x\['b'\] has 1 rows", id="dict"),
        pytest.param((None, Y), "x is a NoneType", id="no-inputs"),
        pytest.param((iter(X), Y), "collect the examples in an array", id="iterator"),
        pytest.param((5.0, Y), "x is a single float", id="number"),
        pytest.param(([[1.0], [1.0, 2.0]] * 2, Y), "same shape", id="ragged"),
        pytest.param(
            (np.array([1, "a", None, 2], object), Y), "mixed or ragged", id="mixed"
        ),
        pytest.param((X, np.eye(2)[Y]), "labels of the same form", id="one-hot"),
        pytest.param((X, Y, np.ones(3)), r"each of 4 examples.*shape \(3,\)", id="w"),
        pytest.param((X, Y, -np.ones(4)), "not negative", id="negative"),
        pytest.param((X, Y, np.zeros(4)), "some of them above 0", id="zero"),
        pytest.param((X, Y, [1, np.nan, 1, 1]), "finite", id="nan-weight"),
    ],
)
def test_what_is_no_data_is_refused(part, message):
    with pytest.raises(InputError, match=message):
        read(part)


def test_nan_is_refused_and_its_column_named():
    import pandas as pd

    frame = pd.DataFrame({"age": [1.0, 2, 3, 4], "size": [1.0, np.nan, 3, np.inf]})
    with pytest.raises(
        InputError, match=r"eval x, column 'size': .* 2 of 4 rows .*first is row 1\)"
    ):
        read((frame, Y), "eval")
    with pytest.raises(InputError, match=r"x\['b'\], column 1: expected finite"):
        read(({"a": X, "b": np.where(X == 3, np.nan, X)}, Y))
    pictures = np.zeros((4, 2, 2, 1))
    pictures[2, 0, 0] = -np.inf
    with pytest.raises(InputError, match=r"train x: expected finite .*row 2"):
        read((pictures, Y))


def test_nan_far_behind_is_found(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 3)
    array = np.zeros((10, 1))
    array[[4, 9]] = np.nan
    with pytest.raises(InputError, match="2 of 10 rows .*row 4"):
        check_finite(array, "x")


def test_large_finite_numbers_and_integers_pass():
    check_finite(np.full((10, 3), 3e38, np.float32), "x")
    check_finite(np.arange(3), "x")


def test_order_does_not_matter_to_the_fingerprint_and_labels_do():
    order = [2, 0, 3, 1]
    first = fingerprint(read((X, Y)))
    assert fingerprint(read((X[order], Y[order]))) == first
    assert fingerprint(read((X, 1 - Y))) != first
    assert fingerprint(read((X[[0, 0, 1, 2]], Y))) != first


def test_texts_and_several_inputs_have_digests():
    part = ({"text": np.array(["a", "b", "a", "c"]), "x": X[[0, 1, 0, 1]]}, Y)
    digests = read(part).digests
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3


def test_labels_may_be_a_list():
    assert labels_of(([1], ["a"]), "train").tolist() == ["a"]
