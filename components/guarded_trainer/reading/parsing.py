# SPDX-License-Identifier: Apache-2.0
"""From serialized tf.Examples to (inputs, class ids), and what to say if it fails."""

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from components.guarded_trainer.inputs import ModelInputs
from components.labels import ClassTable

LABEL_BATCH = 512
"""Examples per call of the parser, which is many times cheaper than one by one."""
_IMAGE_BATCH = 32
"""The same for images: decoding them is the work, and that is shared between cores by
batches. 32 are as fast as one by one, and twice as fast as 512 (benchmarks)."""
_BATCH_BYTES = 1 << 26
"""Most bytes of inputs that are parsed at a time."""
UNREADABLE = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    # TensorFlow quotes the broken record, and then fails to decode the quotation.
    UnicodeDecodeError,
)


def batch_rows(inputs: ModelInputs) -> int:
    """Returns how many examples are parsed at a time."""
    rows = _IMAGE_BATCH if inputs.image else LABEL_BATCH
    return max(min(rows, _BATCH_BYTES // inputs.num_bytes), 1)


def make_parser(
    inputs: ModelInputs, classes: ClassTable
) -> Callable[[tf.Tensor], tuple[Any, tf.Tensor]]:
    """Returns a function that parses a batch of serialized tf.Examples.

    It turns strings of shape (batch,) into inputs and class ids; a class id is int64,
    and -1 for an unknown label.

    Args:
      inputs: How examples become the model's input.
      classes: The classes.
    """
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

    def parse(batch: tf.Tensor) -> tuple[Any, tf.Tensor]:
        parsed = tf.io.parse_example(batch, spec)
        return inputs.assemble(parsed), table.lookup(parsed[classes.label_key])

    return parse


def parse_batches(
    batches: tf.data.Dataset, inputs: ModelInputs, classes: ClassTable
) -> tf.data.Dataset:
    """Parses batches of serialized tf.Examples, on all cores, in their order."""
    return batches.map(
        make_parser(inputs, classes),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def parse_rows(
    serialized: tf.data.Dataset, inputs: ModelInputs, classes: ClassTable, num_rows: int
) -> tf.data.Dataset:
    """Returns (inputs, class id) rows of serialized tf.Examples, one by one."""
    batches = serialized.batch(batch_rows(inputs))
    rows = parse_batches(batches, inputs, classes).unbatch()
    # Keras warns of a data set whose length it learns only at the end.
    return rows.apply(tf.data.experimental.assert_cardinality(num_rows))


def unreadable_part(error: Exception, inputs: ModelInputs, classes: ClassTable) -> str:
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


def reason(error: Exception) -> str:
    """Returns TensorFlow's reason for an `UNREADABLE` error, in one line."""
    if isinstance(error, UnicodeDecodeError):
        return "a record is no tf.Example"
    line = str(error).strip().split("\n", 1)[0]
    return re.sub(r"\{\{function_node [^}]*\}\}\s*", "", line)[:240]
