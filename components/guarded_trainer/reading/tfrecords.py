# SPDX-License-Identifier: Apache-2.0
"""The training split as ExampleGen writes it: checked, split, shuffled, batched."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.head import Head
from components.guarded_trainer.inputs import ModelInputs
from components.guarded_trainer.reading import checking, parsing
from components.guarded_trainer.reading.held_out import BUCKETS, Choice
from components.guarded_trainer.reading.memory import MemoryRows
from components.guarded_trainer.reading.order import shared_by_batch
from components.guarded_trainer.reading.settings import ReadingConfig
from components.guarded_trainer.reading.spill import Spill, spill
from components.guarded_trainer.reading.survey import Survey
from components.labels import ClassTable, LabelValue

Augment: TypeAlias = Callable[[Any, tf.Tensor], Any]
"""Varies a batch of inputs; is given them and a seed, int64, shape (2,), and keeps no
state."""
_PARALLEL_FILES = 8
"""Files read at a time. Fixed, since the stored order depends on it, and that must not
depend on the machine."""
_READ_BYTES = 1 << 20
_SCORE_BATCH = 256


@dataclasses.dataclass(frozen=True)
class TrainingSplit:
    """The training split, checked: a `TrainingData`.

    Attributes:
      serialized: tf.Examples, scalar strings, in stored order.
      inputs: How they become the model's input.
      classes: The classes.
      num_fitted: Examples that the weights may be fitted to.
      num_held_out: Examples held out of the split; 0 if none is.
      num_bytes: Size of the serialized examples.
      choice: Which examples are held out.
      rows: All examples decoded in memory, or serialized on disk where they do not
        fit.
      cache_held_out: Whether the rows held out fit into memory, decoded.
      digests: SHA-256 by part.
      augment: Varies the batches that the model is fitted to; None leaves them.
    """

    serialized: tf.data.Dataset
    inputs: ModelInputs
    classes: ClassTable
    num_fitted: int
    num_held_out: int
    num_bytes: int
    choice: Choice
    rows: MemoryRows | Spill
    cache_held_out: bool
    digests: Mapping[str, str]
    augment: Augment | None = None

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of batches that make an epoch."""
        return -(-self.num_fitted // batch_size)

    def fitted(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows to fit, unbatched, in stored order."""
        if isinstance(self.rows, MemoryRows):
            return self.rows.fitted()
        fitted = self.serialized.filter(lambda example: ~self.choice(example))
        return self._parsed(fitted, self.num_fitted)

    def held_out(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows held out, unbatched, in stored order."""
        if isinstance(self.rows, MemoryRows):
            return self.rows.held_out()
        return self._parsed(self.held_out_serialized(), self.num_held_out)

    def held_out_serialized(self) -> tf.data.Dataset:
        """Returns the held-out examples as serialized tf.Examples."""
        if not self.num_held_out:
            return self.serialized.take(0)
        if isinstance(self.rows, Spill):
            return self.rows.held_out()
        return self.serialized.filter(self.choice)

    def train_batches(
        self, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns endless shuffled batches of (inputs, class ids), not augmented.

        Each `steps_per_epoch` batches are one epoch, in which each row occurs once;
        its last batch may be smaller. Whatever the order on disk (sorted by class,
        say), and whether or not the split fits into memory, batches are random.
        """
        return self._batches(batch_size, seed, first_epoch).map(
            lambda _, rows: rows, num_parallel_calls=tf.data.AUTOTUNE
        )

    def fit_batches(
        self, head: Head, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns what `model.fit` is given: augmented, labels as the loss wants them.

        The seed of an augmentation is the pair of `seed` and the batch's number.
        """

        def prepare(step: tf.Tensor, rows: tuple[Any, tf.Tensor]) -> tuple[Any, Any]:
            inputs, class_ids = rows
            if self.augment:
                inputs = self.augment(inputs, tf.stack([tf.cast(seed, tf.int64), step]))
            return inputs, head.encode(class_ids)

        return (
            self._batches(batch_size, seed, first_epoch)
            .map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )

    def held_out_batches(
        self, head: Head, class_weight: Mapping[int, float] | None
    ) -> tf.data.Dataset | None:
        """Returns what `model.fit` is given to validate on; None if nothing is.

        Each row is weighted as in the training loss: else early stopping would prefer
        the epochs that neglect the rare classes.
        """
        if not self.num_held_out:
            return None
        weights = class_weight or {}
        table = tf.constant([weights.get(k, 1.0) for k in range(head.num_classes)])
        batches = self._held_out_batches.map(
            lambda x, k: (x, head.encode(k), tf.gather(table, k)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return shared_by_batch(batches).prefetch(tf.data.AUTOTUNE)

    def fingerprints(self) -> dict[str, str]:
        """Returns a SHA-256 of the serialized examples, whatever their order.

        Of the whole split under `train`, and of the part held out under `held_out`.
        """
        return dict(self.digests)

    @functools.cached_property
    def _held_out_batches(self) -> tf.data.Dataset:
        """The rows held out, which each epoch needs."""
        batches = self.held_out().batch(_SCORE_BATCH)
        decodes = isinstance(self.rows, Spill)
        return batches.cache() if decodes and self.cache_held_out else batches

    def _batches(self, batch_size: int, seed: int, first_epoch: int) -> tf.data.Dataset:
        """Returns endless (step, (inputs, class ids)) pairs."""
        if isinstance(self.rows, MemoryRows):
            return self.rows.train_batches(batch_size, seed, first_epoch)
        batches = self.rows.batches(batch_size, seed, first_epoch)
        parsed = parsing.parse_batches(batches, self.inputs, self.classes)
        return parsed.enumerate(start=first_epoch * self.steps_per_epoch(batch_size))

    def _parsed(self, serialized: tf.data.Dataset, num_rows: int) -> tf.data.Dataset:
        return parsing.parse_rows(serialized, self.inputs, self.classes, num_rows)


def read_split(files: Sequence[str]) -> tf.data.Dataset:
    """Reads gzipped TFRecords of serialized tf.Examples, several files at a time.

    The order is the same on every machine: that of the names, some files interleaved.
    """
    return tf.data.TFRecordDataset(
        sorted(files),
        compression_type="GZIP",
        buffer_size=_READ_BYTES,
        num_parallel_reads=min(len(files), _PARALLEL_FILES) or None,
    )


def check_split(
    serialized: tf.data.Dataset,
    inputs: ModelInputs,
    classes: ClassTable,
    held_out_share: float,
    min_held_out: int,
    *,
    batch_size: int = 1,
    reading: ReadingConfig | None = None,
) -> TrainingSplit:
    """Reads the split once, before the first step, and refuses what cannot train.

    What is decoded on the way is kept if it fits into memory; else the examples are
    shuffled on disk. Examples are held out by a hash of their content: copies of one
    example are never on both sides, and the choice depends neither on order nor on
    sharding. No class is held out as a whole. Where fewer than `min_held_out`
    examples would be held out, none is.

    Args:
      serialized: tf.Examples, scalar strings.
      inputs: How they become the model's input.
      classes: The classes.
      held_out_share: Share of the examples to hold out.
      min_held_out: Fewest examples worth holding out.
      batch_size: Examples per step.
      reading: How much memory and disk may be taken.

    Raises:
      InputError: If the split is empty or cannot be parsed, there are fewer than
        two classes, a label is not among them, an input is NaN or infinite (names
        the feature), the examples to fit are fewer than a batch, or there is too
        little room on disk.
    """
    reading = reading or ReadingConfig()
    survey = Survey(
        int(held_out_share * BUCKETS),
        reading.memory_bytes,
        num_rows=sum(classes.train_counts),
    )
    survey.run(serialized, inputs, classes)
    enough = survey.held_out.count >= max(min_held_out, 1)
    num_held_out = survey.held_out.count if enough else 0
    num_fitted = survey.num_rows - num_held_out
    checking.check_batch_size(batch_size, num_fitted)
    choice = survey.held_out.choice if enough else Choice()
    return TrainingSplit(
        serialized,
        inputs,
        classes,
        num_fitted=num_fitted,
        num_held_out=num_held_out,
        num_bytes=survey.num_bytes,
        choice=choice,
        rows=survey.rows(choice)
        if survey.fits_memory
        else spill(serialized, choice, survey.num_bytes, reading),
        cache_held_out=num_held_out * inputs.num_bytes <= reading.memory_bytes,
        digests=survey.fingerprints(held_out=enough),
    )


def scan_labels(
    serialized: tf.data.Dataset, label_key: str, *, integer: bool
) -> Counter[LabelValue]:
    """Counts the labels, where no ClassBalanceValidator has done so.

    Raises:
      InputError: If an example carries no label or one of another type.
    """
    feature = tf.io.FixedLenFeature([], tf.int64 if integer else tf.string)
    counts: Counter[LabelValue] = Counter()
    try:
        for batch in serialized.batch(parsing.LABEL_BATCH):
            labels = tf.io.parse_example(batch, {label_key: feature})[label_key].numpy()
            counts.update(
                int(x) if integer else x.decode("utf-8", "replace") for x in labels
            )
    except parsing.UNREADABLE as error:
        raise InputError(
            f"label {label_key!r}: expected one label in every example, but reading "
            f"failed: {parsing.reason(error)}; label the example or drop it"
        ) from error
    return counts
