# SPDX-License-Identifier: Apache-2.0
"""Reads Parquet files."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from components.errors import InputError
from components.judging.data.batches import BATCH_ROWS, Batch, column_of

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""How pandas calls the row numbers that it stores beside the columns."""


@dataclasses.dataclass(frozen=True)
class ParquetFiles:
    """Parquet files of one split; a `Source`.

    Left out are the row numbers of pandas, and columns to ignore that hold what no
    tf.Example can.
    """

    where: str
    files: Sequence[Path]
    ignore: Collection[str] = ()

    def batches(self) -> Iterator[Batch]:
        """Reads the files one after another."""
        for file in self.files:
            start = 0
            for batch in _read(file):
                yield self._batch(batch, file, start)
                start += batch.num_rows

    def _batch(self, batch: pa.RecordBatch, file: Path, start: int) -> Batch:
        columns = {}
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if _PANDAS_INDEX.fullmatch(name):
                continue
            try:
                column = column_of(array, f"{file}: column {name!r}")
            except InputError:
                if name not in self.ignore:
                    raise
                continue
            if column is not None:
                columns[name] = column
        return Batch(columns, batch.num_rows, str(file), start)


def _read(file: Path) -> Iterator[pa.RecordBatch]:
    try:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=BATCH_ROWS):
                if batch.num_rows:
                    yield batch
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file}: expected a whole Parquet file, but it cannot be read "
            f"({' '.join(str(error).split())[:200]}); make it again"
        ) from error
