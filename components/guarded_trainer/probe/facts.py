# SPDX-License-Identifier: Apache-2.0
"""Gathers what is known of model, data and plan before the first step."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.probe.entering import Entering, measure_entering
from components.guarded_trainer.probe.layers import WatchedLayer, watched_layers
from components.guarded_trainer.probe.reading import Probe
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.rules.facts import LayerFacts, TrainingFacts

_MOST_FEATURES = 20
_NOISE = tuple(
    getattr(keras.layers, name)
    for name in (
        "ActivityRegularization",
        "AlphaDropout",
        "AugMix",
        "CutMix",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "MixUp",
        "RandAugment",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    )
    if hasattr(keras.layers, name)
)


def make_facts(
    model: keras.Model,
    head: Head,
    data: TrainingData,
    config: TrainingConfig,
    probe_inputs: Any = None,
    probe: Probe | None = None,
    batch_norm_layers: Sequence[BatchNorm] = (),
) -> TrainingFacts:
    """Gathers the facts of a training that has not begun.

    Args:
      model: A built model; it is not changed.
      head: What its outputs mean.
      data: The checked data.
      config: The plan.
      probe_inputs: Inputs of the probe; None where it is switched off.
      probe: The probe, which is read once; None where it is switched off.
      batch_norm_layers: What `modes.adaptive_layers` returned for the model.

    Returns:
      The facts; those that need a probe are empty or None without one.
    """
    optimizer = _innermost(getattr(model, "optimizer", None))
    held_out = _held_out_counts(data)
    entries = watched_layers(model) if probe is None else probe.layers
    entering = None
    if probe_inputs is not None:
        entering = measure_entering(model, entries, probe_inputs)
    return TrainingFacts(
        num_classes=head.num_classes,
        class_counts=_fitted_counts(data, held_out),
        num_examples=data.num_fitted,
        num_held_out=data.num_held_out,
        steps_per_epoch=data.steps_per_epoch(config.batch_size),
        planned_epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=_learning_rate(optimizer),
        optimizer=type(optimizer).__name__ if optimizer is not None else "",
        num_parameters=sum(map(_size, model.weights)),
        num_trainable=sum(map(_size, model.trainable_variables)),
        layers=_layer_facts(entries, optimizer, batch_norm_layers),
        input_scale=entering.scale if entering else None,
        input_range=(entering.smallest, entering.largest) if entering else None,
        feature_scales=_feature_scales(entering, data) if entering else (),
        initial=probe.read() if probe is not None else None,
        held_out_counts=held_out,
        class_names=data.classes.class_names,
    )


def _layer_facts(
    entries: Sequence[WatchedLayer], optimizer: Any, adaptive: Sequence[BatchNorm]
) -> tuple[LayerFacts, ...]:
    updated = {id(layer) for layer in adaptive}
    decays = bool(getattr(optimizer, "weight_decay", None))
    return tuple(
        LayerFacts(
            layer=entry.name,
            kind=type(entry.layer).__name__,
            activation=entry.activation,
            num_parameters=sum(map(_size, entry.weights)),
            trainable=bool(entry.trainable),
            regularized=_regularizes(entry) or (decays and bool(entry.trainable)),
            momentum=(
                float(entry.layer.momentum) if id(entry.layer) in updated else None
            ),
            identical_units=_has_identical_units(entry),
        )
        for entry in entries
    )


def _regularizes(entry: WatchedLayer) -> bool:
    """Returns whether a layer makes it harder to learn the examples by heart."""
    layer = entry.layer
    if isinstance(layer, _NOISE):
        # A rate of 0, an empty penalty, does nothing.
        rates = [
            getattr(layer, name)
            for name in ("rate", "stddev", "l1", "l2")
            if isinstance(getattr(layer, name, None), int | float)
        ]
        return any(rates) or not rates
    return (
        type(layer).__name__.startswith("Random")
        or getattr(layer, "activity_regularizer", None) is not None
        or any(v.regularizer is not None for v in entry.trainable)
        or any(
            isinstance(getattr(layer, name, None), float) and getattr(layer, name) > 0
            for name in ("dropout", "recurrent_dropout")
        )
    )


def _has_identical_units(entry: WatchedLayer) -> bool | None:
    """Returns whether all units of a layer have the same weights.

    Returns:
      None for layers without a matrix of weights for two units or more.
    """
    values = [tf.convert_to_tensor(v.value) for v in entry.trainable]
    if not any(value.shape.rank > 1 and value.shape[-1] > 1 for value in values):
        return None
    return all(bool(tf.reduce_all(value == value[..., :1])) for value in values)


def _feature_scales(
    entering: Entering, data: TrainingData
) -> tuple[tuple[str, float], ...]:
    scales = entering.feature_scales
    names = tuple(getattr(data, "feature_names", ()) or ())
    if len(names) != len(scales):
        names = tuple(f"feature {i}" for i in range(len(scales)))
    # NaN first: it is larger than any limit.
    order = sorted(
        range(len(scales)),
        key=lambda i: -math.inf if math.isnan(scales[i]) else -scales[i],
    )
    return tuple((names[i], scales[i]) for i in order[:_MOST_FEATURES])


def _fitted_counts(data: TrainingData, held_out: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the number of fitted rows of each class."""
    counts = np.array(data.classes.train_counts, np.int64)
    if counts.sum() == data.num_fitted:
        return tuple(map(int, counts))
    # The table counts the whole split.
    return tuple(map(int, np.maximum(counts - np.array(held_out, np.int64), 0)))


def _held_out_counts(data: TrainingData) -> tuple[int, ...]:
    """Returns the number of held-out rows of each class."""
    ids = [k for _, k in data.held_out().batch(256).as_numpy_iterator()]
    size = len(data.classes.labels)
    counts = np.bincount(np.concatenate(ids), minlength=size) if ids else [0] * size
    return tuple(map(int, counts))


def _learning_rate(optimizer: Any) -> float | None:
    """Returns the rate of the next step, that of a schedule too."""
    try:
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    except (AttributeError, TypeError, ValueError):
        return None


def _innermost(optimizer: Any) -> Any:
    """Returns the optimizer inside those that scale the loss."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def _size(variable: keras.Variable) -> int:
    return math.prod(variable.shape)
