# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_evaluator.metrics.paired import (
    NUM_FIELDS,
    paired_outcome,
    paired_outcomes,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, [0, 1, 0, 0, 0.4, 1]),
        (1, [0, 0, 1, 0, 0.4, 1]),
        (2, [0, 0, 0, 1, 0.4, 1]),
    ],
)
def test_each_example_counts_once(label, expected):
    ours, theirs = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.7, 0.1])
    assert paired_outcome(label, ours, theirs).tolist() == pytest.approx(expected)


def test_equal_predictions_are_no_distance_apart():
    same = np.array([0.6, 0.4])
    assert paired_outcome(0, same, same).tolist() == [1, 0, 0, 0, 0, 0]


def test_two_wrong_answers_of_one_class_are_no_difference():
    ours, theirs = np.array([0.6, 0.3, 0.1]), np.array([0.5, 0.4, 0.1])
    assert paired_outcome(2, ours, theirs)[[3, 5]].tolist() == [1, 0]


@pytest.mark.parametrize("bad", [[NAN, 1.0], [np.inf, 0.0], [NAN, NAN]])
def test_what_is_not_finite_is_wrong_and_far_away(bad):
    good, bad = np.array([0.9, 0.1]), np.array(bad)
    assert paired_outcome(0, good, bad).tolist() == [0, 1, 0, 0, 1, 1]
    assert paired_outcome(0, bad, good).tolist() == [0, 0, 1, 0, 1, 1]
    # Neither gives a class, so they give no different ones.
    assert paired_outcome(0, bad, bad).tolist() == [0, 0, 0, 1, 1, 0]


def test_outputs_that_are_no_probabilities_are_at_most_one_apart():
    assert paired_outcome(0, np.array([9.0, -9]), np.array([5.0, -2]))[4] == 1
    assert paired_outcome(0, np.array([1e308, 0]), np.array([-1e308, 0]))[4] == 1


def test_one_sigmoid_unit_has_two_classes():
    found = paired_outcomes(np.array([1, 0]), np.array([[0.9], [0.4]]), [[0.3], [0.2]])
    assert found.tolist() == pytest.approx([1, 1, 0, 0, 0.8, 1])


def test_no_examples_have_no_outcomes():
    nothing = np.zeros((0, 3))
    found = paired_outcomes(np.zeros(0, np.int64), nothing, nothing)
    assert found.tolist() == [0] * NUM_FIELDS


@given(st.data())
def test_sums_are_those_of_numpy_however_the_examples_are_cut(data):
    size = data.draw(st.integers(2, 4))
    count = data.draw(st.integers(0, 25))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, size, count)
    ours, theirs = rng.dirichlet(np.ones(size), (2, count))
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    bounds = [0, *cuts, count]
    found = sum(
        paired_outcomes(labels[a:b], ours[a:b], theirs[a:b])
        for a, b in zip(bounds, bounds[1:], strict=False)
    )
    a, b = (p.argmax(axis=1) for p in (ours, theirs))
    right, also = a == labels, b == labels
    exact = [
        np.sum(right & also),
        np.sum(right & ~also),
        np.sum(~right & also),
        np.sum(~right & ~also),
        np.sum(a != b),
    ]
    assert found[[0, 1, 2, 3, 5]].tolist() == exact
    assert found[4] == pytest.approx(np.abs(ours - theirs).sum() / 2, rel=1e-12)


def test_models_of_other_classes_are_not_compared():
    with pytest.raises(ValueError, match="two models with the same classes"):
        paired_outcomes(np.array([0]), np.zeros((1, 2)), np.zeros((1, 3)))


def test_a_label_that_is_no_class_is_an_error():
    with pytest.raises(ValueError, match="class ids from 0 to 1.*one is 2"):
        paired_outcomes(np.array([2]), np.zeros((1, 2)), np.zeros((1, 2)))
