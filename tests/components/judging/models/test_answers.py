# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from components.errors import InputError
from components.judging.models import answers

ROWS = np.array([[0.2, 0.8], [1.0, 0.0]], np.float32)


class TestChooseOutput:
    @pytest.mark.parametrize(
        "outputs",
        [
            ROWS,
            {"any": ROWS},
            {"probabilities": ROWS, "label": np.array([1, 0])},
            [ROWS],
            (ROWS,),
        ],
    )
    def test_takes_the_only_one_or_the_probabilities(self, outputs):
        assert answers.choose_output(outputs, "m") is ROWS

    @pytest.mark.parametrize(
        ("outputs", "came"),
        [
            ({"a": ROWS, "b": ROWS}, "a, b"),
            ({}, "none"),
            ([ROWS, ROWS], "2 without names"),
        ],
    )
    def test_refuses_several_without_that_name(self, outputs, came):
        with pytest.raises(InputError, match=f"m: expected one output.*{came}"):
            answers.choose_output(outputs, "m")


class TestNumClasses:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [((None, 3), 3), ((8, 2), 2), ((None, 1), 2), ((8,), 2), ((None, 1000), 1000)],
    )
    def test_counts_one_unit_as_two_classes(self, shape, expected):
        assert answers.num_classes(shape, "m") == expected

    @pytest.mark.parametrize("shape", [(), (8, 3, 1), (None, None), (8, 0)])
    def test_refuses_other_shapes(self, shape):
        with pytest.raises(InputError, match="m: expected outputs of shape"):
            answers.num_classes(shape, "m")


class TestByClass:
    def test_leaves_numbers_as_they_are(self):
        got = answers.by_class(np.array([[-3.0, 7.0]], np.float32), "m")
        assert got.dtype == np.float64
        assert got.tolist() == [[-3.0, 7.0]]

    @pytest.mark.parametrize("shape", [(2, 1), (2,)])
    def test_takes_one_unit_for_the_second_class(self, shape):
        got = answers.by_class(np.array([0.25, 1.0]).reshape(shape), "m")
        assert got.tolist() == [[0.75, 0.25], [0.0, 1.0]]

    @given(
        arrays.arrays(
            np.float32,
            st.tuples(st.integers(0, 4), st.integers(2, 5)),
            elements=st.floats(-80, 80, width=32),
        )
    )
    def test_makes_probabilities_of_logits(self, logits):
        got = answers.by_class(logits, "m", from_logits=True)
        np.testing.assert_allclose(got.sum(axis=1), 1)
        largest = logits.argmax(axis=1)
        assert (got[np.arange(len(got)), largest] == got.max(axis=1, initial=0)).all()

    def test_makes_probabilities_of_one_logit(self):
        got = answers.by_class(np.array([[0.0], [800.0]]), "m", from_logits=True)
        assert got.tolist() == [[0.5, 0.5], [0.0, 1.0]]

    def test_keeps_what_is_not_a_number(self):
        got = answers.by_class(np.array([[np.nan, 1.0]]), "m")
        assert np.isnan(got[0, 0])

    def test_takes_no_rows_at_all(self):
        assert answers.by_class(np.zeros((0, 3), np.float32), "m").shape == (0, 3)

    def test_takes_half_precision(self):
        assert answers.by_class(np.ones((1, 2), np.float16), "m").dtype == np.float64

    @pytest.mark.parametrize("given", [np.array([1, 0]), np.array([["cat"]])])
    def test_refuses_classes_in_place_of_probabilities(self, given):
        with pytest.raises(InputError, match="m: expected probabilities.*type"):
            answers.by_class(given, "m")
