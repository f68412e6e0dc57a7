# SPDX-License-Identifier: Apache-2.0
"""Keras callbacks that watch a training; they hook only, and change no step."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from components.guarded_trainer.schedule import rate
from components.records.training import Epoch

_LOG = logging.getLogger("components.guarded_trainer")


class StopOnNotFinite(keras.callbacks.Callback):
    """Stops training when the loss or a weight is NaN or infinite.

    The loss is looked at after every batch, the weights after every epoch: on CPU
    a fused Dense or Conv with ReLU turns NaN into 0, so that loss and predictions
    can stay finite while the weights are lost.

    Attributes:
      reason: Why training was stopped, in words; None if it was not.
      layer: Path of the first variable that was not finite, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reason: str | None = None
        self.layer: str | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts afresh, so that one instance can serve several `fit()` calls."""
        self.reason = None
        self.layer = None
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the epoch for the message."""
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Looks at the loss."""
        loss = (logs or {}).get("loss")
        # Keras has made it a number of Python for its own callbacks.
        if loss is not None and not math.isfinite(loss):
            self._stop(f"the loss became {loss} in epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the weights."""
        if self.reason is None:
            self.layer = first_not_finite(self.model)
            if self.layer:
                self._stop(f"{self.layer} was not finite after epoch {epoch + 1}")

    def _stop(self, reason: str) -> None:
        self.reason = reason
        self.model.stop_training = True


class RecordEpochs(keras.callbacks.Callback):
    """Measures each epoch, and hands what it measured to whoever judges it.

    Each epoch is one INFO record of the logger `components.guarded_trainer` with
    the attribute `progress = (epochs done, epochs planned)`, from which a user
    interface can draw a bar.

    Attributes:
      num_steps: Steps taken in the current epoch.
    """

    def __init__(self, on_epoch: Callable[[Epoch], None]) -> None:
        """Constructs the callback.

        Args:
          on_epoch: Called after each epoch with what was measured. It may stop the
            training.
        """
        super().__init__()
        self._on_epoch = on_epoch
        self.num_steps = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.monotonic()
        self._first: float | None = None
        self._worst: float | None = None
        self.num_steps = 0

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Remembers the first and the largest loss."""
        self.num_steps = batch + 1
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if self._worst is None:
            self._first = self._worst = loss
        # NaN is worse than any number.
        elif not loss <= self._worst:
            self._worst = loss

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hands over what Keras measured."""
        logs = logs or {}
        optimizer = getattr(self.model, "optimizer", None)
        entry = Epoch(
            loss=_number(logs.get("loss")),
            accuracy=_accuracy(logs, ""),
            held_out_loss=_number(logs.get("val_loss")),
            held_out_accuracy=_accuracy(logs, "val_"),
            seconds=time.monotonic() - self._started,
            learning_rate=rate.get(optimizer) if optimizer is not None else None,
            first_loss=_number(self._first),
            worst_batch_loss=_number(self._worst),
        )
        planned = self.params.get("epochs", 0)
        _LOG.info(
            "epoch %d of %d: %s",
            epoch + 1,
            planned,
            describe(entry),
            extra={"progress": (epoch + 1, planned)},
        )
        self._on_epoch(entry)


def first_not_finite(model: keras.Model) -> str | None:
    """Returns the path of the first weight with NaN or infinity, or None."""
    for variable in model.variables:
        if keras.backend.is_float_dtype(variable.dtype) and not bool(
            tf.reduce_all(tf.math.is_finite(variable.value))
        ):
            return str(variable.path)
    return None


def describe(epoch: Epoch) -> str:
    """Returns an epoch's metrics in one short line."""
    shown = {
        "loss": epoch.loss,
        "accuracy": epoch.accuracy,
        "held-out loss": epoch.held_out_loss,
        "held-out accuracy": epoch.held_out_accuracy,
    }
    return ", ".join(f"{k} {v:.3f}" for k, v in shown.items() if v is not None)


def _accuracy(logs: dict[str, Any], prefix: str) -> float | None:
    # A model that the user compiled may call it by another name; top-k accuracy
    # ends alike, and is something else.
    for name in ("", "binary_", "categorical_", "sparse_categorical_"):
        if f"{prefix}{name}accuracy" in logs:
            return _number(logs[f"{prefix}{name}accuracy"])
    return _number(logs.get(f"{prefix}acc"))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
