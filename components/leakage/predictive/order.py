# SPDX-License-Identifier: Apache-2.0
"""The order that ids and positions give to the rows, and what it tells of the label."""

from collections.abc import Iterator

import numpy as np

from components.leakage.predictive.power import Power, partitions_of, strongest
from components.leakage.predictive.sample import Sample

MIN_NUMBERED_SHARE = 0.5
"""Share of the rows whose id must hold a number; others have no order."""
MAX_NAMED_SHARE = 0.5
"""Share of the rows whose id may contain the label as a word. Above, the id is made of
the label, as the path of a picture in a folder per class is, and its order tells
nothing new."""
_WAYS = 3  # Bins by value, fine and coarse.


def ids(sample: Sample) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields the features that are no content and hold numbers.

    A number counts once per class, however many rows carry it: that all rows of one
    patient have one diagnosis is no order.

    Yields:
      Name; numbers, float64 of shape (m,); classes, int64 of shape (m,).
    """
    found: dict[str, list[tuple[float, int, bool]]] = {}
    for row, label in zip(sample.rows, sample.labels.tolist(), strict=True):
        for name, number, is_named in row.ids:
            found.setdefault(name, []).append((number, label, is_named))
    for name in sorted(found):
        if sum(named for _, _, named in found[name]) > MAX_NAMED_SHARE * len(sample):
            continue
        pairs = {(n, label) for n, label, _ in found[name] if np.isfinite(n)}
        numbered = sum(np.isfinite(n) for n, _, _ in found[name])
        if pairs and numbered >= MIN_NUMBERED_SHARE * len(sample):
            table = np.array(sorted(pairs))
            yield name, table[:, 0], table[:, 1].astype(np.int64)


def positions(sample: Sample) -> np.ndarray:
    """Returns the rank of each row in the order of files and positions, shape (n,)."""
    ranked = sorted(
        range(len(sample)),
        key=lambda number: (sample.rows[number].file, sample.rows[number].position),
    )
    ranks = np.empty(len(sample))
    ranks[ranked] = np.arange(len(sample))
    return ranks


def power_of_order(
    numbers: np.ndarray, labels: np.ndarray, num_classes: int, at_least: float
) -> Power | None:
    """Returns how well the order of the numbers tells the label.

    Numbers are put into bins by rank, so that only neighbours are compared.

    Returns:
      The accuracy view; None if its value is at most `at_least`.
    """
    if len(np.unique(labels)) < 2:
        return None
    partitions = partitions_of(numbers)[1:]  # Not by value.
    powers = strongest(
        partitions, labels, num_classes, at_least=at_least, alpha=0.05 / _WAYS
    )
    return next((power for power in powers if power.class_code is None), None)
