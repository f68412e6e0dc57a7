# SPDX-License-Identifier: Apache-2.0
"""One-sided bounds and tests for shares, so that small samples do not decide."""

import math

import numpy as np
from scipy import special, stats

_NUM_PAIRINGS, _NUM_AT_ONCE = 2000, 20
_ENOUGH_REACHED = 100
"""Pairings as good as the measured one from which there is no signal to speak of."""
_SURE = 0.001


def lower_bound(hits: int, count: int, confidence: float) -> float:
    """Returns the exact lower bound of a share (Clopper and Pearson 1934).

    0 where there are no examples.
    """
    if not hits:
        return 0.0
    return float(special.betaincinv(hits, count - hits + 1, 1 - confidence))


def upper_bound(hits: int, count: int, confidence: float) -> float:
    """Returns the exact upper bound of a share (Clopper and Pearson 1934).

    1 where there are no examples.
    """
    if hits == count:
        return 1.0
    return float(special.betaincinv(hits + 1, count - hits, confidence))


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


def paired_difference_lower_bound(
    only_first: int, only_second: int, count: int, confidence: float
) -> float:
    """Returns the lower bound of the second share minus the first, of the same rows.

    By the exact bound of the share of the second among the rows that count for one of
    them alone, their number as it is. 0 where there are none.

    Args:
      only_first: Rows that count for the first alone.
      only_second: Rows that count for the second alone.
      count: All rows, above 0.
      confidence: One-sided confidence.
    """
    differing = only_first + only_second
    low = lower_bound(only_second, differing, confidence)
    return (2 * low - 1) * differing / count


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


def independence_p_value(confusion: np.ndarray) -> float:
    """Returns how likely answers that ignore the input show so much mean recall.

    The permutation test of independence: with labels and answers as they are but
    paired at random, how often is the mean recall as high? Where the exact mean and
    variance leave no doubt (Cantelli's inequality), their bound is returned; else up
    to 2,000 pairings are drawn, always the same ones for the same counts.

    Args:
      confusion: Examples by true class (row) and answered class (column), shape
        (K, K). Classes without examples do not count; answers that name them do.

    Returns:
      A p-value; 1 where there is no example.
    """
    true, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    total = int(true.sum())
    present = true > 0
    if total < 2:
        return 1.0
    measured = float(np.sum(np.diag(confusion)[present] / true[present]))
    share = answered[present] / total
    mean = float(share.sum())
    # Of hypergeometric counts: each hit is one of a class's examples meeting one of
    # its answers; the classes take from the same examples and answers.
    own = share * (1 - share) * (total - true[present]) / true[present]
    crossed = mean**2 - float(np.sum(share**2))
    variance = max((float(own.sum()) + crossed) / (total - 1), 0.0)
    if not variance or measured <= mean:
        return 1.0
    score = (measured - mean) / math.sqrt(variance)
    cantelli = 1 / (1 + score**2)
    return cantelli if cantelli <= _SURE else _drawn_p_value(confusion, measured)


def _drawn_p_value(confusion: np.ndarray, measured: float) -> float:
    """Draws pairings until the outcome is plain (Besag and Clifford 1991)."""
    true = confusion.sum(axis=1)
    rng = np.random.default_rng(int(true.sum()))
    reached = drawn = 0
    while drawn < _NUM_PAIRINGS and reached < _ENOUGH_REACHED:
        hits = _draw_hits(confusion, rng)
        recalls = np.divide(hits, true, where=true > 0, out=np.zeros(hits.shape))
        # Sums of the same numbers in another order may differ by rounding.
        reached += int(np.sum(recalls.sum(axis=1) >= measured - 1e-9))
        drawn += len(hits)
    return (reached + 1) / (drawn + 1)


def _draw_hits(confusion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws pairings of labels and answers; returns hits by class, shape (R, K)."""
    size, true, answered = len(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    total = int(true.sum())
    if size**2 <= total:  # A table costs as much as it has cells,
        tables = stats.random_table(true, answered, seed=rng).rvs(size=_NUM_AT_ONCE)
        return np.diagonal(tables, axis1=1, axis2=2)
    # and pairs as much as there are examples.
    labels = np.repeat(np.arange(size), true)
    answers = np.tile(np.repeat(np.arange(size), answered), (_NUM_AT_ONCE, 1))
    hit = rng.permuted(answers, axis=1) == labels
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    hits = np.zeros((_NUM_AT_ONCE, size))
    hits[:, labels[starts]] = np.add.reduceat(hit, starts, axis=1, dtype=np.int64)
    return hits
