# SPDX-License-Identifier: Apache-2.0
"""Examples as they are read from files: some rows at a time, column by column."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from components.content.columns import Column
from components.errors import InputError
from components.judging.data import wire

BATCH_ROWS = 1024


class Batch(NamedTuple):
    """Some rows of one file."""

    columns: Mapping[str, Column]
    """Values by feature, in the order of the file."""
    num_rows: int
    """Number of rows, at least 1."""
    file: str
    """Path of the file."""
    start: int
    """Position of the first row in the file, from 0."""
    rows: list[bytes] | None = None
    """The rows as serialized tf.Examples, where the file holds such."""

    def serialized(self) -> list[bytes]:
        """Returns the rows as serialized tf.Examples; the same for the same values."""
        if self.rows is not None:
            return self.rows
        features = {name: encode(column) for name, column in self.columns.items()}
        return wire.join(features, self.num_rows)


class Source(Protocol):
    """The examples of one split in files."""

    @property
    def where(self) -> str:
        """Path that the user gave."""

    def batches(self) -> Iterator[Batch]:
        """Reads all examples, in a fixed order.

        Raises:
          InputError: If a file cannot be read.
        """


def encode(column: Column) -> list[wire.Feature]:
    """Returns a column as one feature per row; None where a row has no value."""
    offsets, values = np.asarray(column.offsets), column.values
    lengths = np.diff(offsets)
    if isinstance(values, np.ndarray) and len(lengths) and lengths.min() > 0:
        if lengths.min() == lengths.max():
            return _encode(values.reshape(len(lengths), -1))
    features: list[wire.Feature] = []
    for start, stop in zip(column.offsets, column.offsets[1:], strict=False):
        if start == stop:
            features.append(None)
        elif isinstance(values, np.ndarray):
            features += _encode(values[None, start:stop])
        else:
            features += wire.bytes_features([values[start:stop]])
    return features


def column_of(array: pa.Array, where: str) -> Column | None:
    """Turns an Arrow column into one of tf.Examples; None where all is missing.

    Args:
      array: Numbers, booleans, texts, bytes, or lists of them.
      where: What messages call the column.

    Raises:
      InputError: If it is of another type.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return column_of(array.dictionary_decode(), where)
    if pa.types.is_null(kind):
        return None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = np.asarray(array.value_lengths().fill_null(0))
        flat = array.flatten()
        if flat.null_count:
            raise InputError(
                f"{where}: expected lists without gaps, but {flat.null_count} of their "
                "values are missing; fill them in, or put the column under `ignore`"
            )
    elif pa.types.is_fixed_size_list(kind):
        return column_of(array.cast(pa.large_list(kind.value_type)), where)
    else:
        lengths = np.asarray(array.is_valid()).astype(np.int64)
        flat = array.drop_null()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    return Column(offsets, _values(flat, where))


def _values(flat: pa.Array, where: str) -> np.ndarray | list[bytes]:
    kind = flat.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        try:
            return np.asarray(flat.cast(pa.int64()))
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{where}: expected integers of 64 bits with a sign, but there are "
                f"larger ones ({error}); write them as texts or fractions"
            ) from error
    if pa.types.is_floating(kind):
        return np.asarray(flat.to_numpy(zero_copy_only=False), np.float32)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return list(flat.cast(pa.large_binary()).to_pylist())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return list(flat.to_pylist())
    raise InputError(
        f"{where}: expected numbers, texts or bytes, but the column is of type {kind}; "
        "turn it into numbers or texts, or put it under `ignore`"
    )


def _encode(values: np.ndarray) -> list[wire.Feature]:
    if values.dtype.kind == "f":
        return wire.float_features(values)
    return wire.int_features(values)
