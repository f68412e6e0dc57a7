# SPDX-License-Identifier: Apache-2.0
"""Whether the columns of a split stand in another order."""

from collections.abc import Sequence

from scipy import optimize

from components.feature_validator.checks import distance
from components.feature_validator.features import Numbers

_MAX_FEATURES = 500
"""Features that are held against one another; more take a quadratic time."""
_ALIKE = 0.1
"""Distance up to which two distributions are alike, however many examples there
are: honest data drift, and TFDV's quantiles have an error."""
_CHANCE = 0.01
"""Chance with which two alike distributions may count as unlike."""
_MIN_SHARE = 0.75
"""Share of the changed features that another order must explain."""


def is_alike(after: float, before: float, num_first: int, num_second: int) -> bool:
    """Whether an explanation of a changed feature brings its distributions together.

    They must be as close as two samples of one distribution, and at most a
    third as far apart as before, so that few examples cannot make everything alike.

    Args:
      after: Distance once the change is undone.
      before: Distance of the feature as it is.
      num_first: Examples of the one split.
      num_second: Examples of the other split.
    """
    return after <= max(_ALIKE, min(_noise(num_first, num_second), before / 3))


def find_order(
    reference: Sequence[Numbers],
    other: Sequence[Numbers],
    changed: Sequence[int],
    num_examples: tuple[int, int],
) -> dict[int, tuple[int, float]]:
    """Returns which column of the reference each changed column looks like.

    Of all ways to name the columns anew, the one with the smallest sum of distances
    is taken (linear assignment, Crouse 2016). Columns that change places form
    cycles, and in a cycle each must fit its new place: what is scaled into the range
    of another column leaves its own place empty.

    Args:
      reference: Features of the reference split.
      other: The same features of the other split, in the same order.
      changed: Positions of the features whose distribution has changed.
      num_examples: Examples of the reference split and of the other.

    Returns:
      For each changed position that is explained, the position that it looks like and
      the distance from it. Empty if another order does not explain nearly all of
      the changed features.
    """
    if not changed:
        return {}
    known = set(changed)
    rest = [i for i in range(len(reference)) if i not in known]
    chosen = [*changed, *rest][:_MAX_FEATURES]
    matrix = distance.distances(
        [other[i] for i in chosen], [reference[i] for i in chosen]
    )
    _, looks_like = optimize.linear_sum_assignment(matrix)
    explained = {}
    for cycle in _cycles(looks_like.tolist()):
        after = {row: float(matrix[row, looks_like[row]]) for row in cycle}
        # The worst of many columns is further off by chance than one is.
        if max(after.values()) > max(_ALIKE, _noise(*num_examples, len(cycle))):
            continue
        for row in cycle:
            before = float(matrix[row, row])
            if chosen[row] in known and is_alike(after[row], before, *num_examples):
                explained[chosen[row]] = (chosen[looks_like[row]], after[row])
    if len(explained) < _MIN_SHARE * min(len(changed), _MAX_FEATURES):
        return {}
    return explained


def _noise(num_first: int, num_second: int, num_columns: int = 1) -> float:
    """Distance that two samples of one distribution rarely exceed in any column."""
    return distance.chance_distance(_CHANCE / num_columns, num_first, num_second)


def _cycles(permutation: list[int]) -> list[list[int]]:
    """Returns the cycles of a permutation that move something."""
    cycles, seen = [], set()
    for start in range(len(permutation)):
        cycle = []
        while start not in seen:
            seen.add(start)
            cycle.append(start)
            start = permutation[start]
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles
