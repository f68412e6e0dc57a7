# SPDX-License-Identifier: Apache-2.0
"""Training data from a user's tf.data: looked through once, and left as they are."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer.head import Head
from components.guarded_trainer.reading import rows
from components.guarded_trainer.reading.arrays import Augment, class_table
from components.guarded_trainer.reading.batch_survey import (
    BatchSurvey,
    check_spec,
    survey,
)
from components.guarded_trainer.reading.label_formats import LabelFormat, read_format
from components.labels import ClassTable


@dataclasses.dataclass(frozen=True)
class DatasetData:
    """Training data from a tf.data.Dataset of batches; a `TrainingData`.

    Order, batches and sample weights are the user's, and stay so: what is asked for
    by `batch_size` and `seed` changes nothing. An epoch is `steps` batches; a data set
    of so many begins anew with each, any other goes on where the last epoch ended.

    Attributes:
      classes: The classes.
      label_format: How the labels stand for them.
      train: Batches to fit, as the user gave them.
      evaluation: Batches held out, finite; None if there are none.
      num_fitted: Examples of an epoch.
      num_held_out: Examples held out.
      batch_size: Examples in the largest batch.
      steps: Batches that make an epoch.
      is_one_pass: Whether an epoch is one pass over `train`.
      are_hard: Whether each label stands for one class alone.
      augment: Varies a batch of inputs, given a seed of shape (2,).
      digests: SHA-256 by part.
      findings: What the checks found and did not refuse.
    """

    classes: ClassTable
    label_format: LabelFormat
    train: tf.data.Dataset
    evaluation: tf.data.Dataset | None
    num_fitted: int
    num_held_out: int
    batch_size: int
    steps: int
    is_one_pass: bool
    are_hard: bool = True
    augment: Augment | None = None
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def has_sample_weights(self) -> bool:
        """Whether the rows to fit come with weights of their own."""
        return len(self.train.element_spec) == 3

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of batches that make an epoch."""
        return self.steps

    def fitted(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows of the first epoch, unbatched."""
        batches = self.train.take(self.steps).map(self._with_ids)
        return _rows(batches, self.num_fitted)

    def held_out(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows held out, unbatched."""
        if self.evaluation is None:
            return self.fitted().take(0)
        return _rows(self.evaluation.map(self._with_ids), self.num_held_out)

    def train_batches(
        self, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns endless batches of (inputs, class ids), in the user's order."""
        return self._from(first_epoch).map(
            self._with_ids, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def fit_batches(
        self, head: Head, batch_size: int, seed: int, first_epoch: int = 0
    ) -> tf.data.Dataset:
        """Returns what `model.fit` is given: the user's batches.

        Labels stay as they are where the loss takes them so.
        """
        self.label_format.check_loss(
            hard=self.are_hard, wants_one_hot=head.units > 1 and head.one_hot
        )
        batches = self._encoded(self._from(first_epoch), head)
        augment = self.augment
        if augment is None:
            return batches

        def vary(step: tf.Tensor, batch: tuple[Any, ...]) -> tuple[Any, ...]:
            pair = tf.stack([tf.cast(seed, tf.int64), step])
            return augment(batch[0], pair), *batch[1:]

        return (
            batches.enumerate(start=first_epoch * self.steps)
            .map(vary, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )

    def held_out_batches(
        self, head: Head, class_weight: Mapping[int, float] | None
    ) -> tf.data.Dataset | None:
        """Returns what `model.fit` is given to validate on, weighted as in training."""
        if self.evaluation is None:
            return None
        table = tf.constant(
            [(class_weight or {}).get(k, 1.0) for k in range(head.num_classes)]
        )

        def weigh(inputs: Any, labels: tf.Tensor, *given: tf.Tensor) -> tuple[Any, ...]:
            weights = tf.gather(table, self._class_ids(labels))
            if given:
                weights *= tf.reshape(tf.cast(given[0], tf.float32), (-1,))
            return inputs, self._labels(labels, head), weights

        return self.evaluation.map(
            weigh, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def fingerprints(self) -> dict[str, str]:
        """Returns a SHA-256 of the rows of an epoch, whatever their order.

        Where a data set varies its rows at random, so does it.
        """
        return dict(self.digests)

    def _from(self, first_epoch: int) -> tf.data.Dataset:
        """Returns endless batches from an epoch on."""
        batches = self.train.repeat()
        if first_epoch and not self.is_one_pass:
            # There is no other way to where an earlier epoch ended.
            batches = batches.skip(first_epoch * self.steps)
        return batches

    def _encoded(self, batches: tf.data.Dataset, head: Head) -> tf.data.Dataset:
        if self._as_given(head):
            return batches
        return batches.map(
            lambda x, y, *weights: (x, self._labels(y, head), *weights),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _as_given(self, head: Head) -> bool:
        wants_one_hot = head.units > 1 and head.one_hot
        same = wants_one_hot == self.label_format.one_hot
        return same and self.label_format.kind != "names"

    def _labels(self, labels: tf.Tensor, head: Head) -> tf.Tensor:
        return labels if self._as_given(head) else head.encode(self._class_ids(labels))

    def _with_ids(self, inputs: Any, labels: tf.Tensor, *_: Any) -> tuple[Any, Any]:
        return inputs, self._class_ids(labels)

    def _class_ids(self, labels: tf.Tensor) -> tf.Tensor:
        if self.label_format.one_hot:
            return tf.argmax(labels, axis=1)
        labels = tf.reshape(labels, (-1,))
        if self.label_format.kind == "ids":
            return tf.cast(labels, tf.int64)
        names = tf.constant(list(self.label_format.classes))
        return tf.argmax(labels[:, None] == names[None], axis=1)


def read_batches(
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset | None,
    num_classes: int,
    *,
    class_names: Sequence[str] | None = None,
    steps: int | None = None,
    evaluation_steps: int | None = None,
    augment: Augment | None = None,
) -> DatasetData:
    """Looks through a user's data sets once, before the first step.

    Args:
      train: Batches of (inputs, labels) or (inputs, labels, sample weights).
      evaluation: The same for rows that the weights must never be fitted to.
      num_classes: Number of classes K that the model answers.
      class_names: Their names in the order of the model's outputs.
      steps: Batches that make an epoch; None for all of a finite data set.
      evaluation_steps: Batches to validate on; None for all.
      augment: Varies a batch of inputs, given a seed of shape (2,).

    Raises:
      InputError: If they cannot be trained with; names the argument.
    """
    check_spec(train, "train")
    _check_end(train, steps, "train", "steps_per_epoch")
    format_ = read_format(_some_labels(train, "train"), num_classes, class_names)
    fitted = survey(_first(train, steps), format_, "train")
    rows.check_classes(fitted.counts, format_.classes)
    held_out: BatchSurvey | None = None
    if evaluation is not None:
        check_spec(evaluation, "eval")
        _check_end(evaluation, evaluation_steps, "eval", "validation_steps")
        evaluation = _first(evaluation, evaluation_steps)
        held_out = survey(evaluation, format_, "eval")
        rows.check_seen(fitted.counts, held_out.counts, format_.classes)
    parts = {"train": fitted, "eval": held_out}
    return DatasetData(
        classes=class_table(format_, fitted.counts),
        label_format=format_,
        train=train,
        evaluation=evaluation,
        num_fitted=fitted.num_rows,
        num_held_out=held_out.num_rows if held_out else 0,
        batch_size=fitted.batch_size,
        steps=steps or fitted.num_batches,
        is_one_pass=steps is None or int(train.cardinality()) == steps,
        are_hard=all(part.are_hard for part in parts.values() if part),
        augment=augment,
        digests={
            name: part.fingerprint
            for name, part in parts.items()
            if part and part.fingerprint
        },
        findings=(
            *rows.missing_classes(fitted.counts, format_.classes),
            *fitted.unshuffled(),
        ),
    )


def _check_end(
    dataset: tf.data.Dataset, steps: int | None, where: str, name: str
) -> None:
    if steps is not None and steps < 1:
        raise InputError(
            f"{name}: expected a positive number of batches, but got {steps}; leave it "
            "out to use the whole data set"
        )
    if steps is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            f"{where}: expected a data set with an end, or `{name}`, but the data set "
            f"repeats for ever; say with `{name}` how many batches to take"
        )


def _some_labels(dataset: tf.data.Dataset, where: str) -> np.ndarray:
    for batch in dataset.take(1):
        return np.asarray(batch[1])
    raise InputError(
        f"{where}: expected examples, but the data set is empty; check how the data "
        "are loaded and split"
    )


def _first(dataset: tf.data.Dataset, steps: int | None) -> tf.data.Dataset:
    # A data set that ends before is begun anew, as in training.
    return dataset if steps is None else dataset.repeat().take(steps)


def _rows(batches: tf.data.Dataset, num_rows: int) -> tf.data.Dataset:
    counted: Callable[[tf.data.Dataset], tf.data.Dataset] = (
        tf.data.experimental.assert_cardinality(num_rows)
    )
    return batches.unbatch().apply(counted)
