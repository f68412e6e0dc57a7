# SPDX-License-Identifier: Apache-2.0
"""What two models answer to the same examples: who is right where they differ."""

import numpy as np

from components.guarded_evaluator.metrics.outcomes import (
    check_class_ids,
    class_probabilities,
)

NUM_FIELDS = 6
"""Both right, only the reference right, only the other right, both wrong, the sum of
the total variation distances, and how many examples are given different classes."""


def paired_outcomes(
    class_ids: np.ndarray, reference: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Sums the paired outcomes of two models over examples.

    The first four numbers are those of McNemar's test (McNemar 1947). The total
    variation distance of two outputs is half the sum of absolute differences, at most
    1. Predictions that are not finite are wrong, give no class, and are at distance 1.

    Args:
      class_ids: True classes, integers of shape (B,); B may be 0.
      reference: Outputs of one model, shape (B, K), or (B, 1) of the second of two
        classes.
      other: Outputs of the other model, likewise.

    Returns:
      float64 of shape (`NUM_FIELDS`,), in the order given there.

    Raises:
      ValueError: If the shapes differ, or a label is no class.
    """
    ours, theirs = class_probabilities(reference), class_probabilities(other)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"predictions: expected two models with the same classes, but one answers "
            f"the shape {ours.shape}, the other {theirs.shape}; compare models of the "
            "same classes"
        )
    check_class_ids(class_ids, *ours.shape)
    class_of_ours, class_of_theirs = _classes(ours), _classes(theirs)
    right, also_right = class_of_ours == class_ids, class_of_theirs == class_ids
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.minimum(np.abs(ours - theirs).sum(axis=1) / 2, 1.0)
    distance[(class_of_ours < 0) | (class_of_theirs < 0)] = 1.0
    return np.array(
        [
            np.count_nonzero(right & also_right),
            np.count_nonzero(right & ~also_right),
            np.count_nonzero(~right & also_right),
            np.count_nonzero(~right & ~also_right),
            distance.sum(),
            np.count_nonzero(class_of_ours != class_of_theirs),
        ],
        np.float64,
    )


def paired_outcome(label: int, reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns what one example adds to the sums; predictions of shape (K,)."""
    return paired_outcomes(np.array([label]), reference[None], other[None])


def _classes(outputs: np.ndarray) -> np.ndarray:
    """Returns the predicted classes, -1 where an output is not finite."""
    return np.where(np.isfinite(outputs).all(axis=1), outputs.argmax(axis=1), -1)
