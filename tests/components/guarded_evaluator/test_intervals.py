# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.guarded_evaluator.intervals import (
    difference_lower_bound,
    independence_p_value,
    lower_bound,
    mcnemar_p_value,
    paired_difference_lower_bound,
    upper_bound,
)


@st.composite
def shares(draw, least=1):
    count = draw(st.integers(least, 500))
    return draw(st.integers(0, count)), count


confidences = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999])


def test_bounds_equal_published_values():
    # Clopper and Pearson's 95 % interval of 5 of 10, in any textbook.
    assert lower_bound(5, 10, 0.975) == pytest.approx(0.1871, abs=5e-5)
    assert upper_bound(5, 10, 0.975) == pytest.approx(0.8129, abs=5e-5)


@pytest.mark.parametrize("count", [1, 5, 44, 1000])
def test_bounds_of_none_and_of_all_have_a_closed_form(count):
    assert upper_bound(0, count, 0.99) == pytest.approx(1 - 0.01 ** (1 / count))
    assert lower_bound(count, count, 0.99) == pytest.approx(0.01 ** (1 / count))
    assert lower_bound(0, count, 0.99) == 0
    assert upper_bound(count, count, 0.99) == 1


def test_bounds_of_nothing_say_nothing():
    assert (lower_bound(0, 0, 0.99), upper_bound(0, 0, 0.99)) == (0, 1)


@given(shares(), confidences)
def test_bounds_are_quantiles_of_the_beta_distribution(share, confidence):
    hits, count = share
    if hits:
        low = stats.beta.ppf(1 - confidence, hits, count - hits + 1)
        assert lower_bound(hits, count, confidence) == pytest.approx(low, abs=1e-9)
    if hits < count:
        high = stats.beta.ppf(confidence, hits + 1, count - hits)
        assert upper_bound(hits, count, confidence) == pytest.approx(high, abs=1e-9)


@given(shares())
def test_bounds_enclose_the_share_and_widen_with_confidence(share):
    hits, count = share
    lows = [lower_bound(hits, count, c) for c in (0.9, 0.99, 0.999)]
    highs = [upper_bound(hits, count, c) for c in (0.9, 0.99, 0.999)]
    assert lows == sorted(lows, reverse=True)
    assert highs == sorted(highs)
    assert lows[0] <= hits / count <= highs[0]


@given(shares(), confidences)
def test_more_hits_never_lower_a_bound(share, confidence):
    hits, count = share
    if hits < count:
        for bound in (lower_bound, upper_bound):
            assert bound(hits + 1, count, confidence) >= bound(hits, count, confidence)


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [
        (0, 0, 1),
        (0, 1, 1 / 2),
        (1, 9, 11 / 1024),
        (0, 7, 1 / 128),
        (7, 0, 1),
        (5, 5, (1024 + 252) / 2048),
    ],
)
def test_mcnemar_counts_the_outcomes_of_fair_coins(only_first, only_second, expected):
    assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_falls_as_more_examples_favour_the_second(first, second):
    assert mcnemar_p_value(first, second + 1) <= mcnemar_p_value(first, second)
    assert mcnemar_p_value(first + 1, second) >= mcnemar_p_value(first, second)


def test_difference_equals_newcombes_published_examples():
    # Newcombe 1998, Interval estimation for the difference between independent
    # proportions, table II, method 10: (a) 56/70 - 48/80, (c) 6/7 - 2/7,
    # (d) 5/56 - 0/29, (f) 10/10 - 0/20; two-sided 95 %.
    published = {
        ((56, 70), (48, 80)): 0.0524,
        ((6, 7), (2, 7)): 0.0582,
        ((5, 56), (0, 29)): -0.0381,
        ((10, 10), (0, 20)): 0.6791,
    }
    for (first, second), low in published.items():
        assert difference_lower_bound(first, second, 0.975) == pytest.approx(
            low, abs=5e-5
        )


