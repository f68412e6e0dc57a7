# SPDX-License-Identifier: Apache-2.0
"""What a model's outputs mean: how they become probabilities, what labels it wants."""

import dataclasses

import keras
import tensorflow as tf

from components.causes import Severity
from components.errors import InputError
from components.findings import Finding, Subject, find
from components.guarded_trainer import modes
from components.guarded_trainer.loss import Loss, read_loss

SOFTMAX, SIGMOID, LINEAR = "Softmax", "Sigmoid", "linear"

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
    model: keras.Model, num_classes: int, inputs: tf.Tensor
) -> tuple[Head, tuple[Finding, ...]]:
    """Reads off a model what its outputs mean; builds the model if need be.

    What the model computes last decides whether its outputs are probabilities
    (softmax, sigmoid) or logits. Where that is neither, they are probabilities if
    they look like them, unless the compiled loss says otherwise.

    Args:
      model: Any Keras model; it need be neither built nor compiled.
      num_classes: Number of classes K, at least 2.
      inputs: A few real inputs, float32, shape (batch, ...).

    Returns:
      The head, and a finding where it does not fit the compiled loss.

    Raises:
      InputError: If the model has several outputs, or not one unit per class.
    """
    # Not `modes.forward`: a model cannot be built where variables must not change.
    outputs = modes.call(model, inputs, training=False)
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) != 2:
        came = shape if shape is not None else f"a {type(outputs).__name__} of outputs"
        raise InputError(
            f"build_model: expected one output of shape (batch, {num_classes}), but "
            f"the model answers {came}; end the model with one "
            f"`Dense({num_classes})` layer"
        )
    units = int(shape[-1])
    if units != num_classes and not (units == 1 and num_classes == 2):
        raise InputError(
            f"build_model: expected {num_classes} outputs, one per class, but the "
            f"model has {units}; use `context.num_classes` for the last layer"
        )
    loss = read_loss(model, outputs)
    activation = _last_activation(model, inputs)
    head = Head(
        num_classes,
        units,
        logits=_are_logits(activation, outputs, loss),
        one_hot=units > 1 and bool(loss.one_hot),
    )
    return head, _mismatches(head, activation, loss)


def compile_for(model: keras.Model, head: Head, learning_rate: float) -> None:
    """Compiles a model that `build_model` left uncompiled: Adam, cross-entropy."""
    loss = (
        keras.losses.BinaryCrossentropy(from_logits=head.logits)
        if head.units == 1
        else keras.losses.SparseCategoricalCrossentropy(from_logits=head.logits)
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
        optimizer=keras.optimizers.Adam(learning_rate), loss=loss, metrics=[accuracy]
    )


def _last_activation(model: keras.Model, inputs: tf.Tensor) -> str | None:
    """Returns what the model computes last, None if it is neither of the three.

    The traced computation tells it for every kind of model: its layers need not
    stand in the order in which they are used.
    """
    traced = tf.function(
        lambda x: modes.forward(model, x, training=False), autograph=False
    ).get_concrete_function(tf.TensorSpec((None, *inputs.shape[1:]), inputs.dtype))
    operation = traced.outputs[0].op
    while operation.type in _SHAPES_AND_TYPES:
        operation = operation.inputs[0].op
    if operation.type in (SOFTMAX, SIGMOID):
        return str(operation.type)
    return LINEAR if operation.type in _LINEAR_OPERATIONS else None


def _are_logits(activation: str | None, outputs: tf.Tensor, loss: Loss) -> bool:
    if activation in (SOFTMAX, SIGMOID):
        return False
    if outputs.shape[-1] > 1:
        return not _are_distributions(outputs)
    if activation == LINEAR or loss.from_logits is not None:
        return activation == LINEAR or bool(loss.from_logits)
    return bool(tf.reduce_any((outputs < 0) | (outputs > 1)))


def _are_distributions(outputs: tf.Tensor) -> bool:
    outputs = tf.cast(outputs, tf.float32)
    sums = tf.reduce_sum(outputs, axis=1)
    return bool(
        tf.reduce_all(outputs >= 0) & tf.reduce_all(tf.abs(sums - 1) <= _TOLERANCE)
    )


def _mismatches(head: Head, activation: str | None, loss: Loss) -> tuple[Finding, ...]:
    """Holds the end of the model against the compiled loss.

    A loss of the user's making is trusted.
    """
    severity = Severity.BLOCK
    if head.units == 1 and activation == SOFTMAX:
        problem = "a softmax over one unit answers 1 to everything"
    elif head.units == 1 and loss.is_categorical:
        problem = f"{loss.name} over one unit is the same for every answer"
    elif head.logits and loss.from_logits is False and _is_crossentropy(loss):
        problem = f"{loss.name} takes the model's raw outputs for probabilities"
    elif loss.from_logits and activation in (SOFTMAX, SIGMOID):
        problem = (
            f"{loss.name} expects raw outputs, but the model ends with a "
            f"{activation.lower()}"
        )
        if loss.is_categorical == (activation == SOFTMAX):
            # Keras sees such a pair, and takes the activation back.
            severity = Severity.WARN
    else:
        return ()
    return (
        find(
            "loss_mismatch",
            f"Output layer and loss do not fit: {problem}.",
            severity=severity,
            subject=Subject(split="train"),
            found_by="GuardedTrainer",
        ),
    )


def _is_crossentropy(loss: Loss) -> bool:
    return loss.is_binary or loss.is_categorical
