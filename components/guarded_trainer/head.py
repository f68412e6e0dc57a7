# SPDX-License-Identifier: Apache-2.0
"""What a model's outputs mean: how they become probabilities, what labels it wants."""

import dataclasses

import keras
import tensorflow as tf

from components.errors import InputError

_SPARSE = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")


@dataclasses.dataclass(frozen=True)
class Head:
    """The last layer of a classifier.

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

        The result is float32 whatever the model computes in.
        """
        outputs = tf.cast(outputs, tf.float32)
        if self.units == 1:
            positive = tf.sigmoid(outputs) if self.logits else outputs
            positive = tf.reshape(positive, (-1, 1))
            return tf.concat([1.0 - positive, positive], axis=1)
        return tf.nn.softmax(outputs) if self.logits else outputs

    def encode(self, class_ids: tf.Tensor) -> tf.Tensor:
        """Turns class ids, shape (batch,), into the labels that the loss wants."""
        if self.units == 1:
            return tf.cast(tf.reshape(class_ids, (-1, 1)), tf.float32)
        if self.one_hot:
            return tf.one_hot(class_ids, self.num_classes)
        return class_ids


def read_head(model: keras.Model, num_classes: int) -> Head:
    """Reads off a model what its outputs mean.

    A compiled loss with `from_logits` decides whether the outputs are logits; else
    the activation of the last layer does. A model without either is taken to
    answer probabilities.

    Raises:
      InputError: If the model has several outputs, or not one unit per class.
    """
    shape = model.output_shape if model.built else None
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise InputError(
            f"build_model: expected one output of shape (batch, {num_classes}), but "
            f"the model's output shape is {shape}; end the model with one "
            f"`Dense({num_classes})` layer"
        )
    units = shape[-1]
    if units != num_classes and not (units == 1 and num_classes == 2):
        raise InputError(
            f"build_model: expected {num_classes} outputs, one per class, but the "
            f"model has {units}; use `context.num_classes` for the last layer"
        )
    loss = model.loss if getattr(model, "compiled", False) else None
    from_logits = getattr(loss, "from_logits", None)
    if from_logits is None:
        from_logits = _last_activation(model) == "linear"
    one_hot = loss is not None and units > 1 and not _is_sparse(loss)
    return Head(num_classes, units, bool(from_logits), one_hot)


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


def _is_sparse(loss: object) -> bool:
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", None)
    return (name or type(loss).__name__) in _SPARSE


def _last_activation(model: keras.Model) -> str | None:
    """Returns the name of the activation the model ends with, None if unknown."""
    layers = model.layers
    while layers:
        last = layers[-1]
        if isinstance(last, keras.layers.Softmax):
            return "softmax"
        if isinstance(last, keras.Model):
            layers = last.layers
            continue
        if hasattr(last, "activation"):
            return getattr(last.activation, "__name__", None)
        if not isinstance(last, keras.layers.Dropout | keras.layers.Reshape):
            return None
        layers = layers[:-1]
    return None
