# SPDX-License-Identifier: Apache-2.0
"""Compiles a model that comes without a loss and an optimizer."""

import dataclasses
from typing import Any

import keras

from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.losses import choosing
from components.guarded_trainer.losses.crossentropy import (
    BinaryAdjustedCrossentropy,
    SparseAdjustedCrossentropy,
    SparseFocalCrossentropy,
)
from components.guarded_trainer.losses.settings import LossConfig
from components.labels import ClassTable

_NOT_DECAYED = ["bias", "gamma", "beta"]
"""Names of the weights that decay does more harm than good to."""


@dataclasses.dataclass(frozen=True)
class ChosenLoss:
    """The loss of a training, for a model that comes without one.

    Attributes:
      loss: The loss, serializable.
      class_weight: What `model.fit` is given as `class_weight`.
      name: Name for the record, such as `balanced_softmax`.
    """

    loss: keras.losses.Loss
    class_weight: dict[int, float] | None
    name: str


def choose_loss(
    head: Head,
    classes: ClassTable,
    config: LossConfig,
    *,
    has_sample_weights: bool = False,
) -> ChosenLoss:
    """Chooses the loss of a model that comes without one.

    Held-out rows are to be scored by the same loss, with the same weights: a loss
    with adjusted logits is a proper score for rows that are distributed as the
    training rows are, and the held-out ones are a random share of these. So early
    stopping looks at what training minimises.

    Args:
      head: What the model's outputs mean. The loss takes labels as `head.encode`
        makes them, so `one_hot` must be false.
      classes: The classes.
      config: What is asked for.
      has_sample_weights: Whether the data carry weights of their own.

    Raises:
      InputError: If a loss is asked for that the data do not allow.
    """
    kind = choosing.choose_kind(
        classes, config, compiled_by_user=False, has_sample_weights=has_sample_weights
    )
    weights = choosing.class_weights(
        classes,
        config,
        compiled_by_user=False,
        has_sample_weights=has_sample_weights,
    )
    if kind == "focal":
        return ChosenLoss(_focal(head, config.focal_gamma), None, "focal")
    priors = choosing.priors(classes) if kind == "balanced_softmax" else None
    loss = _crossentropy(head, priors, config.smoothing)
    return ChosenLoss(loss, weights, loss.name)


def compile_for(
    model: keras.Model,
    head: Head,
    classes: ClassTable,
    config: TrainingConfig,
    *,
    has_sample_weights: bool = False,
    **compile_options: Any,
) -> ChosenLoss:
    """Compiles a model that comes uncompiled: Adam, and the loss of the configuration.

    Args:
      model: A model; call this within the scope of the strategy it was built in.
      head: What its outputs mean.
      classes: The classes.
      config: Rate, clipping, weight decay and loss.
      has_sample_weights: Whether the data carry weights of their own.
      **compile_options: Handed to `model.compile`, such as `jit_compile`.

    Returns:
      The loss the model was compiled with.

    Raises:
      InputError: If a loss is asked for that the data do not allow.
    """
    chosen = choose_loss(
        head, classes, config.loss, has_sample_weights=has_sample_weights
    )
    # Keras' "accuracy" rounds at 0.5, which is wrong for a single logit.
    accuracy = (
        keras.metrics.BinaryAccuracy(
            name="accuracy", threshold=0.0 if head.logits else 0.5
        )
        if head.units == 1
        else "accuracy"
    )
    model.compile(
        optimizer=_optimizer(config),
        loss=chosen.loss,
        metrics=[accuracy],
        **compile_options,
    )
    return chosen


def _optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    arguments: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "global_clipnorm": config.schedule.clip_norm,
    }
    if not config.loss.decay:
        return keras.optimizers.Adam(**arguments)
    optimizer = keras.optimizers.AdamW(weight_decay=config.loss.decay, **arguments)
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def _crossentropy(
    head: Head, priors: tuple[float, ...] | None, smoothing: float
) -> keras.losses.Loss:
    """Returns Keras' own loss where it does; its names are the field's."""
    if head.units == 1:
        common = {"from_logits": head.logits, "label_smoothing": smoothing}
        if priors is None:
            return keras.losses.BinaryCrossentropy(**common)
        return BinaryAdjustedCrossentropy(priors, name="balanced_softmax", **common)
    if priors is not None:
        return SparseAdjustedCrossentropy(
            priors, smoothing, name="balanced_softmax", from_logits=head.logits
        )
    if smoothing:
        return SparseAdjustedCrossentropy(
            label_smoothing=smoothing,
            name="sparse_categorical_crossentropy",
            from_logits=head.logits,
        )
    return keras.losses.SparseCategoricalCrossentropy(from_logits=head.logits)


def _focal(head: Head, gamma: float) -> keras.losses.Loss:
    if head.units == 1:
        return keras.losses.BinaryFocalCrossentropy(
            gamma=gamma, from_logits=head.logits
        )
    return SparseFocalCrossentropy(gamma, from_logits=head.logits)
