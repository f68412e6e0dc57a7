# SPDX-License-Identifier: Apache-2.0
"""How well one column tells the label, measured on examples that are left out.

Each example is judged by the others that share its value, or its bin of values: it
is left out of the count that predicts it (leave-one-out), so that a column of many
values, such as an id, gains nothing from its own rows. Bins are cut without a look
at the labels.

Two views are taken, both 0 for the class prior and 1 for always right:

- accuracy: (accuracy - prior) / (1 - prior), where the prior is the share of the
  most frequent class; the normalisation of the predictive power score (ppscore);
- one class against the rest: Youden's J (1950), recall + specificity - 1, with
  each class weighing the same, so that a class of 1 % counts.

Lower ends are exact (Clopper and Pearson 1934).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

ROWS_PER_BIN = 5
"""Examples in a fine bin. A majority of the 4 others decides: the fewer, the closer
the bins follow a column whose label changes often along its range."""
COARSE_BINS = 20
"""Coarse bins, for columns that tell the label only on the whole."""
NUM_VIEWS = 2


@dataclasses.dataclass(frozen=True)
class Power:
    """How well a column tells the label.

    Attributes:
      value: Predictive power; below 0 if it does worse than the prior.
      low: Lower end of its interval.
      class_code: The class that is told from the rest; None in the accuracy view.
      hits: Examples told correctly; in the view of one class, those of the class.
      count: Examples that the hits are counted among.
    """

    value: float
    low: float
    class_code: int | None
    hits: int
    count: int


def strongest(
    partitions: Sequence[np.ndarray],
    labels: np.ndarray,
    num_classes: int,
    *,
    at_least: float,
    alpha: float,
) -> Iterator[Power]:
    """Yields the power of the best partition in each view.

    Args:
      partitions: Bin of each example, shape (n,), for each way of cutting; the bins
        are integers of at least 0.
      labels: Class of each example, shape (n,), from 0 to `num_classes` - 1.
      num_classes: Number of classes, at least 2.
      at_least: A power of at most this is not worth an interval, and not yielded.
      alpha: One minus the confidence of the two-sided interval.
    """
    n = len(labels)
    sizes = np.bincount(labels, minlength=num_classes)
    prior = sizes.max() / n
    # Of two classes, each against the rest is the same; it is told of the rarer.
    judged = np.array([sizes.argmin()]) if num_classes == 2 else np.flatnonzero(sizes)
    views: dict[bool, list[Power]] = {False: [], True: []}
    for bins in partitions:
        hits, recalled, rejected = leave_one_out(bins, labels, num_classes)
        value = (hits / n - prior) / (1 - prior)
        if value > at_least:
            low = (lower_end(hits, n, alpha) - prior) / (1 - prior)
            views[False].append(Power(value, low, None, hits, n))
        j = recalled / np.maximum(sizes, 1) + rejected / np.maximum(n - sizes, 1) - 1
        for k in judged[j[judged] > at_least].tolist():
            true, count = int(recalled[k]), int(sizes[k])
            # Both shares are below their true values with probability alpha / 2.
            low = lower_end(true, count, alpha / 2) - 1
            low += lower_end(int(rejected[k]), n - count, alpha / 2)
            views[True].append(Power(float(j[k]), low, k, true, count))
    for found in views.values():
        if found:
            yield max(found, key=lambda power: power.low)


def partitions_of(values: np.ndarray) -> list[np.ndarray]:
    """Returns the ways to cut a column of numbers or codes into bins.

    Args:
      values: Shape (n,): float64 with NaN for missing values, or codes with -1.

    Returns:
      Bins by value; for numbers of many values also by rank, finely and coarsely,
      where equal values share a bin; and by presence. Missing values are a bin of
      their own. Ways that put all examples into one bin are left out.
    """
    is_text = values.dtype.kind == "i"
    missing = values < 0 if is_text else np.isnan(values)
    ways = []
    if not missing.all():
        _, start, exact = _rank(values[~missing])
        count, distinct = len(exact), len(start)
        ways.append(exact)
        if not is_text:
            for number in (count // ROWS_PER_BIN, COARSE_BINS):
                if 1 < number < distinct:
                    ways.append((start * number // count)[exact])
    found = []
    for bins in ways:
        whole = np.zeros(len(values), np.int64)
        whole[~missing] = bins + 1
        found.append(whole)
    if missing.any():
        found.append(missing.astype(np.int64))
    return [bins for bins in found if bins.min() != bins.max()]


def _rank(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the distinct values, the rank where each begins, and each row's one."""
    distinct, exact, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return distinct, np.cumsum(sizes) - sizes, exact.reshape(-1)


def leave_one_out(
    bins: np.ndarray, labels: np.ndarray, num_classes: int
) -> tuple[int, np.ndarray, np.ndarray]:
    """Counts how many examples the others in their bin get right.

    An example alone in its bin is given the most frequent class of all. A tie
    counts against the column.

    Args:
      bins: Bin of each example, shape (n,), integers of at least 0.
      labels: Class of each example, shape (n,).
      num_classes: Number of classes.

    Returns:
      The hits of the majority vote; and, for each class against the rest with both
      weighing the same, shape (num_classes,), the examples of the class that are
      recalled and those of the rest that are rejected.
    """
    n = len(labels)
    sizes = np.bincount(labels, minlength=num_classes)
    cells, count = _count(bins * num_classes + labels, n)
    bin_of, class_of = cells // num_classes, cells % num_classes
    # Cells come sorted by bin; within one, let the largest come first.
    order = np.lexsort((-count, bin_of))
    bin_of, class_of, count = bin_of[order], class_of[order], count[order]
    first = np.flatnonzero(np.diff(bin_of, prepend=-1))
    lengths = np.diff(first, append=len(count))
    total = np.repeat(np.add.reduceat(count, first), lengths)
    largest = np.repeat(count[first], lengths)
    second = np.repeat(
        np.where(lengths > 1, count[np.minimum(first + 1, len(count) - 1)], 0), lengths
    )
    is_first = np.zeros(len(count), bool)
    is_first[first] = True
    rival = np.where(is_first, second, largest)
    alone = (total == 1) & (class_of == int(sizes.argmax()))
    hits = int(count[(count - 1 > rival) | alone].sum())

    rest, own = total - count, sizes[class_of]
    others = n - own
    recalled = (count - 1) * others > rest * (own - 1)
    accepted = (rest > 0) & (count * (others - 1) > (rest - 1) * own)
    return (
        hits,
        _sum(class_of, count * recalled, num_classes),
        (n - sizes) - _sum(class_of, rest * accepted, num_classes),
    )


def lower_end(hits: int, count: int, alpha: float) -> float:
    """Returns the lower end of the exact two-sided interval of a share.

    0 where nothing is counted.
    """
    return float(stats.beta.ppf(alpha / 2, hits, count - hits + 1)) if hits else 0.0


def _count(codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct codes, sorted, and how often each occurs."""
    if int(codes.max()) < 8 * n:  # A table is quicker than sorting.
        table = np.bincount(codes)
        distinct = np.flatnonzero(table)
        return distinct, table[distinct]
    distinct, count = np.unique(codes, return_counts=True)
    return distinct, count


def _sum(codes: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Sums integers by code; exact, as all sums are below 2 ** 53."""
    return np.bincount(codes, weights, minlength=size).astype(np.int64)
