# SPDX-License-Identifier: Apache-2.0
"""BatchNorm: its statistics measured, its modes told apart, its repair.

In training mode a BatchNorm layer normalises with the statistics of the batch; in
inference mode with moving averages of them, which start at mean 0 and variance 1
and close in by a factor of `momentum` per step. A model that is trained for few
steps, or with batches unlike the data, therefore computes something else in
inference than what it was trained to do.

Everything here is pure but for `assign`: a forward pass goes through Keras'
`stateless_call`, which hands updates back instead of storing them.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.records.training import BatchNormDrift


def trainable_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns the BatchNorm layers whose modes differ, in order of creation.

    Frozen layers are in inference mode always, and have nothing to recalibrate.
    """
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


@contextlib.contextmanager
def batch_statistics(model: keras.Model) -> Iterator[None]:
    """Makes BatchNorm, and nothing else, use the statistics of the batch.

    Whatever is traced inside computes inference mode (no dropout, no noise, no
    augmentation) with batch statistics in the trainable BatchNorm layers. Outside,
    the model is as it was.
    """
    layers = trainable_layers(model)
    for layer in layers:
        layer.call = _in_training_mode(layer)
    try:
        yield
    finally:
        for layer in layers:
            # Uncovers the method of the class again.
            del layer.call


def forward(
    model: keras.Model, inputs: Any, *, training: bool
) -> tuple[Any, list[tf.Tensor]]:
    """Runs a forward pass that changes no variable.

    Not even the seeds of dropout advance, so that the result does not depend on
    how often it was asked for.

    Returns:
      The outputs, and what the non-trainable variables would have become, in the
      order of `model.non_trainable_variables`.
    """
    outputs, updates = model.stateless_call(
        [variable.value for variable in model.trainable_variables],
        [variable.value for variable in model.non_trainable_variables],
        inputs,
        training=training,
    )
    return outputs, updates


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and (biased) variance per channel of what enters a BatchNorm layer."""

    mean: np.ndarray
    variance: np.ndarray


def measure(model: keras.Model, batches: Iterable[tf.Tensor]) -> dict[str, Statistics]:
    """Measures what enters each trainable BatchNorm layer, over many batches.

    Follows Precise-BN (Wu and Johnson 2021): each layer sees what the layers below
    make of the batch with batch statistics; means and second moments are pooled,
    weighted by the number of examples, so that a small last batch does not count
    as a whole one.

    Args:
      model: A built model; it is not changed.
      batches: Inputs, float32, shape (batch, ...).

    Returns:
      Statistics by path of the layer; empty without batches or layers.
    """
    layers = trainable_layers(model)
    if not layers:
        return {}
    position = {id(v): i for i, v in enumerate(model.non_trainable_variables)}

    @tf.function(reduce_retracing=True)
    def moments(inputs: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        # With momentum 0 the updated moving statistics are the batch's own.
        with batch_statistics(model), _momentum(layers, 0.0):
            _, updates = forward(model, inputs, training=False)
        return [
            (
                updates[position[id(layer.moving_mean)]],
                updates[position[id(layer.moving_variance)]],
            )
            for layer in layers
        ]

    count = 0
    # float64: a mean of squares minus a square of a mean loses digits.
    first = [np.zeros(layer.moving_mean.shape) for layer in layers]
    second = [np.zeros(layer.moving_mean.shape) for layer in layers]
    for inputs in batches:
        size = int(inputs.shape[0])
        count += size
        for i, (mean, variance) in enumerate(moments(inputs)):
            mean = np.asarray(mean, np.float64)
            first[i] += size * mean
            second[i] += size * (np.asarray(variance, np.float64) + np.square(mean))
    if not count:
        return {}
    return {
        layer.path: Statistics(
            mean=first[i] / count,
            variance=np.maximum(second[i] / count - np.square(first[i] / count), 0.0),
        )
        for i, layer in enumerate(layers)
    }


def drift(
    model: keras.Model, measured: Mapping[str, Statistics], num_steps: int
) -> tuple[BatchNormDrift, ...]:
    """Compares each layer's moving statistics with the measured ones.

    Args:
      model: The trained model.
      measured: What `measure` returned for it.
      num_steps: Training steps that made the moving statistics.

    Returns:
      One entry per measured layer, the most drifted first.
    """
    drifts = []
    for layer in trainable_layers(model):
        if layer.path not in measured:
            continue
        true = measured[layer.path]
        moving_mean = np.asarray(layer.moving_mean, np.float64)
        moving_variance = np.asarray(layer.moving_variance, np.float64)
        variance = true.variance + layer.epsilon
        shift = (moving_mean - true.mean) / np.sqrt(variance)
        ratio = np.log((moving_variance + layer.epsilon) / variance)
        drifts.append(
            BatchNormDrift(
                layer=layer.path,
                mean_shift=float(np.sqrt(np.mean(np.square(shift)))),
                log_variance_ratio=float(np.sqrt(np.mean(np.square(ratio)))),
                initial_share=float(layer.momentum**num_steps),
            )
        )
    return tuple(
        sorted(drifts, key=lambda d: d.mean_shift + d.log_variance_ratio, reverse=True)
    )


def assign(model: keras.Model, statistics: Mapping[str, Statistics]) -> None:
    """Sets the moving statistics of the named layers."""
    for layer in trainable_layers(model):
        if layer.path in statistics:
            layer.moving_mean.assign(statistics[layer.path].mean)
            layer.moving_variance.assign(statistics[layer.path].variance)


def current(model: keras.Model) -> dict[str, Statistics]:
    """Returns the moving statistics as they are, for going back to them."""
    return {
        layer.path: Statistics(
            np.array(layer.moving_mean), np.array(layer.moving_variance)
        )
        for layer in trainable_layers(model)
    }


def _in_training_mode(layer: keras.layers.BatchNormalization) -> Any:
    call = layer.call

    def call_with_batch_statistics(
        inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        del training
        return call(inputs, training=True, mask=mask)

    return call_with_batch_statistics


@contextlib.contextmanager
def _momentum(
    layers: Iterable[keras.layers.BatchNormalization], momentum: float
) -> Iterator[None]:
    before = [(layer, layer.momentum) for layer in layers]
    for layer, _ in before:
        layer.momentum = momentum
    try:
        yield
    finally:
        for layer, old in before:
            layer.momentum = old
