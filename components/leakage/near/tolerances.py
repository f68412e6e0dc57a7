# SPDX-License-Identifier: Apache-2.0
"""Chooses how far rows of numbers may differ and still be near-duplicates.

A thousandth of each feature's deviation is far below the distance of two different
rows with ten features. It is not with one or two: of 10^5 honest values of a single
feature each has hundreds of others within that distance. So the share of queries
that have a near-duplicate by chance is estimated from the reference split, and the
relative tolerances shrink, all by one factor, until it is `MAX_CHANCE_SHARE`.

The estimate: a query has a reference within distance r with a probability of at most
n F(r), where n counts references and F(r) is the share of the population within r of
the query. Of a sample of m rows, each has k others within the distance r_k to its
k-th neighbour, so F(r_k) is about k / m; closer in, where no pair of the sample
lies, F(r) = (k / m) (r / r_k)^D, with the dimension D of the data around there: as
there are c r^D rows within r, it is log 3 / log(r_3k / r_k), averaged over rows of
like density (the two-point form of Levina and Bickel, "Maximum likelihood estimation
of intrinsic dimension", NIPS 2004). k is 5. Clusters of fewer rows, such as those of
equal flags, show only in the thirty closest of all pairs of the sample, which are
taken in the same way; the smaller of the two tolerances counts. Of normal data with
one to three features, it is between a third of the true one and the true one.

Near-duplicates within the reference split are what is looked for; they must not pass
for chance. Where the k nearest are closer than the tolerance and the others nine
times as far (a dimension below 1/2, which no continuous data have), they are copies,
and the next k is taken: 15, then 45. Of the closest pairs, those within the
tolerance are left out if all others are nine times as far.

Features that are not shrunk are left out of the distances; chance is less likely with
them than without. Nothing is shrunk where all values are whole steps of more than the
tolerance, as measured with a ruler: then near is equal.
"""

import math
from collections.abc import Sequence

import numpy as np

MAX_CHANCE_SHARE = 5e-5
"""Largest share of queries that may have a near-duplicate by chance. A split blocks
at a share of 1 %: with 100 queries, the worst case, if a single one is near. That
happens to half a percent of such splits at this share; another half is left for the
error of the estimate. Swept over 17 kinds of honest data, of 1 to 30 dimensions and
60 to 30,000 rows: one of 2,142 splits had more than 1 %. With the tolerance as it was,
nearly all splits had that for some kinds: one feature, one latent dimension, flags
and a single number, numbers that are mostly zero."""

SAMPLE_SIZE = 2048
"""Rows of the reference split that the estimate is made from, at most."""

_STEP = 3  # From one number of neighbours to the next.
_COUNTS = (5, 15, 45, 135)  # Numbers of neighbours whose distance is measured.
_PAIRS = 30  # Of all pairs, the closest.
_GAP = _STEP**2  # A dimension of 1/2.
_GROUPS = 8  # Groups of like density.
_MAX_GAPS = 10_000  # Differences that a step is derived from.
_MAX_WORK = 2**28  # Differences computed; 500 features leave 732 rows. A second.


def choose(
    sample: np.ndarray,
    num_references: int,
    relative: float,
    absolute: Sequence[float | None] = (),
) -> tuple[float, ...]:
    """Chooses the tolerance of each feature.

    Args:
      sample: Different rows of the reference split, drawn at random, float64, shape
        (m, features); NaN where a value is missing. The first `SAMPLE_SIZE` serve for
        the estimate of chance, all for the deviations.
      num_references: Different rows in the reference split.
      relative: Largest tolerance in standard deviations of the feature (over its
        finite values, with divisor m), at least 0.
      absolute: Tolerances in the feature's unit, one per feature, None where
        `relative` counts; empty, it does everywhere. They are never shrunk.

    Returns:
      The tolerances, one per feature; 0 for a feature that does not vary.
    """
    given = list(absolute) or [None] * sample.shape[1]
    deviations = _deviations(sample)
    varies = (deviations > 0) & np.array([each is None for each in given], bool)
    if relative > 0 and varies.any():
        scaled = sample[:, varies] / (relative * deviations[varies])
        if not all(has_steps(values) for values in scaled.T):
            relative *= chance_limit(scaled[:SAMPLE_SIZE], num_references)
    return tuple(
        float(relative * deviation) if each is None else float(each)
        for each, deviation in zip(given, deviations, strict=True)
    )


