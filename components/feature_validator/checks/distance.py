# SPDX-License-Identifier: Apache-2.0
"""How far two distributions are apart, from quantiles, and whether by chance."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from components.feature_validator.features import Numbers

_LEVELS = np.linspace(0.1, 0.9, 9)
"""Shares at which two distributions are fitted to each other: TFDV's deciles."""


def distance(first: Numbers, second: Numbers) -> float:
    """Returns the Kolmogorov-Smirnov distance of two distributions.

    It is taken at the knots of both. Between its knots a distribution is
    interpolated, so from deciles the result can be wrong by up to 0.1 where most
    values gather in a few places.

    Args:
      first: A comparable feature.
      second: A comparable feature.

    Returns:
      From 0 for equal distributions to 1 for those that do not overlap.
    """
    points = np.concatenate([first.knots, second.knots])
    return float(np.abs(first.cdf(points) - second.cdf(points)).max())


def distances(rows: Sequence[Numbers], columns: Sequence[Numbers]) -> np.ndarray:
    """Returns the distance of each row from each column.

    Args:
      rows: Comparable features.
      columns: Comparable features.

    Returns:
      Shape (len(rows), len(columns)).
    """
    result = np.zeros((len(rows), len(columns)))
    points = np.concatenate([row.knots for row in rows])
    starts = np.cumsum([0, *(len(row.knots) for row in rows)])[:-1]
    own = np.concatenate([row.cdf(row.knots) for row in rows])
    for j, column in enumerate(columns):
        at_rows = np.abs(column.cdf(points) - own)
        result[:, j] = np.maximum.reduceat(at_rows, starts)
        at_column = column.cdf(column.knots)
        for i, row in enumerate(rows):
            differences = np.abs(row.cdf(column.knots) - at_column)
            result[i, j] = max(result[i, j], differences.max())
    return result


def chance(distance: float, num_first: int, num_second: int) -> float:
    """Returns how likely two samples of one distribution are so far apart.

    The asymptotic test of Kolmogorov and Smirnov, on the safe side for few
    examples and for values that repeat. Where an example has several values, give the
    number of examples: the share of an example's values below a point varies no
    more than a single value does.

    Args:
      distance: Kolmogorov-Smirnov distance.
      num_first: Examples of the first sample.
      num_second: Examples of the second sample.

    Returns:
      At most 1; 1 if a sample is empty.
    """
    if not (num_first and num_second):
        return 1.0
    size = num_first * num_second / (num_first + num_second)
    return float(stats.kstwobign.sf(distance * math.sqrt(size)))


def chance_distance(p_value: float, num_first: int, num_second: int) -> float:
    """Returns the distance that two samples exceed with this chance; see `chance`."""
    if not (num_first and num_second):
        return 1.0
    size = num_first * num_second / (num_first + num_second)
    return min(1.0, float(stats.kstwobign.isf(p_value)) / math.sqrt(size))


def fit(source: Numbers, target: Numbers) -> tuple[float, float] | None:
    """Returns the factor and offset that carry one distribution into the other.

    The line of least squares through the deciles of both, which unlike mean and
    standard deviation do not follow a few outliers.

    Returns:
      Factor and offset; None if a distribution has no spread between its deciles.
    """
    before, after = source.quantiles(_LEVELS), target.quantiles(_LEVELS)
    spread = before - before.mean()
    if not spread.any() or np.ptp(after) == 0:
        return None
    factor = float(spread @ (after - after.mean()) / (spread @ spread))
    return factor, float(after.mean() - factor * before.mean())


def firm_distance(
    first: Numbers,
    second: Numbers,
    slack: float,
    line: tuple[float, float] = (1.0, 0.0),
) -> float:
    """Returns the distance that is left if each value may be off by a little.

    As in the metric of Levy. A value that many examples share, such as what stands
    in for a missing one, then makes no distance if it differs slightly between the
    splits; nor do whole numbers that were scaled by an estimated factor.

    Args:
      first: A comparable feature.
      second: A comparable feature.
      slack: How much a value may be off, in the unit of the second feature.
      line: Positive factor and offset that the first feature is scaled and moved by.
    """
    knots = first.knots * line[0] + line[1]
    points = np.concatenate([knots, second.knots])
    # Each with its left limits: slack moves the steps past one another.
    points = np.concatenate([points, np.nextafter(points, -np.inf)])
    below, above = (
        np.interp(points + shift, knots, first.shares, left=0.0, right=1.0)
        for shift in (-slack, slack)
    )
    at = second.cdf(points)
    return float(np.maximum(np.maximum(below - at, at - above), 0).max())
