# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.causes import Severity
from components.guarded_trainer.transfer import forgetting
from components.records.training import Forgetting


def rows(right, wrong):
    return np.array([True] * right + [False] * wrong, bool)


def judged(distance, before, after, rolled_back=True):
    return forgetting.judge(
        [Forgetting(layer="base/top", distance=distance)],
        before,
        after,
        max_distance=0.5,
        significance=0.01,
        rolled_back=rolled_back,
    )


def test_a_distance_is_a_share_of_the_norm():
    before = {"a": [np.array([3.0, 4.0])], "b": [np.zeros(2), np.array([1.0])]}
    after = {"a": [np.array([3.0, 4.0])], "b": [np.array([0.0, 2.0]), np.array([1.0])]}
    moved = forgetting.distances(before, after)
    assert [(m.layer, m.distance) for m in moved] == [("b", 2.0), ("a", 0.0)]


@pytest.mark.parametrize(
    ("before", "after", "distance"),
    [
        pytest.param([0.0], [0.0], 0.0, id="zeros-that-stay"),
        pytest.param([0.0], [1.0], math.inf, id="zeros-that-move"),
        pytest.param([1.0], [math.nan], math.inf, id="lost"),
        pytest.param([1.0], [math.inf], math.inf, id="overflown"),
        pytest.param([1.0], [-1.0], 2.0, id="turned-around"),
    ],
)
def test_a_distance_is_never_nan(before, after, distance):
    moved = forgetting.distances({"a": [np.array(before)]}, {"a": [np.array(after)]})
    assert moved[0].distance == distance


def test_no_layers_did_not_move():
    assert forgetting.distances({}, {}) == ()


@pytest.mark.parametrize(
    ("before", "after", "p_value"),
    [
        pytest.param(rows(10, 0), rows(10, 0), 1.0, id="none-changed"),
        pytest.param(rows(0, 0), rows(0, 0), 1.0, id="no-rows"),
        pytest.param(rows(7, 0), rows(0, 7), 2.0**-7, id="all-got-worse"),
        pytest.param(rows(0, 7), rows(7, 0), 1.0, id="all-got-better"),
        pytest.param(
            np.array([1, 1, 0], bool), np.array([0, 1, 1], bool), 0.75, id="even"
        ),
    ],
)
def test_accuracy_fell_is_the_exact_test_of_mcnemar(before, after, p_value):
    assert forgetting.accuracy_fell(before, after) == pytest.approx(p_value)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30), st.randoms())
def test_the_order_of_rows_does_not_matter(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)

    def p_value(pairs):
        columns = np.array(pairs, bool).reshape(-1, 2)
        return forgetting.accuracy_fell(columns[:, 0], columns[:, 1])

    assert 0 < p_value(pairs) <= 1
    assert p_value(pairs) == p_value(shuffled)


def test_a_base_that_moved_far_and_does_worse_forgot():
    (finding,) = judged(0.6, rows(20, 0), rows(10, 10))
    assert finding.cause == "frozen_model"
    assert finding.severity is Severity.WARN
    assert finding.subject.layer == "base/top"
    assert (finding.measured, finding.limit) == (0.6, 0.5)
    assert "from 100.0% to 50.0%" in finding.message
    assert "were restored" in finding.message


def test_without_roll_back_it_blocks():
    (finding,) = judged(0.6, rows(20, 0), rows(10, 10), rolled_back=False)
    assert finding.severity is Severity.BLOCK
    assert "left so" in finding.message


@pytest.mark.parametrize(
    ("distance", "before", "after"),
    [
        pytest.param(0.5, rows(20, 0), rows(10, 10), id="exactly-as-far-as-allowed"),
        pytest.param(9.0, rows(20, 0), rows(20, 0), id="far-but-no-worse"),
        pytest.param(9.0, rows(10, 10), rows(20, 0), id="far-and-better"),
        pytest.param(9.0, rows(20, 0), rows(14, 6), id="worse-by-chance"),
        pytest.param(9.0, rows(0, 0), rows(0, 0), id="no-rows"),
    ],
)
def test_neither_alone_is_forgetting(distance, before, after):
    assert judged(distance, before, after) == ()


def test_seven_rows_that_all_got_worse_are_enough():
    assert judged(9.0, rows(20, 0), rows(13, 7))
    assert not forgetting.judge(
        [],
        rows(20, 0),
        rows(0, 20),
        max_distance=0.5,
        significance=0.01,
        rolled_back=True,
    )