@given(shares(), shares(), confidences)
def test_difference_is_below_the_measured_one(first, second, confidence):
    low = difference_lower_bound(first, second, confidence)
    assert -1 <= low <= first[0] / first[1] - second[0] / second[1] + 1e-12


@given(shares(), shares())
def test_difference_falls_with_confidence(first, second):
    lows = [difference_lower_bound(first, second, c) for c in (0.5, 0.9, 0.99, 0.999)]
    assert all(a >= b - 1e-12 for a, b in zip(lows, lows[1:], strict=False))


@given(shares(), shares(), confidences)
def test_difference_grows_with_hits_of_the_first(first, second, confidence):
    hits, count = first
    if hits < count:
        more = difference_lower_bound((hits + 1, count), second, confidence)
        assert more >= difference_lower_bound(first, second, confidence) - 1e-12


def test_difference_needs_examples():
    with pytest.raises(ZeroDivisionError):
        difference_lower_bound((0, 0), (1, 2), 0.99)


def test_difference_of_large_samples_is_the_difference():
    low = difference_lower_bound((9 * 10**6, 10**7), (8 * 10**6, 10**7), 0.99)
    assert math.isclose(low, 0.1, abs_tol=1e-3)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), confidences)
def test_paired_difference_is_below_the_measured_one(first, second, equal, confidence):
    count = first + second + equal + 1
    low = paired_difference_lower_bound(first, second, count, confidence)
    assert -1 <= low <= (second - first) / count + 1e-12


def test_paired_difference_is_sure_where_mcnemar_is():
    for second in range(1, 30):
        surely = paired_difference_lower_bound(3, second, 100, 0.99) > 0
        assert surely == (mcnemar_p_value(3, second) < 0.01)


def test_no_differing_rows_make_no_difference():
    assert paired_difference_lower_bound(0, 0, 10, 0.99) == 0


@pytest.mark.parametrize(
    "confusion",
    [[[10, 5], [6, 12]], [[197, 1], [1, 1]], [[50, 40], [45, 55]], [[3, 0], [0, 3]]],
)
def test_independence_of_two_classes_is_fishers_exact_test(confusion):
    exact = stats.fisher_exact(confusion, alternative="greater").pvalue
    drawn = independence_p_value(np.array(confusion))
    assert drawn == pytest.approx(exact, abs=0.025)


@pytest.mark.parametrize(
    "confusion",
    [np.zeros((3, 3), int), [[0, 0], [0, 1]], [[9, 0], [9, 0]], [[0, 9], [9, 0]]],
)
def test_what_tells_nothing_is_independent(confusion):
    assert independence_p_value(np.array(confusion)) == 1


@settings(deadline=None)  # Thousands of pairings may be drawn.
@given(
    st.lists(
        st.lists(st.integers(0, 20), min_size=4, max_size=4), min_size=4, max_size=4
    )
)
def test_independence_is_a_chance_and_always_the_same(confusion):
    p_value = independence_p_value(np.array(confusion))
    assert 0 <= p_value <= 1
    assert independence_p_value(np.array(confusion)) == p_value


@pytest.mark.parametrize(("size", "count"), [(2, 40), (10, 60), (100, 300)])
def test_answers_that_ignore_the_input_rarely_look_dependent(size, count):
    rng = np.random.default_rng(size)
    small = 0
    for _ in range(200):
        confusion = np.zeros((size, size), int)
        shares = rng.dirichlet(np.ones(size))
        answers = rng.choice(size, count, p=shares)
        np.add.at(confusion, (rng.integers(0, size, count), answers), 1)
        small += independence_p_value(confusion) <= 0.01
    assert small <= 8  # Expected are 2; more than 8 in 2 of 10,000 cases.


def test_large_samples_cost_no_more_than_they_must():
    confusion = np.full((10, 10), 1000) + 5 * np.eye(10, dtype=int)
    assert independence_p_value(confusion) > 0.01
    confusion += 500 * np.eye(10, dtype=int)
    assert independence_p_value(confusion) < 0.001
