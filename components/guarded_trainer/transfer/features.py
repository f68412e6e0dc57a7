# SPDX-License-Identifier: Apache-2.0
"""What a frozen base answers, computed once, as the training data of a head."""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer import modes
from components.guarded_trainer.head import Head
from components.guarded_trainer.reading import order
from components.guarded_trainer.reading.source import TrainingData
from components.labels import ClassTable

_MEMORY = 1 << 28
"""Bytes of features that are kept in memory; more than that lie on disk, from where
a batch at a time is read."""
_READ_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Features:
    """Rows of features with their class ids.

    Attributes:
      values: float32, shape (n, F), in memory or mapped from a file.
      class_ids: int64, shape (n,).
    """

    values: np.ndarray
    class_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def take(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the features and class ids of these rows, int64, shape (batch,)."""
        values, class_ids = tf.numpy_function(
            lambda i: (self.values[i], self.class_ids[i]),
            [rows],
            (tf.float32, tf.int64),
        )
        return (
            tf.ensure_shape(values, (None, self.values.shape[1])),
            tf.ensure_shape(class_ids, (None,)),
        )


@dataclasses.dataclass(frozen=True)
class FeatureData:
    """Training data whose inputs are the answers of a frozen base.

    A `TrainingData`; there is no augmentation, under which answers differ from epoch
    to epoch.

    Attributes:
      source: The data that the base was shown.
      train: The rows to fit.
      retained: The rows held out.
    """

    source: TrainingData
    train: Features
    retained: Features

    @property
    def classes(self) -> ClassTable:
        """The classes."""
        return self.source.classes

    @property
    def num_fitted(self) -> int:
        """Examples that the weights may be fitted to."""
        return len(self.train)

    @property
    def num_held_out(self) -> int:
        """Examples held out; 0 if none is."""
        return len(self.retained)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of batches that make an epoch."""
        return -(-self.num_fitted // batch_size)

    def fitted(self) -> tf.data.Dataset:
        """Returns (features, class id) rows to fit, unbatched, in stored order."""
        return _stored(self.train).unbatch().apply(_of_length(self.num_fitted))

    def held_out(self) -> tf.data.Dataset:
        """Returns (features, class id) rows held out, unbatched, in stored order."""
        return _stored(self.retained).unbatch().apply(_of_length(self.num_held_out))

    def train_batches(
        self, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns endless shuffled batches of (features, class ids).

        The order within epoch e depends on `seed` and e alone.
        """
        return (
            order.shuffled_batches(self.num_fitted, batch_size, seed, first_epoch)
            .map(
                lambda _, rows: self.train.take(rows),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .prefetch(tf.data.AUTOTUNE)
        )

    def fit_batches(
        self, head: Head, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns what `model.fit` is given: labels as the loss wants them."""
        return self.train_batches(batch_size, seed, first_epoch).map(
            lambda features, class_ids: (features, head.encode(class_ids))
        )

    def held_out_batches(
        self, head: Head, class_weight: Mapping[int, float] | None
    ) -> tf.data.Dataset | None:
        """Returns what `model.fit` is given to validate on, weighted as in training."""
        if not self.num_held_out:
            return None
        weights = [(class_weight or {}).get(k, 1.0) for k in range(head.num_classes)]
        table = tf.constant(weights, tf.float32)
        return order.shared_by_batch(
            _stored(self.retained).map(
                lambda features, class_ids: (
                    features,
                    head.encode(class_ids),
                    tf.gather(table, class_ids),
                )
            )
        )

    def fingerprints(self) -> dict[str, str]:
        """Returns a SHA-256 of the source's rows by name of the split."""
        return self.source.fingerprints()


def fit_on_disk(extractor: keras.Model, data: TrainingData, folder: str | None) -> bool:
    """Returns whether there is room for the features of all rows."""
    size = _num_bytes(data.num_fitted + data.num_held_out, _size(extractor))
    if size <= _MEMORY:
        return True
    try:
        return size < shutil.disk_usage(folder or tempfile.gettempdir()).free
    except OSError:
        return False


def extract(
    extractor: keras.Model, data: TrainingData, batch_size: int, folder: str | None
) -> FeatureData:
    """Shows all rows to a frozen base, once.

    Args:
      extractor: From inputs to feature vectors, (batch, F); asked in inference mode.
      data: The rows.
      batch_size: Rows to show at a time.
      folder: Where to put features that are too large for memory; a temporary one
        by default. The file is unlinked at once, and gone when nothing uses it.

    Returns:
      The same rows, in the same order, with features in place of inputs.
    """
    answer = tf.function(
        lambda x: tf.cast(modes.forward(extractor, x, training=False), tf.float32),
        reduce_retracing=True,
        autograph=False,
    )

    def features(rows: tf.data.Dataset, num_rows: int) -> Features:
        values = _room(num_rows, _size(extractor), folder)
        class_ids = np.empty(num_rows, np.int64)
        start = 0
        for inputs, ids in rows.batch(batch_size).prefetch(tf.data.AUTOTUNE):
            end = start + int(ids.shape[0])
            values[start:end] = answer(inputs).numpy()
            class_ids[start:end] = ids.numpy()
            start = end
        return Features(values[:start], class_ids[:start])

    return FeatureData(
        data,
        features(data.fitted(), data.num_fitted),
        features(data.held_out(), data.num_held_out),
    )


def _room(num_rows: int, size: int, folder: str | None) -> np.ndarray:
    """Returns an array of shape (num_rows, size), on disk where it is large."""
    shape = (num_rows, size)
    if _num_bytes(num_rows, size) <= _MEMORY:
        return np.empty(shape, np.float32)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="tfx-guard-") as file:
        # A mapping outlives the name of its file.
        return np.memmap(file.name, np.float32, "w+", shape=shape)


def _num_bytes(num_rows: int, size: int) -> int:
    return num_rows * size * np.dtype(np.float32).itemsize


def _size(extractor: keras.Model) -> int:
    return int(extractor.output_shape[-1])


def _stored(features: Features) -> tf.data.Dataset:
    return (
        tf.data.Dataset.range(len(features))
        .batch(_READ_BATCH)
        .map(features.take, num_parallel_calls=tf.data.AUTOTUNE)
    )


def _of_length(num_rows: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    # Keras warns of a data set whose length it learns only at the end.
    return tf.data.experimental.assert_cardinality(num_rows)
