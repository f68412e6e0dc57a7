# SPDX-License-Identifier: Apache-2.0
"""Tells a quantity, such as a price, from the number of a class."""

from components.class_balance.label_counts import LabelDistribution
from components.errors import InputError

_MIN_VALUES = 20
"""Fewer distinct values are always taken for classes."""
_MIN_EXAMPLES_PER_VALUE = 3
"""Below this mean, a value hardly ever occurs often enough to be learnt and judged."""
_MIN_DENSITY = 0.9
"""Share of the integers between the smallest and the largest label that occur, from
which on they are taken for numbered classes, however rare each of them is."""


def refuse_quantity(labels: LabelDistribution, train_split: str) -> None:
    """Refuses integer labels that are a quantity rather than classes.

    An integer label of the training split is a quantity if it has at least 20
    distinct values, fewer than 3 examples per value on average, and gaps: fewer than
    90 % of the integers between its smallest and largest value occur. Classes are
    numbered without gaps, or have more examples; a quantity with many examples of
    each value, such as an age in years, cannot be told from classes. (The house
    prices of Ames have 1460 rows and 663 values in a range of 720,101; LFW's 5749
    persons, with 2.3 pictures each, are numbered from 0 to 5748.)

    Args:
      labels: Labels of all splits; texts, one-hot labels and labels that the
        statistics did not count are never refused.
      train_split: Name of the training split.

    Raises:
      InputError: If the label is a quantity, or if there is no training split.
    """
    train = labels.split(train_split)
    values = [label for label in train.counts if isinstance(label, int)]
    num_distinct = train.num_distinct or len(values)
    if train.one_hot or not values or num_distinct < _MIN_VALUES:
        return
    # Where TFDV counted the most frequent values only, these span less than all, so
    # that the density errs on the side of classes.
    density = num_distinct / (max(values) - min(values) + 1)
    if train.num_labelled < _MIN_EXAMPLES_PER_VALUE * num_distinct and (
        density < _MIN_DENSITY
    ):
        raise InputError(
            f"label {labels.label_key!r} of split {train_split}: expected the classes "
            f"of a classifier, but its {train.num_labelled} labels have {num_distinct} "
            f"different values between {min(values)} and {max(values)}, like a "
            "quantity; regression is not supported: put the values into a few "
            "classes, or, if they are classes, number these without gaps from 0"
        )
