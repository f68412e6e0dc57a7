# SPDX-License-Identifier: Apache-2.0
"""Whether the classes are distributed alike in the training split and the others."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from scipy import stats
from sklearn.isotonic import isotonic_regression

from components.causes import Severity
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.wording import FOUND_BY
from components.findings import Finding, Subject, find
from components.labels import LabelValue, sorted_labels

_MAX_CLASSES_SHOWN = 10


def label_shift(train: np.ndarray, other: np.ndarray) -> float:
    """Returns the total variation distance of the class shares of two splits.

    Args:
      train: Examples of each class in the training split, shape (K,), with a
        positive sum.
      other: Examples of each class in the other split, shape (K,), with a positive
        sum.

    Returns:
      Half the sum of the absolute differences of the shares: 0 for equal shares, 1
      for splits without a common class.
    """
    num_train, num_other = train.sum(), other.sum()
    # From whole numbers, so that a shift exactly at a decimal limit equals it.
    differences = np.abs(other * num_train - train * num_other)
    return float(differences.sum() / (2 * num_train * num_other))


def smallest_p_value(train: np.ndarray, other: np.ndarray) -> float:
    """Returns how likely one class differs so much in two splits drawn alike.

    Of the n examples of a class in both splits, the other split holds a binomial
    number if both were drawn alike. The exact two-sided test on each class (twice the
    smaller tail), times the number of classes (Bonferroni). Splits of fixed
    sizes differ less than the binomial says, so the test errs on the safe side.

    Args:
      train: Examples of each class in the training split, shape (K,); each class
        occurs in one of the splits.
      other: Examples of each class in the other split, shape (K,).

    Returns:
      At most 1; 1 if a split is empty.
    """
    if not train.sum() or not other.sum():
        return 1.0
    both = train + other
    share = other.sum() / both.sum()
    tails = np.minimum(
        stats.binom.cdf(other, both, share), stats.binom.sf(other - 1, both, share)
    )
    return float(min(1.0, 2 * tails.min() * len(both)))


def unexplained_shift(train: np.ndarray, other: np.ndarray) -> float:
    """Returns the shift that no balancing of one of the splits explains.

    To balance a split (to cut frequent classes, to repeat rare ones, to sample by a
    root of the counts) brings its classes closer together, but never makes the rarer of
    two the more frequent one. So the shares of one split are held against the
    nearest shares in the order of the other (isotonic regression, Barlow et al.
    1972). Of either direction the smaller total variation distance counts, less
    what chance alone brings: the mean absolute deviation of each count.

    Args:
      train: Examples of each class in the training split, shape (K,), all positive.
      other: Examples of each class in the other split, shape (K,), all positive.

    Returns:
      A share of the examples: 0 if all is explained, never above 1.
    """
    smallest = math.inf
    for source, target in ((train, other), (other, train)):
        # Of classes that are equally frequent in the source, any order will do.
        order = np.lexsort((target, source))
        shares = target[order] / target.sum()
        nearest = isotonic_regression(shares)
        deviation = np.sqrt(2 * nearest * (1 - nearest) / (math.pi * target.sum()))
        distance = np.abs(shares - nearest).sum() / 2 - deviation.sum() / 2
        smallest = min(smallest, float(distance))
    return max(smallest, 0.0)


def find_label_shift(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits whose classes are distributed unlike those of the training split.

    Warns beyond `max_label_shift`; blocks beyond `max_unexplained_shift`. Classes
    that one of the two lacks are `missing_class` and left out here.
    """
    train = next((s for s in labels.splits if s.split == config.train_split), None)
    if train is None or not train.is_complete:
        return []
    others = [s for s in labels.splits if s is not train and s.is_complete]
    found = []
    for other in others:
        shift = _measure(train, other, len(others))
        if shift is None or shift.p_value > config.significance:
            continue
        if shift.unexplained > config.max_unexplained_shift:
            found.append(_blocking(shift, config))
        elif shift.total > config.max_label_shift:
            found.append(_warning(shift, config))
    return found


@dataclasses.dataclass(frozen=True)
class _Shift:
    """What was measured between the training split and another.

    Attributes:
      train: Name of the training split.
      other: Name of the other split.
      classes: Classes that both have, those that differ most first.
      shares: Share of each class in the training split and in the other.
      total: See `label_shift`.
      unexplained: See `unexplained_shift`.
      p_value: Chance of such a difference between splits drawn alike.
    """

    train: str
    other: str
    classes: list[LabelValue]
    shares: list[tuple[float, float]]
    total: float
    unexplained: float
    p_value: float

    def __str__(self) -> str:
        in_train, in_other = self.shares[0]
        return (
            f"Class {self.classes[0]!r} is {in_other:.1%} of split {self.other}, but "
            f"{in_train:.1%} of split {self.train}; {self.total:.1%} of the examples "
            "would have to change their class for the two to agree"
        )


def _measure(train: LabelCounts, other: LabelCounts, num_splits: int) -> _Shift | None:
    """Compares two splits; None where they share fewer than two classes."""
    classes = sorted_labels([label for label in other.counts if label in train.counts])
    if len(classes) < 2:
        return None
    in_train = np.array([train.counts[label] for label in classes], np.float64)
    in_other = np.array([other.counts[label] for label in classes], np.float64)
    shares = np.stack([in_train / in_train.sum(), in_other / in_other.sum()], axis=1)
    order = np.argsort(-np.abs(shares[:, 1] - shares[:, 0]), kind="stable")
    return _Shift(
        train=train.split,
        other=other.split,
        classes=[classes[i] for i in order],
        shares=[(float(shares[i, 0]), float(shares[i, 1])) for i in order],
        total=label_shift(in_train, in_other),
        unexplained=unexplained_shift(in_train, in_other),
        p_value=min(1.0, smallest_p_value(in_train, in_other) * num_splits),
    )


def _blocking(shift: _Shift, config: ClassBalanceConfig) -> Finding:
    return find(
        "train_eval_skew",
        f"{shift}; {shift.unexplained:.1%} remain whichever of the splits was "
        f"balanced, expected at most {config.max_unexplained_shift:.1%} "
        f"(p = {shift.p_value:.1g}).",
        remedy="Check that both splits encode the label alike and come from the same "
        "source; then split at random, stratified by class.",
        measured=shift.unexplained,
        limit=config.max_unexplained_shift,
        **_details(shift),
    )


def _warning(shift: _Shift, config: ClassBalanceConfig) -> Finding:
    return find(
        "train_eval_skew",
        f"{shift}, expected at most {config.max_label_shift:.1%} "
        f"(p = {shift.p_value:.1g}).",
        severity=Severity.WARN,
        remedy="Draw both splits from the same data at random, stratified by class; "
        "if one is balanced on purpose, adjust the logits by the class shares of use.",
        measured=shift.total,
        limit=config.max_label_shift,
        **_details(shift),
    )


def _details(shift: _Shift) -> dict[str, Any]:
    shown = zip(shift.classes, shift.shares, strict=True)
    return {
        "subject": Subject(split=shift.other, class_name=str(shift.classes[0])),
        "unit": "share of the examples",
        "evidence": {
            "total_variation": shift.total,
            "unexplained": shift.unexplained,
            "p_value": shift.p_value,
            "num_classes": len(shift.classes),
            "shares": {
                str(label): {shift.train: in_train, shift.other: in_other}
                for label, (in_train, in_other) in itertools.islice(
                    shown, _MAX_CLASSES_SHOWN
                )
            },
        },
        "found_by": FOUND_BY,
    }
