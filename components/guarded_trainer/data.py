# SPDX-License-Identifier: Apache-2.0
"""The training split as tf.data: checked, split, shuffled, batched."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.inputs import ModelInputs
from components.labels import ClassTable, LabelValue

_BATCH = 512
_MEMORY = 1 << 30
"""Bytes of host memory for the cache of decoded inputs, and for the shuffle buffer.
Splits up to this size are shuffled fully; beyond it, shuffling relies on ExampleGen,
which writes examples in random order."""
_BUCKETS = 1_000_003


@dataclasses.dataclass(frozen=True)
class TrainingSplit:
    """The training split, parsed, in the order on disk.

    Attributes:
      serialized: tf.Examples, scalar strings.
      inputs: How they become the model's input.
      classes: The classes.
      num_fitted: Examples that the weights may be fitted to.
      num_held_out: Examples held out of the split; 0 if none is.
      held_out_share: Share of the examples that are held out.
      num_bytes: Size of the serialized examples.
    """

    serialized: tf.data.Dataset
    inputs: ModelInputs
    classes: ClassTable
    num_fitted: int
    num_held_out: int
    held_out_share: float
    num_bytes: int

    def fitted(self) -> tf.data.Dataset:
        """Returns (input, class id) pairs of the examples to fit, in disk order."""
        return self._parsed(self._fitted_serialized())

    def held_out(self) -> tf.data.Dataset:
        """Returns (input, class id) pairs of the held-out examples."""
        return self._parsed(self.held_out_serialized())

    def held_out_serialized(self) -> tf.data.Dataset:
        """Returns the held-out examples as serialized tf.Examples."""
        if not self.num_held_out:
            return self.serialized.take(0)
        return self.serialized.filter(lambda s: _is_held_out(s, self.held_out_share))

    def train_batches(self, batch_size: int, seed: int) -> tf.data.Dataset:
        """Returns shuffled batches of (inputs, class ids), anew in each epoch.

        Whatever the order on disk (sorted by class, say), batches are random.
        """
        decoded_bytes = 4 * int(np.prod(self.inputs.shape)) * self.num_fitted
        if decoded_bytes <= _MEMORY:
            rows = self.fitted().cache().shuffle(self.num_fitted, seed=seed)
        else:
            mean_bytes = self.num_bytes / (self.num_fitted + self.num_held_out)
            buffer = min(self.num_fitted, max(int(_MEMORY / mean_bytes), batch_size))
            rows = self._parsed(self._fitted_serialized().shuffle(buffer, seed=seed))
        return rows.batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def _fitted_serialized(self) -> tf.data.Dataset:
        if not self.num_held_out:
            return self.serialized
        return self.serialized.filter(lambda s: ~_is_held_out(s, self.held_out_share))

    def _parsed(self, serialized: tf.data.Dataset) -> tf.data.Dataset:
        return _parse_batches(serialized, self.inputs, self.classes).unbatch()


def read_split(files: Sequence[str]) -> tf.data.Dataset:
    """Reads gzipped TFRecords of serialized tf.Examples, in the order given."""
    return tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")


def check_split(
    serialized: tf.data.Dataset,
    inputs: ModelInputs,
    classes: ClassTable,
    held_out_share: float,
    min_held_out: int,
) -> TrainingSplit:
    """Reads the split once, before the first step, and refuses what cannot train.

    Raises:
      InputError: If the split is empty or cannot be parsed, a label is not among
        the classes, or an input is NaN or infinite; names the feature.
    """
    held_out = total = num_bytes = 0
    try:
        for batch in serialized.batch(_BATCH):
            total += int(batch.shape[0])
            num_bytes += int(tf.reduce_sum(tf.strings.length(batch)))
            held_out += int(
                tf.reduce_sum(tf.cast(_is_held_out(batch, held_out_share), tf.int32))
            )
        for features, class_ids in _parse_batches(serialized, inputs, classes):
            _check_labels(class_ids.numpy(), classes)
            _check_finite(features.numpy(), inputs)
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        raise InputError(
            "training split: expected tf.Examples with the features "
            f"{', '.join(sorted(inputs.parsing_spec))} and the label "
            f"{classes.label_key!r}, but reading failed: "
            f"{_first_line(error)}; fill in missing values, leave the feature out, or "
            "mend the record"
        ) from error
    if not total:
        raise InputError(
            "training split: expected examples, but the split is empty; check the "
            "data path and how the data are split"
        )
    if held_out < min_held_out:
        held_out_share, held_out = 0.0, 0
    return TrainingSplit(
        serialized,
        inputs,
        classes,
        num_fitted=total - held_out,
        num_held_out=held_out,
        held_out_share=held_out_share,
        num_bytes=num_bytes,
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
        for batch in serialized.batch(_BATCH):
            labels = tf.io.parse_example(batch, {label_key: feature})[label_key].numpy()
            counts.update(
                int(x) if integer else x.decode("utf-8", "replace") for x in labels
            )
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"label {label_key!r}: expected one label in every example, but reading "
            f"failed: {_first_line(error)}; label the example or drop it"
        ) from error
    return counts


def _parse_batches(
    serialized: tf.data.Dataset, inputs: ModelInputs, classes: ClassTable
) -> tf.data.Dataset:
    """Returns batches of (inputs, class ids); a class id is -1 for an unknown label."""
    dtype = tf.int64 if classes.is_integer else tf.string
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(list(classes.labels), dtype),
            tf.range(len(classes.labels), dtype=tf.int64),
        ),
        default_value=-1,
    )
    label = {classes.label_key: tf.io.FixedLenFeature([], dtype)}
    spec = {**inputs.parsing_spec, **label}

    def parse(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(batch, spec)
        return inputs.assemble(parsed), table.lookup(parsed[classes.label_key])

    # Parsing a batch at a time is many times cheaper than one by one.
    return serialized.batch(_BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def _is_held_out(serialized: tf.Tensor, share: float) -> tf.Tensor:
    # By content, so that copies of one example are never on both sides, and the
    # choice depends neither on order nor on sharding.
    bucket = tf.strings.to_hash_bucket_fast(serialized, _BUCKETS)
    return bucket < int(share * _BUCKETS)


def _check_labels(class_ids: np.ndarray, classes: ClassTable) -> None:
    unknown = int((class_ids < 0).sum())
    if unknown:
        raise InputError(
            f"label {classes.label_key!r}: expected one of "
            f"{', '.join(classes.class_names[:8])}, but {unknown} examples carry "
            "another; correct the labels, or make the class table from these data"
        )


def _check_finite(features: np.ndarray, inputs: ModelInputs) -> None:
    bad = ~np.isfinite(features)
    if not bad.any():
        return
    if inputs.image:
        name = inputs.image.feature
    else:
        name = inputs.entry_names[int(np.argmax(bad.any(axis=0)))]
    rows = int(bad.reshape(len(bad), -1).any(axis=1).sum())
    raise InputError(
        f"feature {name!r}: expected finite numbers, but {rows} training examples "
        "hold NaN or infinity; fill in or drop them"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].removeprefix("{{function_node ")[:240]
