# SPDX-License-Identifier: Apache-2.0
"""Numbers that several checks read off a measured result."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from components.guarded_evaluator.intervals import mcnemar_p_value
from components.records.evaluation import ModelResult, PairedResult

ACCURACY, MEAN_RECALL = "accuracy", "mean recall"
FEW_PER_CLASS = 5
"""Fewest examples of a class by which its recall can be told from 0: with 5 misses
of 5 the recall is below 0.6 at 99 % confidence."""


@dataclasses.dataclass(frozen=True)
class Gap:
    """By how much one result is better than another.

    Attributes:
      measure: `accuracy`, or `mean recall`, which sees what becomes of rare classes
        when accuracy hardly notices.
      better: Score of the one that ought to be no better.
      worse: Score of the other.
      size: Their difference, not rounded; negative where it is the other way round.
      low: Lower bound of the difference.
    """

    measure: str
    better: float
    worse: float
    size: float
    low: float


def is_all_broken(result: ModelResult) -> bool:
    """Returns whether no prediction is finite; `check_finite` blocks such a model.

    Raises:
      ValueError: If there are no predictions at all.
    """
    if not result.num_examples:
        raise ValueError(
            f"there are no predictions of the {result.model} model on the split "
            f"{result.split!r}"
        )
    return result.num_not_finite == result.num_examples


def class_counts(result: ModelResult) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples by true class and by predicted class, each shape (K,)."""
    confusion = np.array(result.confusion)
    return confusion.sum(axis=1), confusion.sum(axis=0)


def hits_of(result: ModelResult) -> tuple[int, int]:
    """Returns how many examples are predicted right, and how many there are."""
    confusion = np.array(result.confusion)
    return int(np.trace(confusion)), int(confusion.sum())


def mean_recall(result: ModelResult, classes: Sequence[int]) -> tuple[float, float]:
    """Returns the mean recall over some classes, and its standard error.

    The error is that of a mean of independent shares, with one hit and one miss
    added to each (Agresti and Coull 1998), so that a recall of 0 or 1 does not count
    as certain.

    Args:
      result: The measured result.
      classes: Class ids, at least one; all must have examples.
    """
    true, _ = class_counts(result)
    hits = np.array([result.confusion[k][k] for k in classes])
    count = true[list(classes)]
    smoothed = (hits + 1) / (count + 2)
    variance = smoothed * (1 - smoothed) / (count + 2)
    return (
        float(np.mean(hits / count)),
        float(np.sqrt(np.sum(variance)) / len(classes)),
    )


def recall_gap(
    better: ModelResult, worse: ModelResult, confidence: float
) -> Gap | None:
    """Returns how much mean recall the first result has over the second.

    Over the classes that have `FEW_PER_CLASS` examples in both, None where there is
    none. The bound treats the two as independent, which on the same examples is on
    the safe side.
    """
    fewest = np.minimum(class_counts(better)[0], class_counts(worse)[0])
    classes = np.flatnonzero(fewest >= FEW_PER_CLASS)
    if not len(classes):
        return None
    (high, error), (low, other_error) = (
        mean_recall(result, classes.tolist()) for result in (better, worse)
    )
    margin = float(stats.norm.ppf(confidence)) * float(np.hypot(error, other_error))
    return Gap(MEAN_RECALL, high, low, high - low, high - low - margin)


def accuracy_gap(pair: PairedResult) -> float:
    """Returns how much accuracy the other model has over the candidate.

    Raises:
      ValueError: If the two were compared on no example.
    """
    if not pair.num_examples:
        raise ValueError(f"no example was compared with the {pair.other} model")
    return (pair.only_other_right - pair.only_candidate_right) / pair.num_examples


def p_value(pair: PairedResult) -> float:
    """Returns how likely chance alone makes the other model so much better."""
    return mcnemar_p_value(pair.only_candidate_right, pair.only_other_right)


def accuracy_of(pair: PairedResult, only: int) -> float:
    """Returns the accuracy of the model that alone is right on `only` examples."""
    return (pair.both_right + only) / pair.num_examples


def listing(names: Sequence[str]) -> str:
    """Returns the first eight names, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
