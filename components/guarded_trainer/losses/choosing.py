# SPDX-License-Identifier: Apache-2.0
"""Which answer to uneven classes a training gets; pure."""

import math
from collections.abc import Sequence

from components.errors import InputError
from components.guarded_trainer.losses.settings import LossConfig, LossKind
from components.labels import ClassTable

_MAX_WEIGHT_RATIO = 10.0
"""As ClassBalanceValidator caps its weights, for the same reason: uncapped inverse
frequencies are worse than none on long tails (Zhang et al. 2021)."""


def imbalance(classes: ClassTable) -> float:
    """Returns how many times the examples of the rarest class the largest has.

    Only classes that occur in the training split count; 1 if at most one does.
    """
    present = [count for count in classes.train_counts if count > 0]
    return max(present) / min(present) if present else 1.0


def choose_kind(
    classes: ClassTable,
    config: LossConfig,
    *,
    compiled_by_user: bool,
    has_sample_weights: bool = False,
) -> LossKind:
    """Returns how uneven classes are answered.

    `auto` leaves the loss plain where classes are even enough
    (`LossConfig.auto_ratio`). Beyond, a model that comes uncompiled gets the balanced
    softmax. The loss of a compiled model is the user's, so that only weights are
    possible: those of ClassBalanceValidator, where it stands before the trainer.
    Sample weights that come with the data say already what counts; then nothing is
    done.

    Args:
      classes: The classes.
      config: What is asked for.
      compiled_by_user: Whether the model has a loss that must stay.
      has_sample_weights: Whether the data carry weights of their own.

    Raises:
      InputError: If a loss is asked for that the model or the data do not allow.
    """
    if config.kind == "auto":
        if has_sample_weights or imbalance(classes) <= config.auto_ratio:
            return "plain"
        if not compiled_by_user:
            return "balanced_softmax"
        return "class_weights" if len(set(classes.weights)) > 1 else "plain"
    if compiled_by_user and config.kind in ("balanced_softmax", "focal"):
        raise InputError(
            "loss.kind: expected `auto`, `plain` or `class_weights` for a model that "
            f"is compiled with a loss of its own, but got {config.kind!r}; return the "
            "model uncompiled, or choose one of these"
        )
    if has_sample_weights and config.kind == "class_weights":
        raise InputError(
            "loss.kind: expected data without sample weights for `class_weights`, but "
            "the data carry some; multiply the weights of the classes into them, or "
            "choose another kind"
        )
    return config.kind


def class_weights(
    classes: ClassTable,
    config: LossConfig,
    compiled_by_user: bool,
    *,
    has_sample_weights: bool = False,
) -> dict[int, float] | None:
    """Returns what `model.fit` is given as `class_weight`.

    The weights are those of the class table; where it has none, and weights are asked
    for by name, they are inverse to the number of examples. Their mean over the
    training examples is 1. A class that does not occur weighs 1, since Keras wants a
    weight for every class.

    Args:
      classes: The classes.
      config: What is asked for.
      compiled_by_user: Whether the model has a loss and an optimizer that must stay.
      has_sample_weights: Whether the data carry weights of their own.

    Returns:
      The weight by class id; None where all classes that occur weigh the same, or
      uneven classes are answered otherwise.

    Raises:
      InputError: If something is asked for that the model or the data do not allow.
    """
    if compiled_by_user:
        _check_regularization(config)
    kind = choose_kind(
        classes,
        config,
        compiled_by_user=compiled_by_user,
        has_sample_weights=has_sample_weights,
    )
    if kind != "class_weights":
        return None
    weights: Sequence[float] = classes.weights
    if len(set(weights)) <= 1:
        weights = _inverse_frequency(classes.train_counts)
    counts = classes.train_counts
    if len({w for w, n in zip(weights, counts, strict=True) if n}) <= 1:
        return None
    return {
        k: weight if count else 1.0
        for k, (weight, count) in enumerate(zip(weights, counts, strict=True))
    }


def priors(classes: ClassTable) -> tuple[float, ...]:
    """Returns the share of each class in the training split, all positive.

    A class without examples counts as if it had one; all shares are equal if no
    example has been counted.
    """
    if classes.priors:
        return classes.priors
    counts = [max(count, 1) for count in classes.train_counts]
    return tuple(count / sum(counts) for count in counts)


def _inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights inverse to the counts, capped, with mean 1 over the examples."""
    if not any(counts):
        return (1.0,) * len(counts)
    most = max(counts)
    raw = [min(most / max(n, 1), _MAX_WEIGHT_RATIO) for n in counts]
    scale = sum(counts) / math.fsum(
        weight * count for weight, count in zip(raw, counts, strict=True)
    )
    return tuple(weight * scale for weight in raw)


def _check_regularization(config: LossConfig) -> None:
    if config.smoothing or config.decay:
        raise InputError(
            "loss: expected neither label smoothing nor weight decay for a model that "
            f"is compiled, but got {config.smoothing} and {config.decay}; return the "
            "model uncompiled, or set them where it is compiled"
        )
