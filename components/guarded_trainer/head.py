# SPDX-License-Identifier: Apache-2.0
"""What a model's outputs mean: how they become probabilities, what labels it wants."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer import mismatch, modes
from components.guarded_trainer.loss import Loss, read_loss
from components.guarded_trainer.mismatch import (
    HINGES,
    LINEAR,
    OTHER_ACTIVATIONS,
    SIGMOID,
    SOFTMAX,
)

_LINEAR_OPERATIONS = ("AddV2", "BiasAdd", "MatMul")
_SHAPES_AND_TYPES = ("Cast", "ExpandDims", "Identity", "Reshape", "Squeeze")
_TOLERANCE = 1e-2
"""Most by which a row of probabilities may miss a sum of 1; in half precision a sum
over a thousand classes is off by some thousandths."""


@dataclasses.dataclass(frozen=True)
class Head:
    """The end of a classifier.

    Attributes:
      num_classes: Number of classes K.
      units: K, or 1 for two classes whose second one the unit stands for.
      logits: Whether the outputs are logits rather than probabilities.
      one_hot: Whether the model's loss wants one-hot labels.
    """

    num_classes: int
    units: int
    logits: bool
    one_hot: bool

    def probabilities(self, outputs: tf.Tensor) -> tf.Tensor:
        """Turns outputs, shape (batch, units), into probabilities, shape (batch, K).

        The result is float32 whatever the model computes in, and each row has the
        sum 1 also where the units answer independently.
        """
        outputs = tf.cast(outputs, tf.float32)
        if self.units == 1:
            positive = tf.sigmoid(outputs) if self.logits else outputs
            return tf.concat([1.0 - positive, positive], axis=1)
        if self.logits:
            return tf.nn.softmax(outputs)
        return tf.math.divide_no_nan(
            outputs, tf.reduce_sum(outputs, axis=1, keepdims=True)
        )

    def encode(self, class_ids: tf.Tensor) -> tf.Tensor:
        """Turns class ids, shape (batch,), into the labels that the loss wants."""
        if self.units == 1:
            return tf.cast(tf.reshape(class_ids, (-1, 1)), tf.float32)
        if self.one_hot:
            return tf.one_hot(class_ids, self.num_classes)
        return class_ids


def read_head(
    model: keras.Model, num_classes: int, inputs: Any, *, one_hot: bool | None = None
) -> tuple[Head, tuple[Finding, ...]]:
    """Reads off a model what its outputs mean; builds the model if need be.

    What the model computes last decides whether its outputs are probabilities
    (softmax, sigmoid) or logits. Where that is neither, they are probabilities if
    they look like them, unless the compiled loss says otherwise.

    Args:
      model: Any Keras model; it need be neither built nor compiled.
      num_classes: Number of classes K, at least 2.
      inputs: A few real inputs: a tensor, or a dict or tuple of tensors.
      one_hot: Whether labels come one-hot; decides where the compiled loss takes
        either, or the model has a train step with a loss of its own.

    Returns:
      The head, and a finding where it does not fit the compiled loss.

    Raises:
      InputError: If the model has several outputs, not one unit per class, or a
        loss that cannot take the labels for its units.
    """
    # Not `modes.forward`: a model cannot be built where variables must not change.
    outputs = modes.call(model, inputs, training=False)
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) != 2:
        came = shape if shape is not None else f"a {type(outputs).__name__} of outputs"
        raise InputError(
            f"model: expected one output of shape (batch, {num_classes}), but "
            f"the model answers {came}; end the model with one "
            f"`Dense({num_classes})` layer"
        )
    units = int(shape[-1])
    if units != num_classes and not (units == 1 and num_classes == 2):
        raise InputError(
            f"model: expected {num_classes} outputs, one per class, but the "
            f"model has {units}; use `context.num_classes` for the last layer"
        )
    loss = read_loss(model, outputs, one_hot)
    if units == 1 and loss.one_hot is False and loss.is_categorical:
        raise InputError(
            f"model: expected one unit per class for {loss.name}, but the model has a "
            "single unit, so that label 1 is out of its range; use binary "
            "cross-entropy, or a softmax over two units"
        )
    activation = _last_activation(model, inputs)
    head = Head(
        num_classes,
        units,
        logits=_are_logits(activation, outputs, loss),
        one_hot=units > 1 and bool(loss.one_hot),
    )
    pair = mismatch.Pair(units, activation, head.logits, loss.name, loss.from_logits)
    return head, mismatch.check(pair)


def _last_activation(model: keras.Model, inputs: tf.Tensor) -> str | None:
    """Returns what the model computes last, None if `mismatch` has no name for it.

    The traced computation tells it for every kind of model: its layers need not
    stand in the order in which they are used.
    """
    specs = tf.nest.map_structure(
        lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), inputs
    )
    traced = tf.function(
        lambda x: modes.forward(model, x, training=False), autograph=False
    ).get_concrete_function(specs)
    operation = traced.outputs[0].op
    while operation.type in _SHAPES_AND_TYPES:
        operation = operation.inputs[0].op
    if operation.type in (SOFTMAX, SIGMOID, *OTHER_ACTIVATIONS):
        return str(operation.type)
    return LINEAR if operation.type in _LINEAR_OPERATIONS else None


def _are_logits(activation: str | None, outputs: tf.Tensor, loss: Loss) -> bool:
    if activation in (SOFTMAX, SIGMOID):
        return False
    if outputs.shape[-1] > 1:
        if loss.is_binary and loss.from_logits is False and activation is None:
            # Independent units, such as those of a hard sigmoid.
            return not _within_0_and_1(outputs)
        return not _are_distributions(outputs)
    if loss.name in HINGES:
        return True  # Its boundary between the classes is 0.
    if activation == LINEAR or loss.from_logits is not None:
        return activation == LINEAR or bool(loss.from_logits)
    return not _within_0_and_1(outputs)


def _within_0_and_1(outputs: tf.Tensor) -> bool:
    return bool(tf.reduce_all((outputs >= 0) & (outputs <= 1)))


def _are_distributions(outputs: tf.Tensor) -> bool:
    outputs = tf.cast(outputs, tf.float32)
    sums = tf.reduce_sum(outputs, axis=1)
    return bool(
        tf.reduce_all(outputs >= 0) & tf.reduce_all(tf.abs(sums - 1) <= _TOLERANCE)
    )
