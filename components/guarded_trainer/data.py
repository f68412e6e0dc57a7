# SPDX-License-Identifier: Apache-2.0
"""The training split as tf.data: checked, split, shuffled, batched."""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.inputs import ModelInputs
from components.labels import ClassTable, LabelValue

_BATCH = 512
_BATCH_BYTES = 1 << 26
"""Most bytes of inputs that are parsed at a time."""
_MEMORY = 1 << 30
"""Bytes of host memory for the cache of decoded inputs, and for the shuffle buffer.
Splits up to this size are shuffled fully; beyond it, shuffling relies on ExampleGen,
which writes examples in random order."""
_BUCKETS = 1 << 62
_UNREADABLE = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    # TensorFlow quotes the broken record, and then fails to decode the quotation.
    UnicodeDecodeError,
)


@dataclasses.dataclass(frozen=True)
class TrainingSplit:
    """The training split, parsed, in the order on disk.

    Attributes:
      serialized: tf.Examples, scalar strings.
      inputs: How they become the model's input.
      classes: The classes.
      num_fitted: Examples that the weights may be fitted to.
      num_held_out: Examples held out of the split; 0 if none is.
      held_out_share: Share of the examples that are held out, before exceptions.
      kept_hashes: Hashes of examples that would be held out, but are the only ones
        of their class.
      num_bytes: Size of the serialized examples.
    """

    serialized: tf.data.Dataset
    inputs: ModelInputs
    classes: ClassTable
    num_fitted: int
    num_held_out: int
    held_out_share: float
    kept_hashes: tuple[int, ...]
    num_bytes: int

    def fitted(self) -> tf.data.Dataset:
        """Returns (input, class id) pairs of the examples to fit, in disk order."""
        return self._parsed(self._fitted_serialized(), self.num_fitted)

    def held_out(self) -> tf.data.Dataset:
        """Returns (input, class id) pairs of the held-out examples."""
        rows = self._parsed(self.held_out_serialized(), self.num_held_out)
        return rows.cache() if self._fits_memory(self.num_held_out) else rows

    def held_out_serialized(self) -> tf.data.Dataset:
        """Returns the held-out examples as serialized tf.Examples."""
        if not self.num_held_out:
            return self.serialized.take(0)
        return self.serialized.filter(self._is_held_out)

    def train_batches(self, batch_size: int, seed: int) -> tf.data.Dataset:
        """Returns shuffled batches of (inputs, class ids), anew in each epoch.

        Whatever the order on disk (sorted by class, say), batches are random. Each
        example occurs once per epoch; the last batch may be smaller.
        """
        if self._fits_memory(self.num_fitted):
            rows = self.fitted().cache().shuffle(self.num_fitted, seed=seed)
        else:
            mean_bytes = self.num_bytes / (self.num_fitted + self.num_held_out)
            buffer = min(self.num_fitted, max(int(_MEMORY / mean_bytes), batch_size))
            shuffled = self._fitted_serialized().shuffle(buffer, seed=seed)
            rows = self._parsed(shuffled, self.num_fitted)
        return rows.batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def _fits_memory(self, num_rows: int) -> bool:
        return self.inputs.num_bytes * num_rows <= _MEMORY

    def _fitted_serialized(self) -> tf.data.Dataset:
        if not self.num_held_out:
            return self.serialized
        return self.serialized.filter(lambda s: ~self._is_held_out(s))

    def _is_held_out(self, serialized: tf.Tensor) -> tf.Tensor:
        hashed = _content_hash(serialized)
        kept = tf.reduce_any(hashed == tf.constant(self.kept_hashes, tf.int64))
        return (hashed < int(self.held_out_share * _BUCKETS)) & ~kept

    def _parsed(self, serialized: tf.data.Dataset, num_rows: int) -> tf.data.Dataset:
        rows = _parse_batches(serialized, self.inputs, self.classes).unbatch()
        # Keras warns of a data set whose length it learns only at the end.
        return rows.apply(tf.data.experimental.assert_cardinality(num_rows))


def read_split(files: Sequence[str]) -> tf.data.Dataset:
    """Reads gzipped TFRecords of serialized tf.Examples, in the order of the names."""
    return tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")


