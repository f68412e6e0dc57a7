# SPDX-License-Identifier: Apache-2.0
"""Keras callbacks that watch a training; they hook only, and change no step."""

import logging
import math
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

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
        if loss is not None and not np.isfinite(loss):
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


class KeepBest(keras.callbacks.EarlyStopping):
    """Stops early and goes back to the best weights, which are never broken ones.

    Keras' own callback keeps the weights of the lowest loss, and those of the first
    epoch whatever its loss. A network that NaN has destroyed can have the lowest
    held-out loss, since NaN may become 0 on the way through a fused ReLU.

    Attributes:
      kept_epoch: Index (from 0) of the epoch whose weights the model was left with;
        None if no epoch had a finite loss and finite weights.
      gave_up: Whether training was stopped because the loss no longer improved.
    """

    def __init__(self, guard: StopOnNotFinite, monitor: str, patience: int):
        """Constructs the callback.

        Args:
          guard: Knows whether training broke; must stand earlier in the list of
            callbacks.
          monitor: Name of the loss to judge by.
          patience: Epochs without improvement before training stops.
        """
        super().__init__(
            monitor=monitor, patience=patience, mode="min", restore_best_weights=True
        )
        self._guard = guard

    @property
    def kept_epoch(self) -> int | None:
        """Index of the epoch whose weights were kept."""
        return None if self.best_weights is None else int(self.best_epoch)

    @property
    def gave_up(self) -> bool:
        """Whether patience ran out."""
        return bool(self.stopped_epoch)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts afresh; Keras would hold the next `fit()` against this one's best."""
        super().on_train_begin(logs)
        self.best = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the weights if they are the best and whole."""
        loss = (logs or {}).get(self.monitor)
        # Keras would keep the first weights it sees, however bad.
        is_first = self.best_weights is None
        if self._guard.reason or (is_first and not math.isfinite(loss or 0.0)):
            return
        super().on_epoch_end(epoch, logs)


class RecordEpochs(keras.callbacks.Callback):
    """Keeps the metrics of each epoch, and reports progress to the log.

    Each epoch is one INFO record of the logger `components.guarded_trainer` with
    the attribute `progress = (epochs done, epochs planned)`, from which a user
    interface can draw a bar.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts afresh."""
        self.epochs = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps what Keras measured."""
        logs = logs or {}
        entry = Epoch(
            loss=_number(logs.get("loss")),
            accuracy=_accuracy(logs, ""),
            held_out_loss=_number(logs.get("val_loss")),
            held_out_accuracy=_accuracy(logs, "val_"),
            seconds=time.monotonic() - self._started,
        )
        self.epochs.append(entry)
        planned = self.params.get("epochs", 0)
        _LOG.info(
            "epoch %d of %d: %s",
            epoch + 1,
            planned,
            describe(entry),
            extra={"progress": (epoch + 1, planned)},
        )


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
