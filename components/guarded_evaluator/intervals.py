# SPDX-License-Identifier: Apache-2.0
"""One-sided bounds and tests for shares, so that small samples do not decide."""

import math

from scipy import stats


def lower_bound(hits: int, count: int, confidence: float) -> float:
    """Returns the exact lower bound of a share (Clopper and Pearson 1934).

    0 where there are no examples.
    """
    if not count:
        return 0.0
    result = stats.binomtest(hits, count, alternative="greater")
    return float(result.proportion_ci(confidence, "exact").low)


def upper_bound(hits: int, count: int, confidence: float) -> float:
    """Returns the exact upper bound of a share (Clopper and Pearson 1934).

    1 where there are no examples.
    """
    if not count:
        return 1.0
    result = stats.binomtest(hits, count, alternative="less")
    return float(result.proportion_ci(confidence, "exact").high)


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Returns how likely so many examples favour the second of two equal models.

    The exact one-sided test of McNemar (1947) on the examples that exactly one of
    two models gets right; 1 where there are none.
    """
    if not only_first + only_second:
        return 1.0
    result = stats.binomtest(
        only_second, only_first + only_second, 0.5, alternative="greater"
    )
    return float(result.pvalue)


def difference_lower_bound(
    first: tuple[int, int], second: tuple[int, int], confidence: float
) -> float:
    """Returns the lower bound of the difference of two independent shares.

    Newcombe's hybrid score method (1998, method 10), from two Wilson intervals.

    Args:
      first: Hits and count, count above 0.
      second: Hits and count, count above 0.
      confidence: One-sided confidence, at least 0.5.
    """
    share_1, share_2 = first[0] / first[1], second[0] / second[1]
    low, high = _wilson(*first, confidence)[0], _wilson(*second, confidence)[1]
    return share_1 - share_2 - math.hypot(share_1 - low, high - share_2)


def _wilson(hits: int, count: int, confidence: float) -> tuple[float, float]:
    # A one-sided bound of 99 % is an end of the two-sided interval of 98 %.
    ends = stats.binomtest(hits, count).proportion_ci(2 * confidence - 1, "wilson")
    return float(ends.low), float(ends.high)
