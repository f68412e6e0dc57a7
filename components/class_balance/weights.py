# SPDX-License-Identifier: Apache-2.0
"""Class weights and class priors from class counts."""

import math
from collections.abc import Sequence

from components.class_balance.config import ClassBalanceConfig, Weighting
from components.class_balance.label_counts import LabelDistribution
from components.labels import ClassTable


def class_weights(
    counts: Sequence[int], config: ClassBalanceConfig
) -> tuple[float, ...]:
    """Returns the weight of each class in the loss.

    With n examples of a class, its weight is proportional to

    - 1 / n for `inverse_frequency`,
    - (1 - beta) / (1 - beta ** n) for `effective_number` (Cui et al.,
      "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019),

    never more than `max_weight_ratio` times the smallest, and scaled so that the
    mean weight over the *examples* is 1: then neither the size of the loss nor
    the meaning of the learning rate changes. (The paper makes the mean over the
    classes 1.) A class without examples weighs what it would with one example:
    finite, and should the weights meet such an example after all, it counts.

    Args:
      counts: Examples of each class in the training split, shape (K,).
      config: Weighting, beta and largest ratio.

    Returns:
      Weights of shape (K,): positive, finite, never growing with the count,
      and exactly 1 for equally frequent classes. All are 1 for `none` and if no
      class has examples.
    """
    present = [count for count in counts if count > 0]
    if config.weighting is Weighting.NONE or not present:
        return (1.0,) * len(counts)
    raw = [_raw_weight(max(count, 1), config) for count in counts]
    cap = config.max_weight_ratio * _raw_weight(max(present), config)
    raw = [min(weight, cap) for weight in raw]
    # Relative to the largest weight that occurs: for equally frequent classes each
    # is exactly 1, and so is the scale below.
    largest = max(weight for weight, count in zip(raw, counts, strict=True) if count)
    relative = [weight / largest for weight in raw]
    scale = sum(present) / math.fsum(
        weight * count for weight, count in zip(relative, counts, strict=True)
    )
    return tuple(weight * scale for weight in relative)


def class_priors(counts: Sequence[int]) -> tuple[float, ...]:
    """Returns the share of each class, for logits adjusted by the prior.

    "Long-tail learning via logit adjustment" (Menon et al., ICLR 2021) adds the
    logarithm of the share to each logit while training, so no share may be 0: a
    class without examples counts as if it had one. All other shares are as they
    are in the data.

    Args:
      counts: Examples of each class in the training split, shape (K,).

    Returns:
      Shares of shape (K,): positive, their sum is 1. Empty if no class has examples.
    """
    if not any(counts):
        return ()
    smoothed = [max(count, 1) for count in counts]
    total = sum(smoothed)
    return tuple(count / total for count in smoothed)


def class_table(labels: LabelDistribution, config: ClassBalanceConfig) -> ClassTable:
    """Returns all classes with counts, weights and priors of the training split.

    Where the labels of the training split are not all counted, the table holds
    what is known: the classes seen anywhere, the counts there are, weights of 1 and
    no priors, because those of partial counts would be wrong.

    Raises:
      InputError: If there is no such split as the configuration's `train_split`.
    """
    train = labels.split(config.train_split)
    classes = labels.classes
    counts = tuple(train.counts.get(label, 0) for label in classes)
    known = train.is_complete and train.num_labelled > 0
    weighting = config.weighting if known else Weighting.NONE
    return ClassTable(
        label_key=labels.label_key,
        labels=classes,
        train_counts=counts,
        weights=class_weights(
            counts, config.model_copy(update={"weighting": weighting})
        ),
        weighting=weighting.value,
        priors=class_priors(counts) if known else (),
        split_counts={
            split.split: tuple(split.counts.get(label, 0) for label in classes)
            for split in sorted(labels.splits, key=lambda split: split is not train)
            if split.is_complete
        },
    )


def _raw_weight(count: int, config: ClassBalanceConfig) -> float:
    """Weight of a class with at least one example, up to a common factor."""
    if config.weighting is Weighting.INVERSE_FREQUENCY:
        return 1 / count
    # 1 - beta ** n without the cancellation that beta near 1 would bring.
    return -1 / math.expm1(count * math.log(config.beta))
