# SPDX-License-Identifier: Apache-2.0
"""Writes a training to TensorBoard: curves, numbers of each layer, histograms."""

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer.probe.layers import watched_layers
from components.records.training import LayerReading, ProbeReading

_SERIES = tuple(
    name for name in LayerReading.model_fields if name not in ("layer", "not_finite")
)
_BUCKETS = 30
_MOST_WEIGHTS = 10_000
"""Most weights of a layer that a histogram is made of: more would not show in a
picture."""


class TensorBoard(keras.callbacks.Callback):
    """Writes what Keras' own callback writes, and what the probe saw.

    The curves keep Keras' names (`epoch_loss`, ...) and folders (`train`,
    `validation`). Steps count the epochs in the order of time over all `fit()`
    calls of a training, so that epochs after a roll-back do not overwrite those
    before. Histograms of the weights are written after epochs 1, 2, 4, 8, ...: their
    cost stays small, however long the training.
    """

    def __init__(self, log_dir: str, first_step: int = 0):
        """Constructs the callback.

        Args:
          log_dir: Folder to write to.
          first_step: Epochs trained before, where a training is taken up.
        """
        super().__init__()
        self._log_dir = log_dir
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._step = first_step

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the metrics of the epoch."""
        metrics: dict[str, dict[str, float | None]] = {"train": {}, "validation": {}}
        for name, value in (logs or {}).items():
            if isinstance(value, int | float):
                held_out = name.startswith("val_")
                folder = "validation" if held_out else "train"
                metrics[folder][f"epoch_{name.removeprefix('val_')}"] = value
        for folder, values in metrics.items():
            self._write(folder, self._step, _scalars(values))
        if (self._step + 1).bit_count() == 1:
            self._write("train", self._step, _histograms(self.model))
        self._step += 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Sees to it that all is on disk."""
        for writer in self._writers.values():
            writer.flush()

    def write_reading(self, step: int, reading: ProbeReading) -> None:
        """Writes a reading of the probe.

        Args:
          step: Number of the epoch it was taken after, in the order of time, from 0.
          reading: The reading.
        """
        whole = {
            f"probe/{name}": getattr(reading, name)
            for name in (
                "training_loss",
                "training_accuracy",
                "inference_loss",
                "inference_accuracy",
                "output_spread",
            )
        }
        layers = {
            f"{name}/{layer.layer}": getattr(layer, name)
            for layer in reading.layers
            for name in _SERIES
        }
        self._write("train", step, _scalars({**whole, **layers}))

    def _write(
        self, folder: str, step: int, values: list[tf.compat.v1.Summary.Value]
    ) -> None:
        if not values:
            return
        if folder not in self._writers:
            path = os.path.join(self._log_dir, folder)
            self._writers[folder] = tf.summary.create_file_writer(path)
        # All at once: a call for each of a thousand numbers takes as long as steps.
        summary = tf.compat.v1.Summary(value=values)
        with self._writers[folder].as_default():
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step)


def _scalars(values: dict[str, float | None]) -> list[tf.compat.v1.Summary.Value]:
    return [
        tf.compat.v1.Summary.Value(tag=name, simple_value=value)
        for name, value in values.items()
        if value is not None
    ]


def _histograms(model: keras.Model) -> list[tf.compat.v1.Summary.Value]:
    found = []
    for entry in watched_layers(model):
        for variable in entry.trainable:
            values = np.asarray(variable.value, np.float64).ravel()
            values = values[:: -(-len(values) // _MOST_WEIGHTS)]
            values = values[np.isfinite(values)]
            if len(values):
                tag = f"weights/{entry.name}/{variable.name}"
                found.append(
                    tf.compat.v1.Summary.Value(tag=tag, histo=_histogram(values))
                )
    return found


def _histogram(values: np.ndarray) -> tf.compat.v1.HistogramProto:
    counts, edges = np.histogram(values, _BUCKETS)
    return tf.compat.v1.HistogramProto(
        min=values.min(),
        max=values.max(),
        num=len(values),
        sum=values.sum(),
        sum_squares=np.square(values).sum(),
        bucket_limit=edges[1:],
        bucket=counts,
    )
