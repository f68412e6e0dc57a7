# SPDX-License-Identifier: Apache-2.0
"""Whether a column is a copy of the label: as another type, one-hot, shifted, hashed.

A strong honest feature differs from example to example within a class; a copy has one
value per class. That is a stronger sign than predictive power, and seen on far fewer
examples: a column of at most as many values as there are classes, whose value follows
from the label, and which tells at least one class from all others.
"""

import dataclasses

import numpy as np
from scipy import stats

from components.leakage.predictive.power import leave_one_out, lower_end

MIN_GAP = 10.0
"""Gap between two clumps of numbers over the width of the widest clump, for each
clump to count as one value: a label to which 1 % of noise was added, but no
measurement (between two species of iris, the widest gap is 1.1 widths)."""
MAX_P = 1e-3
"""Largest probability that so good a match arises by chance, over all columns and
classes together (Bonferroni)."""


@dataclasses.dataclass(frozen=True)
class Copy:
    """How well a column's value follows from the label.

    Attributes:
      kappa: Agreement beyond chance (Cohen 1960): 0 chance, 1 in all examples.
      low: Lower end of the exact 95 % interval of the share that agree.
      hits: Examples whose value is that of the others in their class.
      count: Examples.
      class_code: A class that the column tells from all others.
    """

    kappa: float
    low: float
    hits: int
    count: int
    class_code: int


def find_copy(
    values: np.ndarray, labels: np.ndarray, num_classes: int, *, num_columns: int
) -> Copy | None:
    """Returns how well a column copies the label; None if it is no such column.

    Args:
      values: Shape (n,): float64 with NaN for missing values, or codes with -1. A
        missing value is a value.
      labels: Class of each example, shape (n,).
      num_classes: Number of classes.
      num_columns: Number of columns looked at, for the odds of a match by chance.
    """
    codes = clumps(values, num_classes)
    if codes is None:
        return None
    num_values = int(codes.max()) + 1
    n = len(labels)
    # The other way round: does the label tell the value?
    hits, _, _ = leave_one_out(labels, codes, num_values)
    table = np.bincount(labels * num_values + codes, minlength=num_classes * num_values)
    table = table.reshape(num_classes, num_values)
    sizes = table.sum(axis=1)
    value_of_class = table.argmax(axis=1)
    expected = np.bincount(value_of_class, sizes, minlength=num_values)
    chance = float(expected @ table.sum(axis=0)) / n**2
    if chance >= 1:
        return None
    # Those values that belong to one class only tell it from all others.
    classes_of_value = np.bincount(value_of_class[sizes > 0], minlength=num_values)
    alone = np.flatnonzero((sizes > 0) & (classes_of_value[value_of_class] == 1))
    if not len(alone):
        return None
    told = int(alone[np.argmax(table[alone, value_of_class[alone]])])
    value = value_of_class[told]
    p = stats.hypergeom.sf(
        table[told, value] - 1, n, sizes[told], table[:, value].sum()
    )
    if p * num_columns * num_classes > MAX_P:
        return None
    return Copy(
        kappa=(hits / n - chance) / (1 - chance),
        low=lower_end(hits, n, 0.05),
        hits=hits,
        count=n,
        class_code=told,
    )


def clumps(values: np.ndarray, at_most: int) -> np.ndarray | None:
    """Numbers the few values of a column, or its few narrow clumps of numbers.

    Args:
      values: Shape (n,): float64 with NaN for missing values, or codes with -1.
      at_most: Largest number of values, a missing one included.

    Returns:
      int64 of shape (n,), from 0 on; None if there are fewer than 2 values, or more
      than `at_most` that are not clumped.
    """
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) <= at_most:
        return codes.reshape(-1) if len(distinct) > 1 else None
    if values.dtype.kind == "i" or np.isinf(distinct).any():
        return None
    missing = np.isnan(values)
    numbers = distinct[~np.isnan(distinct)]
    gaps = np.diff(numbers)
    largest = np.argsort(-gaps, kind="stable")
    ordered = gaps[largest]
    most = min(at_most - 1 - int(missing.any()), len(ordered) - 1)
    steps = ordered[:most] >= MIN_GAP * ordered[1 : most + 1]
    for cuts in (np.flatnonzero(steps) + 1).tolist():
        where = np.sort(largest[:cuts])
        starts = np.concatenate([[0], where + 1])
        ends = np.concatenate([where, [len(numbers) - 1]])
        if ordered[cuts - 1] >= MIN_GAP * (numbers[ends] - numbers[starts]).max():
            borders = numbers[ends[:-1]]
            found = np.searchsorted(borders, values, side="left")
            return np.where(missing, cuts + 1, found)
    return None