def check_split(
    serialized: tf.data.Dataset,
    inputs: ModelInputs,
    classes: ClassTable,
    held_out_share: float,
    min_held_out: int,
) -> TrainingSplit:
    """Reads the split once, before the first step, and refuses what cannot train.

    Examples are held out by a hash of their content: copies of one example are never
    on both sides, and the choice depends neither on order nor on sharding. No class
    is held out as a whole. Where fewer than `min_held_out` examples would be held
    out, none is.

    Raises:
      InputError: If the split is empty or cannot be parsed, there are fewer than
        two classes, a label is not among them, or an input is NaN or infinite;
        names the feature.
    """
    total = num_bytes = 0
    held_out = _HeldOut(int(held_out_share * _BUCKETS))
    try:
        if not list(serialized.take(1)):
            raise InputError(
                "training split: expected examples, but the split is empty; check the "
                "data path and how the data are split"
            )
        _check_classes(classes)
        # Both run through the same examples in the same order.
        stored = serialized.batch(_batch_rows(inputs))
        parsed = _parse_batches(serialized, inputs, classes)
        for batch, (features, class_ids) in tf.data.Dataset.zip((stored, parsed)):
            total += int(batch.shape[0])
            num_bytes += int(tf.reduce_sum(tf.strings.length(batch)))
            _check_labels(class_ids.numpy(), classes)
            _check_finite(features.numpy(), inputs)
            held_out.add(_content_hash(batch).numpy(), class_ids.numpy())
    except _UNREADABLE as error:
        raise InputError(
            f"{_unreadable_part(error, inputs, classes)}, but reading failed: "
            f"{_reason(error)}; fill in missing values, leave the feature out, or "
            "mend the record"
        ) from error
    enough = held_out.count >= min_held_out
    return TrainingSplit(
        serialized,
        inputs,
        classes,
        num_fitted=total - held_out.count if enough else total,
        num_held_out=held_out.count if enough else 0,
        held_out_share=held_out_share if enough else 0.0,
        kept_hashes=held_out.kept_hashes if enough else (),
        num_bytes=num_bytes,
    )


class _HeldOut:
    """Counts what is to be held out, and finds the classes that would be lost."""

    def __init__(self, limit: int):
        """Constructs the count.

        Args:
          limit: Examples with a hash below this are held out.
        """
        self._limit = limit
        self._count = 0
        self._fitted: set[int] = set()
        # Class id -> hashes, for as long as no example of the class is fitted.
        self._lost: dict[int, Counter[int]] = {}

    def add(self, hashes: np.ndarray, class_ids: np.ndarray) -> None:
        """Adds a batch; both have shape (batch,)."""
        held_out = hashes < self._limit
        self._count += int(held_out.sum())
        self._fitted.update(class_ids[~held_out].tolist())
        for class_id, hashed in zip(
            class_ids[held_out].tolist(), hashes[held_out].tolist(), strict=True
        ):
            if class_id not in self._fitted:
                self._lost.setdefault(class_id, Counter())[hashed] += 1
        for class_id in self._fitted & self._lost.keys():
            del self._lost[class_id]

    @property
    def count(self) -> int:
        """Examples held out, without the only ones of a class."""
        return self._count - sum(sum(c.values()) for c in self._lost.values())

    @property
    def kept_hashes(self) -> tuple[int, ...]:
        """Hashes of the examples that are the only ones of their class."""
        return tuple(hashed for counter in self._lost.values() for hashed in counter)


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
    except _UNREADABLE as error:
        raise InputError(
            f"label {label_key!r}: expected one label in every example, but reading "
            f"failed: {_reason(error)}; label the example or drop it"
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
    return serialized.batch(_batch_rows(inputs)).map(
        parse, num_parallel_calls=tf.data.AUTOTUNE
    )


def _batch_rows(inputs: ModelInputs) -> int:
    return max(min(_BATCH, _BATCH_BYTES // inputs.num_bytes), 1)


def _content_hash(serialized: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(serialized, _BUCKETS)


def _check_classes(classes: ClassTable) -> None:
    if len(classes.labels) < 2:
        raise InputError(
            f"label {classes.label_key!r}: expected at least two classes, but the "
            f"data have {', '.join(classes.class_names) or 'none'}; give the training "
            "split examples of each class"
        )


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


def _unreadable_part(error: Exception, inputs: ModelInputs, classes: ClassTable) -> str:
    """Says what was expected of the feature at fault, or of all if none is named."""
    named = re.search(r"Feature: (.+?) \(data type|Key: (.+?), *Index", str(error))
    if named:
        name = named[1] or named[2]
        return f"feature {name!r}: expected its value in every training example"
    names = sorted(inputs.parsing_spec)
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
    return (
        f"training split: expected tf.Examples with the features {listed} and the "
        f"label {classes.label_key!r}"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "a record is no tf.Example"
    line = str(error).strip().split("\n", 1)[0]
    return re.sub(r"\{\{function_node [^}]*\}\}\s*", "", line)[:240]
