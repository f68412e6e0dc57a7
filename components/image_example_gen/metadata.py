# SPDX-License-Identifier: Apache-2.0
"""Reads the CSV file with more features per picture.

The form is that of RFC 4180: a line with the names, commas, and quotes around cells
with commas, quotes or newlines. An empty cell is a missing value.
"""

import csv
import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from components.errors import InputError

PATH_COLUMN = "path"
"""Column that says which picture a row is about."""

Type = Literal["int", "float", "bytes"]
Values = dict[str, int | float | bytes]

# Leading zeros and signs are left to texts: the patients 07 and 7 are two.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_INT64 = range(-(2**63), 2**63)


@dataclasses.dataclass(frozen=True)
class Table:
    """What is in a CSV file.

    Attributes:
      file: Path of the file.
      types: Type of each column but `path`, by name: the narrowest of int64, float
        and bytes that fits all its values; bytes if it has none.
      by_name: Whether rows name pictures by file name instead of by path.
    """

    file: str
    types: dict[str, Type]
    by_name: bool

    def key(self, path: bytes) -> bytes:
        """Returns what a row must say to be about the picture at `path`."""
        return os.path.basename(path) if self.by_name else path


def read_table(file: str, reserved: Iterable[str]) -> Table:
    """Reads a whole CSV file once, row by row, and tells what is in it.

    Args:
      file: Path of the file.
      reserved: Names of features that no column may have.

    Raises:
      InputError: If there is no such file, it is no CSV file in UTF-8, has no column
        `path`, a name that is empty, doubled or taken, or a row that is ragged, or
        names no picture.
    """
    types: dict[str, Type] = {}
    paths = names = 0
    for number, cells in _read(file):
        if not types:
            types = dict.fromkeys(_check_header(file, list(cells), reserved), "int")
            used = dict.fromkeys(types, False)
        cell = cells[PATH_COLUMN]
        if not _normalized(cell):
            raise InputError(
                f"{file}:{number}: expected a picture in column {PATH_COLUMN!r}, but "
                "the cell is empty; name the picture, or drop the row"
            )
        paths, names = (paths + 1, names) if "/" in cell else (paths, names + 1)
        for column in used:
            if text := cells[column]:
                used[column] = True
                types[column] = _widened(types[column], text)
    if not paths + names:
        raise InputError(
            f"{file}: expected a line of names and one row per picture, but there are "
            "no rows; add them, or leave `metadata` out"
        )
    if paths and names:
        raise InputError(
            f"{file}: expected in column {PATH_COLUMN!r} either paths relative to the "
            f"base folder or file names, but {paths} have a `/` and {names} have none; "
            "write paths throughout"
        )
    return Table(
        file, {n: t if used[n] else "bytes" for n, t in types.items()}, not paths
    )


def read_rows(table: Table) -> Iterator[tuple[bytes, Values]]:
    """Yields the key and the values of each row; missing values are left out."""
    convert: dict[Type, Callable[[str], int | float | bytes]] = {
        "int": int,
        "float": float,
        "bytes": os.fsencode,
    }
    for _, cells in _read(table.file):
        values = {
            name: convert[kind](cells[name])
            for name, kind in table.types.items()
            if cells[name]
        }
        yield _normalized(cells[PATH_COLUMN]), values


def _read(file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line number and the cells by name of each row."""
    try:
        # As file names are decoded: bytes that are no UTF-8 survive.
        with open(
            file, encoding="utf-8-sig", errors="surrogateescape", newline=""
        ) as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            if len(set(header)) < len(header):
                doubled = sorted({name for name in header if header.count(name) > 1})
                raise InputError(
                    f"{file}: expected each column once, but {doubled} is there more "
                    "than once; rename or drop one"
                )
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise InputError(
                        f"{file}:{reader.line_num}: expected {len(header)} cells, as "
                        f"in the first line, but there are {len(cells)}; mend the row"
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{file}: expected a CSV file with a column {PATH_COLUMN!r}, but reading "
            f"failed ({reason}); correct `metadata`, or mend the file"
        ) from error


def _check_header(file: str, header: list[str], reserved: Iterable[str]) -> list[str]:
    if PATH_COLUMN not in header:
        raise InputError(
            f"{file}: expected a column {PATH_COLUMN!r} that names the pictures, but "
            f"the columns are {header[:10]}; rename the one that does"
        )
    columns = [name for name in header if name != PATH_COLUMN]
    taken = sorted({*columns} & {*reserved} | {n for n in columns if not n.strip()})
    if taken:
        raise InputError(
            f"{file}: expected names that are not empty and not those of the features "
            f"label, image and path, but there is {taken[0]!r}; rename or drop the "
            "column"
        )
    return columns


def _widened(type_: Type, text: str) -> Type:
    """Returns the narrowest type that fits all of `type_` and the text."""
    if type_ == "int":
        if _INTEGER.fullmatch(text) and int(text) in _INT64:
            return "int"
        type_ = "float"
    return "float" if type_ == "float" and _NUMBER.fullmatch(text) else "bytes"


def _normalized(cell: str) -> bytes:
    return os.path.normpath(os.fsencode(cell)) if cell.strip() else b""
