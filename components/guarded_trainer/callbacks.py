# SPDX-License-Identifier: Apache-2.0
"""Keras callbacks that watch a training; they hook only, and change no step."""

import logging
import time
from typing import Any

import keras
import numpy as np

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
        value = np.asarray(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
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
    # A model that the user compiled may call it by another name.
    for name in ("accuracy", "acc"):
        if prefix + name in logs:
            return _number(logs[prefix + name])
    for name, value in logs.items():
        held_out = name.startswith("val_")
        if name.endswith("accuracy") and held_out == bool(prefix):
            return _number(value)
    return None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
