# SPDX-License-Identifier: Apache-2.0
"""Reads CSV files as TFX's CsvExampleGen does: a line of names, then the rows.

The type of a column is the narrowest of integer, fraction and text that fits all its
cells; an empty cell is a missing value. The types are those of both splits together,
so that a column of fractions is one also where a split happens to hold whole numbers.
"""

import csv
import dataclasses
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from components.content.columns import Column
from components.errors import InputError
from components.judging.data.batches import Batch

Kind = Literal["int", "float", "text"]

_INTEGER = r"^\s*[+-]?[0-9]{1,18}\s*$"
"""Up to 18 digits, which always fit into 64 bits."""
_FLOAT = (
    r"(?i)^\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)\s*$"  # As `float`.
)
_NO_ROWS = "Empty CSV file"  # Arrow's words, where no line follows the names.
_BLOCK_BYTES = 1 << 24  # A row must fit into a block.


@dataclasses.dataclass(frozen=True)
class CsvFiles:
    """CSV files of one split; a `Source`.

    Attributes:
      where: Path that the user gave.
      files: The files.
      kinds: Type of each column, see `find_kinds`.
    """

    where: str
    files: Sequence[Path]
    kinds: Mapping[str, Kind]

    def batches(self) -> Iterator[Batch]:
        """Reads the files one after another."""
        for file in self.files:
            start = 0
            for batch in _read(file):
                columns = {
                    name: _column(cells, self.kinds.get(name, "text"))
                    for name, cells in zip(
                        batch.schema.names, batch.columns, strict=True
                    )
                }
                yield Batch(columns, batch.num_rows, str(file), start)
                start += batch.num_rows


def find_kinds(files: Sequence[Path]) -> dict[str, Kind]:
    """Returns the type of each column over all files; text if it has no value.

    Raises:
      InputError: If a file is no CSV file in UTF-8, or has names that are empty or
        doubled, or a row that is ragged.
    """
    kinds: dict[str, Kind | None] = {}
    for file in files:
        for batch in _read(file):
            for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                kinds[name] = _kind_of(cells, kinds.get(name))
    return {name: kind or "text" for name, kind in kinds.items()}


def _kind_of(cells: pa.Array, before: Kind | None) -> Kind | None:
    """Returns the narrowest type that fits; no narrower than before."""
    if before == "text":
        return "text"
    filled = cells.filter(pc.not_equal(cells, ""))
    if not len(filled):
        return before
    if before != "float" and _all_match(filled, _INTEGER):
        return "int"
    return "float" if _all_match(filled, _FLOAT) else "text"


def _all_match(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _column(cells: pa.Array, kind: Kind) -> Column:
    is_filled = pc.not_equal(cells, "")
    offsets = np.concatenate([[0], np.cumsum(np.asarray(is_filled))]).tolist()
    filled = cells.filter(is_filled)
    if kind == "text":
        return Column(offsets, filled.cast(pa.binary()).to_pylist())
    convert: Callable[[str], float] = int if kind == "int" else float
    dtype = np.int64 if kind == "int" else np.float32
    try:
        wide = filled.cast(pa.int64() if kind == "int" else pa.float64())
        return Column(offsets, np.asarray(wide).astype(dtype))
    except pa.ArrowInvalid:
        # Arrow knows neither spaces nor a leading plus.
        return Column(
            offsets, np.array([convert(x) for x in filled.to_pylist()], dtype)
        )


def _read(file: Path) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file, all columns as texts."""
    names = _header(file)
    try:
        with pa.input_stream(str(file), compression=_compression(file)) as stream:
            reader = arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                if batch.num_rows:
                    yield batch
    except (pa.ArrowException, OSError) as error:
        if _NO_ROWS in str(error):
            return
        raise InputError(
            f"{file}: expected rows of {len(names)} cells in UTF-8 with commas between "
            f"them, but {' '.join(str(error).split())[:300]}; mend the file"
        ) from error


def _header(file: Path) -> list[str]:
    try:
        with _open(file) as stream:
            names = next(csv.reader(stream), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{file}: expected a CSV file in UTF-8, but its first line cannot be read "
            f"({error}); mend the file"
        ) from error
    if not names:
        raise InputError(
            f"{file}: expected a line with the names of the columns, but the file is "
            "empty; check how it was written"
        )
    for number, name in enumerate(names):
        if not name or names.index(name) != number:
            came = f"is named {name!r} again" if name else "has no name"
            raise InputError(
                f"{file}: expected a name of its own for each column, but column "
                f"{number} {came}; name it (pandas: `to_csv(path, index=False)` leaves "
                "the row numbers out)"
            )
    return names


def _open(file: Path) -> IO[str]:
    if _compression(file):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _compression(file: Path) -> str | None:
    return "gzip" if file.suffix.lower() == ".gz" else None
