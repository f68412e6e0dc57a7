# SPDX-License-Identifier: Apache-2.0
"""Numbers that several checks read off a measured result."""

from collections.abc import Sequence

import numpy as np

from components.guarded_evaluator.intervals import mcnemar_p_value
from components.records.evaluation import ModelResult, PairedResult


def class_counts(result: ModelResult) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples by true class and by predicted class, each shape (K,)."""
    confusion = np.array(result.confusion)
    return confusion.sum(axis=1), confusion.sum(axis=0)


def hits_of(result: ModelResult) -> tuple[int, int]:
    """Returns how many examples are predicted right, and how many there are."""
    confusion = np.array(result.confusion)
    return int(np.trace(confusion)), int(confusion.sum())


def accuracy_gap(pair: PairedResult) -> float:
    """Returns how much accuracy the other model has over the candidate."""
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
