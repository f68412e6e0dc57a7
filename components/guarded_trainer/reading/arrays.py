# SPDX-License-Identifier: Apache-2.0
"""Training data from arrays in memory, checked before the first step."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer.head import Head
from components.guarded_trainer.reading import order
from components.guarded_trainer.reading import rows as rows_
from components.guarded_trainer.reading.label_formats import LabelFormat, read_format
from components.guarded_trainer.reading.rows import Rows
from components.labels import ClassTable

LABEL = "y"
"""What the labels of arrays are called in messages."""
Augment: TypeAlias = Callable[[Any, tf.Tensor], Any]
_READ_BATCH = 256
_HASHES = 1 << 62


@dataclasses.dataclass(frozen=True)
class ArrayData:
    """Training data from arrays: rows that are fitted, and rows that are held out.

    A `TrainingData`. The arrays are copied once, into host memory.

    Attributes:
      classes: The classes.
      label_format: How the labels stand for them.
      train: The rows that were given to train with.
      evaluation: The rows that were given to hold out, or None.
      fitted_rows: Positions in `train` of the rows to fit.
      held_out_rows: Positions in `evaluation`, or in `train` where that is None, of
        the rows held out.
      steps: Batches that make an epoch; None for all.
      augment: Varies a batch of inputs, given a seed of shape (2,).
      findings: What the checks found and did not refuse.
    """

    classes: ClassTable
    label_format: LabelFormat
    train: Rows
    evaluation: Rows | None
    fitted_rows: np.ndarray
    held_out_rows: np.ndarray
    steps: int | None = None
    augment: Augment | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def num_fitted(self) -> int:
        """Examples that the weights may be fitted to."""
        return len(self.fitted_rows)

    @property
    def num_held_out(self) -> int:
        """Examples held out; 0 if none is."""
        return len(self.held_out_rows)

    @property
    def has_sample_weights(self) -> bool:
        """Whether the rows to fit come with weights of their own."""
        return self.train.weights is not None

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of batches that make an epoch."""
        return self.steps or -(-self.num_fitted // batch_size)

    def check_steps(self, batch_size: int) -> None:
        """Checks that an epoch is not longer than the data.

        Raises:
          InputError: If it is.
        """
        most = -(-self.num_fitted // batch_size)
        if self.steps is not None and not 1 <= self.steps <= most:
            raise InputError(
                f"steps_per_epoch: expected at most {most}, the batches of "
                f"{batch_size} in {self.num_fitted} examples, but got {self.steps}; "
                "leave it out to use all"
            )

    def fitted(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows to fit, unbatched, in stored order."""
        return _stored(self._train_columns, self.fitted_rows)

    def held_out(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows held out, unbatched, in stored order."""
        return _stored(self._held_out_columns, self.held_out_rows)

    def train_batches(
        self, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns endless shuffled batches of (inputs, class ids), not augmented."""
        columns = self._train_columns
        return self._shuffled(batch_size, seed, first_epoch).map(
            lambda _, rows: _take(columns, rows), num_parallel_calls=tf.data.AUTOTUNE
        )

    def fit_batches(
        self, head: Head, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns what `model.fit` is given: augmented, labels as the loss wants them.

        Labels stay as they were given where the loss takes them so.
        """
        columns: tuple[Any, ...] = (
            self._train_columns[0],
            self._labels_for(head, self.train),
        )
        if self.train.weights is not None:
            columns += (_constant(self.train.weights),)

        def batch(step: tf.Tensor, rows: tf.Tensor) -> tuple[Any, ...]:
            inputs, *rest = _take(columns, rows)
            if self.augment:
                inputs = self.augment(inputs, tf.stack([tf.cast(seed, tf.int64), step]))
            return (inputs, *rest)

        drawn = self._shuffled(batch_size, seed, first_epoch)
        return drawn.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(
            tf.data.AUTOTUNE
        )

    def held_out_batches(
        self, head: Head, class_weight: Mapping[int, float] | None
    ) -> tf.data.Dataset | None:
        """Returns what `model.fit` is given to validate on, weighted as in training."""
        if not self.num_held_out:
            return None
        rows = self.evaluation or self.train
        weights = rows.weights
        if weights is None:
            weights = np.ones(len(rows), np.float32)
        table = [(class_weight or {}).get(k, 1.0) for k in range(head.num_classes)]
        columns = (
            self._held_out_columns[0],
            self._labels_for(head, rows),
            _constant((weights * np.array(table)[rows.class_ids]).astype(np.float32)),
        )
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        batches = _batches(columns, self.held_out_rows)
        return batches.with_options(options).prefetch(tf.data.AUTOTUNE)

    def fingerprints(self) -> dict[str, str]:
        """Returns a SHA-256 of the rows by name of the split, whatever their order."""
        prints = {"train": rows_.fingerprint(self.train)}
        if self.evaluation is not None:
            prints["eval"] = rows_.fingerprint(self.evaluation)
        return prints

    @functools.cached_property
    def _train_columns(self) -> tuple[Any, tf.Tensor]:
        return _columns(self.train)

    @functools.cached_property
    def _held_out_columns(self) -> tuple[Any, tf.Tensor]:
        return _columns(self.evaluation) if self.evaluation else self._train_columns

    def _labels_for(self, head: Head, rows: Rows) -> tf.Tensor:
        wants_one_hot = head.units > 1 and head.one_hot
        as_given = self.label_format
        as_given.check_loss(
            hard=as_given.are_hard(rows.labels), wants_one_hot=wants_one_hot
        )
        if as_given.kind == "names" or wants_one_hot != as_given.one_hot:
            with tf.device("CPU:0"):
                return head.encode(_constant(rows.class_ids))
        return _constant(rows.labels)

    def _shuffled(
        self, batch_size: int, seed: int, first_epoch: int
    ) -> tf.data.Dataset:
        """Returns (step, rows of the batch), endless."""
        positions = _constant(self.fitted_rows)
        steps = self.steps_per_epoch(batch_size)

        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            rows = order.shuffle(positions, seed, epoch)
            return tf.data.Dataset.range(steps).map(
                lambda i: (
                    epoch * steps + i,
                    rows[i * batch_size : (i + 1) * batch_size],
                )
            )

        return order.endless(of_epoch, first_epoch)


def read_arrays(
    train: Sequence[Any],
    evaluation: Sequence[Any] | None,
    num_classes: int,
    *,
    class_names: Sequence[str] | None = None,
    held_out_share: float = 0.1,
    min_held_out: int = 20,
    steps: int | None = None,
    augment: Augment | None = None,
) -> ArrayData:
    """Checks arrays before the first step, and holds rows out.

    Without rows to evaluate on, rows are held out by a hash of their inputs: copies
    of one example are never on both sides, and no class is held out as a whole. Where
    fewer than `min_held_out` would be held out, none is.

    Args:
      train: `(x, y)` or `(x, y, sample_weight)`. x is an array, or a dict or tuple
        of arrays, with one row per example; y holds class ids, one-hot rows or
        texts.
      evaluation: The same for rows that the weights must never be fitted to.
      num_classes: Number of classes K that the model answers.
      class_names: Their names in the order of the model's outputs.
      held_out_share: Share of the rows to hold out where `evaluation` is None.
      min_held_out: Fewest rows worth holding out.
      steps: Batches that make an epoch; None for all.
      augment: Varies a batch of inputs, given a seed of shape (2,).

    Raises:
      InputError: If they cannot be trained with; names the argument.
    """
    labels = rows_.labels_of(train, "train")
    format_ = read_format(labels, num_classes, class_names, "train y")
    fitted = rows_.read_rows(train, format_, "train")
    held_out = None
    if evaluation is not None:
        held_out = rows_.read_rows(evaluation, format_, "eval")
        rows_.check_alike(fitted, held_out)
    counts = np.bincount(fitted.class_ids, minlength=num_classes)
    rows_.check_classes(counts, format_.classes)
    if held_out is not None:
        seen = np.bincount(held_out.class_ids, minlength=num_classes)
        rows_.check_seen(counts, seen, format_.classes)
    mask = (
        np.zeros(len(fitted), bool)
        if held_out is not None
        else _held_out(fitted, held_out_share, min_held_out)
    )
    return ArrayData(
        classes=class_table(format_, counts),
        label_format=format_,
        train=fitted,
        evaluation=held_out,
        fitted_rows=np.flatnonzero(~mask),
        held_out_rows=np.arange(len(held_out)) if held_out else np.flatnonzero(mask),
        steps=steps,
        augment=augment,
        findings=(
            *rows_.missing_classes(counts, format_.classes),
            *(rows_.shared_rows(fitted, held_out) if held_out else ()),
        ),
    )


def class_table(format_: LabelFormat, counts: np.ndarray) -> ClassTable:
    """Returns the classes of the training rows; all weigh the same."""
    smoothed = np.maximum(counts, 1)
    return ClassTable(
        label_key=LABEL,
        labels=format_.classes,
        train_counts=tuple(counts.tolist()),
        weights=(1.0,) * len(counts),
        priors=tuple((smoothed / smoothed.sum()).tolist()),
    )


def _held_out(rows: Rows, share: float, least: int) -> np.ndarray:
    """Returns which rows are held out, shape (n,)."""
    hashes = np.array(
        [int.from_bytes(d[:8], "little") >> 2 for d in rows.digests], np.int64
    )
    mask = hashes < int(share * _HASHES)
    fitted = np.unique(rows.class_ids[~mask])
    mask &= np.isin(rows.class_ids, fitted)
    return mask if mask.sum() >= least else np.zeros(len(mask), bool)


def _columns(rows: Rows) -> tuple[Any, tf.Tensor]:
    inputs = tf.nest.map_structure(_constant, rows.inputs)
    return inputs, _constant(rows.class_ids)


def _constant(array: np.ndarray) -> tf.Tensor:
    # A batch goes to the device, not the data.
    with tf.device("CPU:0"):
        return tf.constant(array)


def _take(columns: Any, rows: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda column: tf.gather(column, rows), columns)


def _batches(columns: Any, positions: np.ndarray) -> tf.data.Dataset:
    return (
        tf.data.Dataset.from_tensor_slices(positions)
        .batch(_READ_BATCH)
        .map(
            lambda rows: _take(columns, rows),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    )


def _stored(columns: Any, positions: np.ndarray) -> tf.data.Dataset:
    rows = _batches(columns, positions).unbatch()
    return rows.apply(tf.data.experimental.assert_cardinality(len(positions)))
