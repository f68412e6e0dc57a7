# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies that Keras does not have: of adjusted logits, and focal for ids.

Each is a `keras.losses.Loss` of one value per example, so that Keras merges it with
sample weights and spreads it over replicas as it does its own; each computes in
float32 whatever the model computes in, is finite for probabilities of 0 and 1, and
can be serialized. They extend Keras' losses of the same labels, and so are read like
these by whatever asks a compiled model for its loss.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

_PASSED_THROUGH = ("Cast", "Identity")
_TINY = 1.1754944e-38
"""The smallest normal float32: logarithms and gradients are exact down to here."""
_EPSILON = 1e-7
"""Keras' own: 1 - p is not known better in float32."""


@keras.saving.register_keras_serializable(package="components")
class SparseAdjustedCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy for class ids, of logits adjusted by the shares of the classes.

    With logits f and shares pi, the loss is -log softmax(f + log pi)[y]: Balanced
    Softmax (Ren et al. 2020, arXiv:2007.10740), which is the logit-adjusted loss of
    Menon et al. (2021, arXiv:2007.07314) with tau = 1. From probabilities p it is
    computed with log p in place of f: both differ by a constant per example, which
    softmax does not see. Labels have shape (batch,), outputs (batch, K).

    Attributes:
      priors: Share of each class, all positive; None for equal shares.
      label_smoothing: Share of each label that is spread over all classes.
    """

    def __init__(
        self,
        priors: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        name: str = "sparse_adjusted_crossentropy",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.priors = None if priors is None else [float(p) for p in priors]
        self.label_smoothing = label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, shape (batch,)."""
        logits = _class_logits(y_pred, self.from_logits)
        if self.priors is not None:
            logits += tf.math.log(tf.constant(self.priors, tf.float32))
        log_p = tf.nn.log_softmax(logits)
        chosen = _of_class(log_p, y_true)
        if not self.label_smoothing:
            return -chosen
        smooth = self.label_smoothing
        return -(1.0 - smooth) * chosen - smooth * tf.reduce_mean(log_p, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor takes."""
        own = {"priors": self.priors, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="components")
class BinaryAdjustedCrossentropy(keras.losses.BinaryCrossentropy):
    """The same for one unit, the logit or probability of the second of two classes.

    The logit is shifted by log(pi_1 / pi_0). Labels are 0 and 1; labels and outputs
    have shape (batch, 1).

    Attributes:
      priors: Shares of both classes, positive; None for equal shares.
    """

    def __init__(
        self,
        priors: Sequence[float] | None = None,
        name: str = "binary_adjusted_crossentropy",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.priors = None if priors is None else [float(p) for p in priors]

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, shape (batch,)."""
        logits = _unit_logits(y_pred, self.from_logits)
        if self.priors is not None:
            negative, positive = self.priors
            logits += math.log(positive / negative)
        labels = tf.reshape(tf.cast(y_true, tf.float32), tf.shape(logits))
        labels += self.label_smoothing * (0.5 - labels)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        return tf.reduce_mean(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor takes."""
        return {**super().get_config(), "priors": self.priors}


@keras.saving.register_keras_serializable(package="components")
class SparseFocalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Focal loss for class ids: -(1 - p)**gamma log p for the true class's p.

    Lin et al. 2017, arXiv:1708.02002, without their alpha; Keras has it for one-hot
    labels only. Labels have shape (batch,), outputs (batch, K).

    Attributes:
      gamma: Exponent, at least 1.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        name: str = "sparse_focal_crossentropy",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.gamma = gamma

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, shape (batch,)."""
        log_p = tf.nn.log_softmax(_class_logits(y_pred, self.from_logits))
        chosen = _of_class(log_p, y_true)
        # 1 - p without the cancellation near 1; never below 0 by rounding.
        missing = tf.maximum(-tf.math.expm1(chosen), 0.0)
        return -tf.pow(missing, self.gamma) * chosen

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor takes."""
        return {**super().get_config(), "gamma": self.gamma}


def _class_logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    """Returns logits, float32, up to a constant per row; shape (batch, K)."""
    if from_logits:
        return tf.cast(outputs, tf.float32)
    inside = _inputs_of(outputs, "Softmax")
    if inside is not None:
        return tf.cast(inside, tf.float32)
    return tf.math.log(tf.maximum(tf.cast(outputs, tf.float32), _TINY))


def _unit_logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    """Returns the logits of single units, float32, shape (batch, 1)."""
    if from_logits:
        return tf.cast(outputs, tf.float32)
    inside = _inputs_of(outputs, "Sigmoid")
    if inside is not None:
        return tf.cast(inside, tf.float32)
    p = tf.clip_by_value(tf.cast(outputs, tf.float32), _EPSILON, 1.0 - _EPSILON)
    return tf.math.log(p) - tf.math.log1p(-p)


def _inputs_of(outputs: tf.Tensor, activation: str) -> tf.Tensor | None:
    """Returns what an activation was computed from, where a graph tells.

    Keras' own losses do the same: a probability that was rounded to 0 or 1 has lost
    its gradient, and such an example could never be learnt.
    """
    if tf.executing_eagerly() or not hasattr(outputs, "op"):
        return None
    operation = outputs.op
    while operation.type in _PASSED_THROUGH:
        operation = operation.inputs[0].op
    return operation.inputs[0] if operation.type == activation else None


def _of_class(values: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
    """Takes the value of each row's class: (batch, K), (batch,) -> (batch,)."""
    # Keras hands labels over as floats, and may add an axis.
    ids = tf.reshape(tf.cast(class_ids, tf.int64), (-1,))
    return tf.gather(values, ids, axis=1, batch_dims=1)
