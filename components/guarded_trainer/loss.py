# SPDX-License-Identifier: Apache-2.0
"""What a compiled loss expects: which labels, and probabilities or logits."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from components.errors import InputError


@dataclasses.dataclass(frozen=True)
class Loss:
    """What is known of a loss.

    Attributes:
      name: Name of Keras' own function, such as `binary_crossentropy`; "" for a
        loss of the user's making, or none.
      from_logits: Whether it takes outputs as logits; None where that is unknown.
      one_hot: Whether it wants one-hot labels rather than class ids; None where
        there is no loss to ask.
    """

    name: str = ""
    from_logits: bool | None = None
    one_hot: bool | None = None

    @property
    def is_binary(self) -> bool:
        """Whether it is a cross-entropy of independent units."""
        return self._is_crossentropy and self.name.startswith("binary")

    @property
    def is_categorical(self) -> bool:
        """Whether it is a cross-entropy over all units."""
        return self._is_crossentropy and "categorical" in self.name

    @property
    def _is_crossentropy(self) -> bool:
        return self.name.endswith("crossentropy")


def read_loss(
    model: keras.Model, outputs: tf.Tensor, one_hot: bool | None = None
) -> Loss:
    """Reads off a model what its compiled loss expects.

    A loss of the user's making is tried out with both kinds of labels.

    Args:
      model: A model; it need not be compiled.
      outputs: Its outputs for a few examples, shape (batch, units).
      one_hot: Whether labels come one-hot; decides where the loss takes either.

    Raises:
      InputError: If a loss of the user's making takes both kinds of labels, or
        neither.
    """
    loss = _only(model.loss) if getattr(model, "compiled", False) else None
    if loss is None:
        # With a train step of the user's, labels are to be what they were.
        return Loss(one_hot=one_hot if getattr(model, "compiled", False) else None)
    loss = keras.losses.get(loss)
    function = getattr(loss, "fn", loss)
    name = getattr(function, "__name__", "")
    if getattr(keras.losses, name, None) is not function:
        return Loss(
            from_logits=getattr(loss, "from_logits", None),
            one_hot=_wants_one_hot(loss, outputs, one_hot),
        )
    # Losses that have no such argument, such as the squared error, know no logits.
    from_logits = bool(getattr(loss, "from_logits", False))
    return Loss(name, from_logits, one_hot=not name.startswith("sparse"))


def _only(loss: Any) -> Any:
    """Takes the loss out of the list or dict that Keras allows for one output."""
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        return loss[0] if len(loss) == 1 else None
    return loss


def _wants_one_hot(
    loss: Callable[..., Any], outputs: tf.Tensor, given: bool | None
) -> bool | None:
    units = outputs.shape[-1]
    if units == 1:
        return False
    # More rows than classes, so that ids cannot pass for one row of one-hot labels.
    rows = tf.range(units + 1)
    outputs = tf.gather(outputs, rows % tf.shape(outputs)[0])
    class_ids = rows % units
    takes_ids = _takes(loss, class_ids, outputs)
    takes_one_hot = _takes(loss, tf.one_hot(class_ids, units), outputs)
    if takes_ids == takes_one_hot:
        if given is not None:
            return given
        raise InputError(
            "model: expected a loss that takes either class ids or one-hot "
            f"labels, but {getattr(loss, '__name__', type(loss).__name__)} takes "
            f"{'both' if takes_ids else 'neither'}; let it return one value per "
            "example for one of them, or compile with one of Keras' own"
        )
    return takes_one_hot


def _takes(loss: Callable[..., Any], labels: tf.Tensor, outputs: tf.Tensor) -> bool:
    """Returns whether a loss makes one value per example, or one in all, of labels."""
    try:
        # As Keras calls it: labels come in the type of the outputs, whatever they are.
        values = getattr(loss, "call", loss)(tf.cast(labels, outputs.dtype), outputs)
        shape = tuple(tf.convert_to_tensor(values).shape)
    except Exception:  # Whatever it raises, it does not take them.
        return False
    return shape in ((), (outputs.shape[0],))