def chance_limit(rows: np.ndarray, num_references: int) -> float:
    """Returns how far chance lets rows differ, at most 1.

    Args:
      rows: Rows in units of their tolerances, shape (m, features).
      num_references: Different rows in the reference split.

    Returns:
      The factor on all tolerances at which `MAX_CHANCE_SHARE` of the queries have a
      near-duplicate by chance; 1 if that is no smaller, or if there are too few
      rows to tell (under six).
    """
    rows = rows[: max(2, math.isqrt(_MAX_WORK // rows.shape[1]))]
    distances, closest = _neighbours(rows)
    if not len(distances):
        return 1.0
    return min(
        _limit_of_rows(distances, num_references / len(rows), rows.shape[1]),
        _limit_of_pairs(
            closest, num_references / math.comb(len(rows), 2), rows.shape[1]
        ),
    )


def _limit_of_rows(distances: np.ndarray, per_row: float, features: int) -> float:
    """Returns the limit by the neighbours of each row.

    Args:
      distances: What `_neighbours` returns.
      per_row: References per row of the sample.
      features: Their number, above which no dimension is.
    """
    at, log_ratio = _innermost(distances)
    near = distances[np.arange(len(at)), at]
    dimension = np.minimum(_dimensions(near, log_ratio), features)
    expected = np.log(per_row * np.array(_COUNTS)[at])

    def share(log_scale: float) -> float:
        log_count = expected + dimension * (log_scale - np.log(near))
        return float(np.exp(np.minimum(log_count, 0)).mean())

    low, high = -100.0, 0.0
    if share(high) <= MAX_CHANCE_SHARE:
        return 1.0
    for _ in range(60):  # Bisection, to the last bit of a float.
        middle = (low + high) / 2
        low, high = (
            (low, middle) if share(middle) > MAX_CHANCE_SHARE else (middle, high)
        )
    return math.exp(low)


def _limit_of_pairs(closest: np.ndarray, per_pair: float, features: int) -> float:
    """Returns the limit by the closest of all pairs.

    Args:
      closest: What `_neighbours` returns.
      per_pair: References per pair of the sample.
      features: Their number, above which no dimension is.
    """
    copies = int(np.searchsorted(closest, 1, "right"))
    if 0 < copies < len(closest) and closest[copies] > _GAP * closest[copies - 1]:
        closest = closest[copies:]
    if len(closest) < _PAIRS * _STEP:
        return 1.0
    near, far = closest[_PAIRS - 1], closest[_PAIRS * _STEP - 1]
    dimension = min(features, math.log(_STEP) / max(math.log(far / near), 1e-9))
    room = math.log(MAX_CHANCE_SHARE / (per_pair * _PAIRS)) / dimension
    return min(1.0, float(near) * math.exp(min(room, 0)))


def has_steps(values: np.ndarray) -> bool:
    """Whether all values differ by multiples of a step greater than 1.

    The step is the greatest common divisor of the differences between neighbours,
    by Euclid's algorithm. It is below 1 soon where values are continuous.

    Args:
      values: Shape (n,), as float32 or more exact; those not finite do not count.
    """
    values = np.unique(values[np.isfinite(values)])
    if len(values) < 2:
        return True
    noise = float(np.abs(values).max()) * 1e-6  # Ten roundings to float32.
    gaps = np.diff(values)
    step = math.inf
    for gap in np.unique(gaps[gaps > noise])[:_MAX_GAPS].tolist():
        larger, step = max(gap, step), min(gap, step)
        while math.isfinite(larger):
            rest = math.remainder(larger, step)
            if abs(rest) <= noise:
                break
            larger, step = step, abs(rest)
        if step <= 1 + noise:
            return False
    return math.isfinite(step)


def _neighbours(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures how far the neighbours of each row are (Chebyshev distance).

    Equal rows are no neighbours. Values that are not finite are compared as 0.

    Returns:
      The distance to the neighbour of each number in `_COUNTS`, shape (n, counts),
      infinite if there are fewer, without rows that have none; and the distances of
      the closest pairs, ascending, each of which is among the `_COUNTS[-1]` nearest of
      one of its rows.
    """
    rows = np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
    places = [count - 1 for count in _COUNTS if count < len(rows)]
    found = np.full((len(rows), len(_COUNTS)), np.inf)
    closest = []
    for i, row in enumerate(rows if places else ()):
        distances = np.abs(rows - row).max(axis=1)
        distances[distances == 0] = np.inf
        distances = np.partition(distances, places)
        found[i, : len(places)] = distances[places]
        closest.append(distances[: places[-1] + 1])
    # Both rows of a pair have measured it.
    pairs = np.sort(np.concatenate([np.empty(0), *closest]))[::2]
    return found[np.isfinite(found).any(axis=1)], pairs[np.isfinite(pairs)]


def _innermost(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest neighbours of each row that are no copies of it.

    Args:
      distances: What `_neighbours` returns.

    Returns:
      Which count to take, int64, and the logarithm of the ratio to the next
      distance, NaN where there is none; shape (n,) each.
    """
    at = np.zeros(len(distances), np.int64)
    for i in range(min(2, distances.shape[1] - 1)):
        inner, outer = distances[:, i], distances[:, i + 1]
        are_copies = (inner <= 1) & (outer > _GAP * inner) & np.isfinite(outer)
        at[are_copies] = i + 1
    rows = np.arange(len(at))
    following = np.minimum(at + 1, distances.shape[1] - 1)
    ratio = distances[rows, following] / distances[rows, at]
    known = (following > at) & np.isfinite(ratio)
    return at, np.log(ratio, out=np.full(len(at), np.nan), where=known)


def _dimensions(near: np.ndarray, log_ratio: np.ndarray) -> np.ndarray:
    """Estimates the dimension of the data around each row, shape (n,).

    Averages over rows of like density, by the farther distance: the ratio does not
    depend on it, but it does on the nearer one. It is 1, the most cautious, where
    nothing is known.
    """
    order = np.argsort(near * np.exp(np.nan_to_num(log_ratio)), kind="stable")
    dimensions = np.ones(len(near))
    for group in np.array_split(order, min(_GROUPS, len(near))):
        known = log_ratio[group][~np.isnan(log_ratio[group])]
        if len(known):
            mean = known.mean()
            dimensions[group] = math.log(_STEP) / mean if mean > 0 else np.inf
    return dimensions


def _deviations(sample: np.ndarray) -> np.ndarray:
    """Returns the standard deviation of the finite values of each feature."""
    deviations = np.zeros(sample.shape[1])
    for i, values in enumerate(sample.T):
        finite = values[np.isfinite(values)]
        if len(finite):
            # Halved, so that no sum of two float64 numbers overflows.
            with np.errstate(over="ignore"):
                deviations[i] = 2 * np.std(finite / 2)
    return np.where(np.isfinite(deviations), deviations, 0.0)
