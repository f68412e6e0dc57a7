# SPDX-License-Identifier: Apache-2.0
"""Decodes tf.train.Examples many at a time, feature by feature.

TFX's own reader in C++ takes a fifteenth of the time of one Python object per value.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from tfx_bsl.coders import example_coder

from components.content.fingerprint import (
    Values,
    canonical_floats,
    canonical_value,
    feature_part,
    number_part_head,
)


@dataclasses.dataclass(frozen=True)
class Column:
    """The values of one feature over the rows of a batch.

    Attributes:
      offsets: Where each row's values begin, shape (rows + 1,).
      values: The values of all rows: an array of int64 or float32, or bytes.
    """

    offsets: list[int]
    values: np.ndarray | list[bytes]

    def values_of(self, row: int) -> Values:
        """Returns the values of one row; empty where it has none."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def texts_of(self, row: int) -> list[bytes]:
        """Returns the values of one row of texts; of numbers, none."""
        if not isinstance(self.values, list):
            return []
        return self.values[self.offsets[row] : self.offsets[row + 1]]


Columns = Mapping[str, Column]
"""The columns of a batch by feature name, sorted by name."""


@functools.cache
def _decoder() -> example_coder.ExamplesToRecordBatchDecoder:
    return example_coder.ExamplesToRecordBatchDecoder()


def decode_batch(records: list[bytes]) -> Columns | None:
    """Decodes records in C++; None if one of them keeps the batch from it."""
    try:
        batch = _decoder().DecodeBatch(records)
        names = batch.schema.names
    except Exception:
        # Of whatever kind: reading one by one tells which record it was.
        return None
    columns = {}
    for name, array in sorted(zip(names, batch.columns, strict=True)):
        if pa.types.is_null(array.type):
            continue
        values = array.values
        columns[name] = Column(
            array.offsets.to_numpy().tolist(),
            values.to_pylist()
            if pa.types.is_large_binary(values.type)
            else values.to_numpy(),
        )
    return columns


def columns_of(features: Mapping[str, Values]) -> Columns:
    """Returns the columns of a batch of one example.

    Args:
      features: As `read_features` returns them.
    """
    return {
        name: Column(
            [0, len(features[name])],
            values if isinstance(values := features[name], np.ndarray) else [*values],
        )
        for name in sorted(features)
    }


def encode(name: str, column: Column) -> list[bytes]:
    """Returns, for each row, what the fingerprint is taken of: empty if no value."""
    offsets = column.offsets
    floats = None
    if isinstance(column.values, np.ndarray):
        floats = canonical_floats(column.values)
    if floats is None:
        return [
            feature_part(name, canonical_value(column.values_of(row)))
            if offsets[row] < offsets[row + 1]
            else b""
            for row in range(len(offsets) - 1)
        ]
    raw = floats.tobytes()
    spans = list(zip(offsets, offsets[1:], strict=False))
    heads = {
        length: number_part_head(name, length)
        for length in {stop - start for start, stop in spans}
    }
    return [
        heads[stop - start] + raw[8 * start : 8 * stop] if stop > start else b""
        for start, stop in spans
    ]
