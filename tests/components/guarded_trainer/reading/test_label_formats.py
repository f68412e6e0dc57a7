# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from components.errors import InputError
from components.guarded_trainer.reading.label_formats import LabelFormat, read_format


def ids_of(labels, num_classes, class_names=None):
    labels = np.asarray(labels)
    return read_format(labels, num_classes, class_names).class_ids(labels, "y")


@given(
    st.integers(2, 9).flatmap(
        lambda k: st.tuples(
            st.just(k),
            st_numpy.arrays(
                np.int64, st.integers(1, 20), elements=st.integers(0, k - 1)
            ),
        )
    )
)
def test_ids_one_hot_rows_and_texts_stand_for_the_same(problem):
    k, ids = problem
    names = [f"class {i:02d}" for i in range(k)]
    texts = np.array([names[i] for i in ids])
    forms = [
        ids,
        ids[:, None],
        ids.astype(np.float32),
        np.eye(k)[ids],
        texts,
        texts.astype(object),
        np.array([t.encode() for t in texts]),
    ]
    for form in forms:
        np.testing.assert_array_equal(ids_of(form, k, names), ids)


def test_booleans_are_two_classes():
    assert ids_of([True, False], 2).tolist() == [1, 0]


def test_texts_are_sorted_where_nobody_names_them():
    labels = np.array(["b", "a", "b"])
    read = read_format(labels, 2, None)
    assert read == LabelFormat("names", ("a", "b"))
    assert read.class_ids(labels, "y").tolist() == [1, 0, 1]


def test_soft_labels_belong_to_their_largest_class():
    labels = np.array([[0.7, 0.3], [0.05, 0.95]], np.float16)
    assert ids_of(labels, 2).tolist() == [0, 1]


def test_names_stand_for_the_ids():
    assert read_format(np.array([0, 1]), 2, ["no", "yes"]).classes == ("no", "yes")
    assert read_format(np.array([0, 1]), 2, None).classes == (0, 1)


@pytest.mark.parametrize(
    ("labels", "num_classes", "names", "message"),
    [
        pytest.param(
            [1, 2, 3],
            3,
            None,
            r"from 0 to 2, .*but 1 of 3 labels .*smallest 1, largest 3.*subtract 1",
            id="from-one",
        ),
        pytest.param(
            [0, 1, 5], 3, None, "1 of 3 labels.*last layer 6 units", id="units"
        ),
        pytest.param([-1, 1], 2, None, "1 of 2 labels.*map -1 to 0", id="signs"),
        pytest.param([-2, 0, 1], 3, None, "number the classes from 0", id="negative"),
        pytest.param(
            [0.0, 1 / 255], 2, None, r"1 of 2 labels .*row 1 is 0.00392", id="scaled"
        ),
        pytest.param(
            [0.0, float("nan")], 2, None, "row 1 is nan.*without a label", id="nan"
        ),
        pytest.param([[0, 1, 0]], 2, None, "rows of 2 numbers.*have 3", id="columns"),
        pytest.param(
            [[1, 0], [1, 1]], 2, None, "1 of 2 rows are not .row 1 sums to 2", id="two"
        ),
        pytest.param(
            [[2.0, -1.0]], 2, None, "none negative and each with the sum 1", id="minus"
        ),
        pytest.param([[float("nan"), 0.0]], 2, None, "1 of 1 rows", id="nan-row"),
        pytest.param(["a", "b", "c"], 2, None, "2 classes.*name 3 .a, b, c", id="many"),
        pytest.param(
            ["a", "x"], 2, ["a", "b"], "classes a, b, but labels say x", id="unknown"
        ),
        pytest.param([0, 1], 3, ["a", "b"], "3 names.*there are 2", id="few-names"),
        pytest.param([0, 1], 2, ["a", "a"], "'a' stands there 2 times", id="twice"),
        pytest.param([1 + 1j], 2, None, "of type complex128", id="complex"),
        pytest.param([None, 1], 2, None, "of type object", id="mixed"),
        pytest.param([[["a"]], [["b"]]], 2, None, None, id="nested-single-texts"),
        pytest.param([[[0, 1]], [[1, 0]]], 2, None, "expected shape|2", id="3d"),
    ],
)
def test_other_labels_are_refused(labels, num_classes, names, message):
    if message is None:
        assert ids_of(labels, num_classes, names).tolist() == [0, 1]
        return
    with pytest.raises(InputError, match=message):
        ids_of(labels, num_classes, names)
