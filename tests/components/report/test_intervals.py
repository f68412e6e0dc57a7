# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.report.intervals import CONFIDENCE, share_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_that_of_clopper_and_pearson(sample):
    hits, count = sample
    expected = stats.binomtest(hits, count).proportion_ci(CONFIDENCE, "exact")
    assert share_interval(hits, count) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("hits", "count", "interval"),
    [
        (0, 0, None),
        (0, 1, (0.0, 0.975)),
        (1, 1, (0.025, 1.0)),
        (0, 100, (0.0, 0.0362)),
    ],
    ids=["empty", "one-miss", "one-hit", "no-hit"],
)
def test_at_the_ends(hits, count, interval):
    found = share_interval(hits, count)
    assert found == (None if interval is None else pytest.approx(interval, abs=1e-4))
