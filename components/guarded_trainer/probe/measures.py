# SPDX-License-Identifier: Apache-2.0
"""What is computed of a traced model, within its graph, so that little comes out."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.guarded_trainer.head import Head
from components.guarded_trainer.probe.layers import (
    FLAT_FROM,
    RELU_LIKE,
    Calls,
    WatchedLayer,
)

_SMALLEST = 1e-7
"""Smallest probability whose logarithm is taken, as in Keras' own losses."""


class Numbers:
    """Gathers tensors of known shape into one, which costs one transfer, not many."""

    def __init__(self) -> None:
        self._keys: list[tuple[Hashable, str]] = []
        self._shapes: list[tuple[int, ...]] = []
        self._tensors: list[tf.Tensor] = []

    def put(self, owner: Hashable, part: str, tensor: tf.Tensor) -> None:
        """Adds a tensor; one whose shape is not known is left out."""
        if tensor.shape.is_fully_defined():
            self._keys.append((owner, part))
            self._shapes.append(tuple(tensor.shape))
            self._tensors.append(tf.reshape(tf.cast(tensor, tf.float32), (-1,)))

    def pack(self) -> tf.Tensor:
        """Returns all of them as one vector, float32."""
        tensors, self._tensors = self._tensors, []
        return tf.concat(tensors, axis=0) if tensors else tf.zeros((0,))

    def unpack(
        self, vector: np.ndarray
    ) -> dict[tuple[Hashable, str], list[np.ndarray]]:
        """Takes apart what `pack` returned, once it has been computed.

        Returns:
          By owner and part, float64, in the order in which they were added.
        """
        sizes = [math.prod(shape) for shape in self._shapes]
        parts = np.split(vector.astype(np.float64), np.cumsum(sizes))[:-1]
        found: dict[tuple[Hashable, str], list[np.ndarray]] = {}
        for key, shape, part in zip(self._keys, self._shapes, parts, strict=True):
            found.setdefault(key, []).append(part.reshape(shape))
        return found


def cross_entropy(head: Head, outputs: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy of each example, in nats, float32.

    Where the model ends with softmax or sigmoid, it is computed from what enters
    them, as Keras does: a probability that has reached 0 or 1 has no gradient.
    """
    logits = _logits(head, outputs)
    if logits is None:
        probabilities = head.probabilities(outputs)
        chosen = tf.gather(probabilities, class_ids, axis=1, batch_dims=1)
        return -tf.math.log(tf.maximum(chosen, _SMALLEST))
    if head.units == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(class_ids, tf.float32), logits[:, 0]
        )
    return tf.nn.sparse_softmax_cross_entropy_with_logits(class_ids, logits)


def measure_outputs(
    numbers: Numbers, entry: WatchedLayer, calls: Calls, outputs: Any
) -> None:
    """Adds what one layer returned.

    Args:
      numbers: Where to.
      entry: The layer.
      calls: What passed through it.
      outputs: What the model returned: the activation of its last layer is meant
        to reach the flat ends.
    """
    for tensor in calls.outputs:
        tensor = tf.cast(tensor, tf.float32)
        mean = tf.reduce_mean(tensor)
        # Not from the mean of the squares, which loses all digits where the mean is
        # far from 0.
        variance = tf.reduce_mean(tf.math.squared_difference(tensor, mean))
        size = tf.cast(tf.size(tensor), tf.float32)
        numbers.put(entry.name, "outputs", tf.stack([size, mean, variance]))
    last = _beneath(outputs)
    for tensor in calls.activated:
        if tensor.shape.rank is None or tensor.shape.rank < 2:
            continue
        others = list(range(tensor.shape.rank - 1))
        if entry.activation in RELU_LIKE:
            numbers.put(entry.name, "largest", tf.reduce_max(tensor, axis=others))
        elif entry.activation in FLAT_FROM and tensor.name not in last:
            flat = tf.abs(tensor) >= FLAT_FROM[entry.activation]
            share = tf.reduce_mean(tf.cast(flat, tf.float32), axis=others)
            numbers.put(entry.name, "flat", share)


def measure_weights(numbers: Numbers, entry: WatchedLayer) -> None:
    """Adds the weights of one layer: the sum of squares of each."""
    trained = {id(v) for v in entry.trainable}
    for variable in entry.weights:
        value = tf.convert_to_tensor(variable.value)
        if value.dtype.is_floating:
            squares = 2.0 * tf.nn.l2_loss(tf.cast(value, tf.float32))
            part = "trainable" if id(variable) in trained else "fixed"
            numbers.put(entry.name, part, squares)


def measure_gradients(
    numbers: Numbers, entry: WatchedLayer, gradients: Sequence[Any], scale: float
) -> None:
    """Adds the gradients of one layer: of each the sums of squares and of sizes.

    Args:
      numbers: Where to.
      entry: The layer.
      gradients: As `tf.GradientTape` returns them.
      scale: What the loss was multiplied by.
    """
    for gradient in gradients:
        if gradient is None:  # Nothing of the loss depends on the weight.
            numbers.put(entry.name, "gradient", tf.zeros((2,)))
            continue
        if isinstance(gradient, tf.IndexedSlices):
            # Only the rows of a table that were looked up; the others have none.
            rows, places = tf.unique(tf.reshape(gradient.indices, (-1,)))
            gradient = tf.math.unsorted_segment_sum(
                gradient.values, places, tf.size(rows)
            )
        gradient = tf.cast(gradient, tf.float32) / scale
        squares, sizes = 2.0 * tf.nn.l2_loss(gradient), tf.reduce_sum(tf.abs(gradient))
        numbers.put(entry.name, "gradient", tf.stack([squares, sizes]))


def _logits(head: Head, outputs: tf.Tensor) -> tf.Tensor | None:
    if head.logits:
        return tf.cast(outputs, tf.float32)
    operation = _operation(outputs)
    if operation is not None and operation.type == (
        "Sigmoid" if head.units == 1 else "Softmax"
    ):
        return tf.cast(operation.inputs[0], tf.float32)
    return None


def _beneath(outputs: Any) -> set[str]:
    """Returns the names of what enters the model's last operation."""
    operation = _operation(outputs)
    return set() if operation is None else {tensor.name for tensor in operation.inputs}


def _operation(outputs: Any) -> Any:
    """Returns the operation that a model ends with, past changes of type."""
    operation = getattr(outputs, "op", None)
    while operation is not None and operation.type in ("Cast", "Identity"):
        operation = operation.inputs[0].op
    return operation
