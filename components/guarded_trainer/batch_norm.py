# SPDX-License-Identifier: Apache-2.0
"""BatchNorm: its statistics measured, compared with the data's, and replaced.

In training mode a BatchNorm layer normalises with the statistics of the batch; in
inference mode with moving averages of them, which start at mean 0 and variance 1
and close in by a factor of `momentum` per step. A model that is trained for few
steps, or with batches unlike the data, therefore computes something else in
inference than what it was trained to do.

Everything here is pure but for `assign`. Layers are those of
`modes.adaptive_layers`, and statistics stand in the same order.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer import modes, tracing
from components.guarded_trainer.modes import BatchNorm
from components.records.training import BatchNormDrift


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and (biased) variance per channel of what enters a BatchNorm layer."""

    mean: np.ndarray
    variance: np.ndarray


def measure(
    model: keras.Model, layers: Sequence[BatchNorm], batches: Iterable[Any]
) -> tuple[Statistics, ...]:
    """Measures what enters each BatchNorm layer, over many batches.

    Follows Precise-BN (Wu and Johnson 2021, arXiv:2105.07576): each layer sees what
    the layers below make of the batch with batch statistics; means and second
    moments are pooled, weighted by the number of examples, so that a small last
    batch does not count as a whole one. Where a model uses one layer several times,
    each use counts the same, as it does for the moving averages. A layer that is
    synchronised over replicas sees the whole batch here, on one device.

    Args:
      model: A built model; it is not changed.
      layers: What `modes.adaptive_layers` returned for it.
      batches: What the model is called with: tensors of shape (batch, ...), or
        structures of them.

    Returns:
      One entry per layer; none at all without batches.
    """
    if not layers:
        return ()
    count = 0
    # float64: a mean of squares minus a square of a mean loses digits.
    first = [np.zeros(layer.moving_mean.shape) for layer in layers]
    second = [np.zeros(layer.moving_mean.shape) for layer in layers]
    moments = _batch_moments(model, layers)
    for inputs in batches:
        size = int(tf.nest.flatten(inputs)[0].shape[0])
        count += size
        for i, (means, variances) in enumerate(moments(inputs)):
            means = np.asarray(means, np.float64)
            variances = np.asarray(variances, np.float64)
            first[i] += size * means.mean(axis=0)
            second[i] += size * (variances + np.square(means)).mean(axis=0)
    if not count:
        return ()
    return tuple(
        Statistics(
            mean=f / count,
            variance=np.maximum(s / count - np.square(f / count), 0.0),
        )
        for f, s in zip(first, second, strict=True)
    )


def drift(
    layers: Sequence[BatchNorm], measured: Sequence[Statistics], num_steps: int
) -> tuple[BatchNormDrift, ...]:
    """Compares each layer's moving statistics with the measured ones.

    Args:
      layers: The layers.
      measured: What `measure` returned for them, not empty.
      num_steps: Training steps that made the moving statistics.

    Returns:
      One entry per layer, the most drifted first; layers whose statistics are not
      finite stand before all others.
    """
    drifts = []
    for layer, data, moving in zip(layers, measured, current(layers), strict=True):
        # NaN and infinity are a result here, not a fault.
        with np.errstate(all="ignore"):
            variance = data.variance + layer.epsilon
            shift = (moving.mean - data.mean) / np.sqrt(variance)
            ratio = np.log((moving.variance + layer.epsilon) / variance)
            drifts.append(
                BatchNormDrift(
                    layer=layer.path,
                    mean_shift=float(np.sqrt(np.mean(np.square(shift)))),
                    log_variance_ratio=float(np.sqrt(np.mean(np.square(ratio)))),
                    initial_share=float(layer.momentum**num_steps),
                )
            )
    return tuple(sorted(drifts, key=_size, reverse=True))


def assign(layers: Sequence[BatchNorm], statistics: Sequence[Statistics]) -> None:
    """Sets the moving statistics of the layers."""
    for layer, new in zip(layers, statistics, strict=True):
        layer.moving_mean.assign(new.mean)
        layer.moving_variance.assign(new.variance)


def current(layers: Sequence[BatchNorm]) -> tuple[Statistics, ...]:
    """Returns the moving statistics as they are, for going back to them."""
    return tuple(
        Statistics(
            _host(layer.moving_mean),
            _host(layer.moving_variance),
        )
        for layer in layers
    )


def _host(variable: Any) -> np.ndarray:
    # Also where the variable is mirrored over devices.
    return np.array(keras.ops.convert_to_numpy(variable), np.float64)


def _batch_moments(model: keras.Model, layers: Sequence[BatchNorm]) -> tf.function:
    """Returns a function from inputs to (means, variances) of each layer.

    Both have shape (uses of the layer, channels).
    """
    variables = [
        variable
        for layer in layers
        for variable in (layer.moving_mean, layer.moving_variance)
    ]

    @tf.function(reduce_retracing=True, autograph=False)
    def moments(inputs: Any) -> list[tuple[tf.Tensor, tf.Tensor]]:
        means: dict[int, list[tf.Tensor]] = {id(layer): [] for layer in layers}
        variances: dict[int, list[tf.Tensor]] = {id(layer): [] for layer in layers}

        def keep(layer: BatchNorm) -> None:
            means[id(layer)].append(scope.get_current_value(layer.moving_mean))
            variances[id(layer)].append(scope.get_current_value(layer.moving_variance))

        # With momentum 0 and nothing to begin with, the updated moving statistics
        # are the batch's own, even where the stored ones are NaN.
        nothing = [(v, tf.zeros(v.shape, v.dtype)) for v in variables]
        with (
            keras.StatelessScope(state_mapping=nothing) as scope,
            tracing.plain_calls(model),
            _set_aside(layers, momentum=0.0, synchronized=False),
            modes.batch_statistics(layers, after_call=keep),
        ):
            modes.call(model, inputs, training=False)
        return [
            (tf.stack(means[id(layer)]), tf.stack(variances[id(layer)]))
            for layer in layers
        ]

    return moments


@contextlib.contextmanager
def _set_aside(layers: Sequence[BatchNorm], **attributes: Any) -> Iterator[None]:
    """Gives attributes of the layers other values for a while."""
    before = [{name: getattr(layer, name) for name in attributes} for layer in layers]
    for layer in layers:
        for name, value in attributes.items():
            setattr(layer, name, value)
    try:
        yield
    finally:
        for layer, old in zip(layers, before, strict=True):
            for name, value in old.items():
                setattr(layer, name, value)


def _size(drift: BatchNormDrift) -> float:
    size = drift.mean_shift + drift.log_variance_ratio
    return math.inf if math.isnan(size) else size
