# SPDX-License-Identifier: Apache-2.0
"""How far a share that was measured on a sample may be from the truth."""

from scipy import special

CONFIDENCE = 0.95
"""Of the intervals on the page, as is usual in print. The decision has a confidence of
its own, and is not made by these."""


def share_interval(hits: int, count: int) -> tuple[float, float] | None:
    """Returns the two-sided interval of Clopper and Pearson (1934) of a share.

    Args:
      hits: How many of the sample, between 0 and `count`.
      count: Size of the sample.

    Returns:
      Its ends, within which the true share lies with at least 95 % confidence; None
      of an empty sample.
    """
    if not count:
        return None
    tail = (1 - CONFIDENCE) / 2
    low = special.betaincinv(hits, count - hits + 1, tail) if hits else 0.0
    high = special.betaincinv(hits + 1, count - hits, 1 - tail) if hits < count else 1.0
    return float(low), float(high)
