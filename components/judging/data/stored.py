# SPDX-License-Identifier: Apache-2.0
"""Data to judge that lie in a temporary folder for the time of the judgement."""

import dataclasses
import difflib
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from components.content.columns import Column, decode_batch
from components.errors import InputError
from components.judging.data.records import Records
from components.judging.data.source import NoCategory
from components.labels import LabelValue

_READ_AT_A_TIME = 1024


@dataclasses.dataclass(frozen=True)
class StoredSplit:
    """A split whose rows lie in a TFRecord file; a `JudgedSplit`.

    Attributes:
      name: Name of the split.
      class_ids: Class id of each row, int64 of shape (N,).
      records: The rows.
      parse: Turns rows into what the model is given.
      rows: Returns what the model is given for the rows at some positions, where that
        is at hand; None parses the records.
    """

    name: str
    class_ids: np.ndarray
    records: Records
    parse: Callable[[Sequence[bytes]], Any]
    rows: Callable[[np.ndarray], Any] | None = None

    @property
    def hashes(self) -> np.ndarray:
        """Hash of each row's content, copies numbered apart; int64 of shape (N,)."""
        return self.records.hashes

    def serialized(self, positions: np.ndarray) -> list[bytes]:
        """Returns rows as serialized tf.Examples."""
        return self.records.read(positions)

    def inputs(self, positions: np.ndarray) -> Any:
        """Returns what the model is given for these rows."""
        if self.rows is not None:
            return self.rows(positions)
        return self.parse(self.serialized(positions))

    def slice_values(self, feature: str) -> list[str | None]:
        """Returns each row's value of a feature, as text; None where it has none.

        Raises:
          InputError: If no row has such a feature.
          NoCategory: If a row has several values, or they are fractions or pictures.
        """
        values: list[str | None] = []
        known: set[str] = set()
        for columns, num_rows in self._columns():
            known.update(columns)
            column = columns.get(feature)
            values += (
                [None] * num_rows if column is None else _categories(column, feature)
            )
        if feature not in known and known:
            nearest = difflib.get_close_matches(feature, sorted(known), n=1)
            raise InputError(
                f"slices: expected a feature of split {self.name!r}, but there is no "
                f"{feature!r} among {', '.join(sorted(known)[:20])}; "
                + (f"did you mean {nearest[0]!r}?" if nearest else "correct the name")
            )
        return values

    def _columns(self) -> Iterator[tuple[Mapping[str, Column], int]]:
        for start in range(0, len(self.records), _READ_AT_A_TIME):
            stop = min(start + _READ_AT_A_TIME, len(self.records))
            columns = decode_batch(self.records.read(range(start, stop)))
            if columns is None:
                raise ValueError(f"{self.records.path}: rows cannot be read again")
            yield columns, stop - start


@dataclasses.dataclass(frozen=True)
class StoredData:
    """A training and an evaluation split; a `JudgedData`, and a context manager.

    Leaving the context removes the temporary folder.

    Attributes:
      train: What the model was trained on.
      eval: What decides.
      labels: Label values; the class id of a label is its position.
      label_key: Name of the label feature.
      image_key: Feature that holds encoded pictures, or None.
      no_input: Features that the model is not given and that are no content.
      files: TFRecord files by split.
      parse: Turns serialized examples into what the model is given.
      folder: The temporary folder.
      input_features: Features that the model is given; None where it parses the
        examples itself.
    """

    train: StoredSplit
    eval: StoredSplit
    labels: tuple[LabelValue, ...]
    label_key: str
    image_key: str | None
    no_input: tuple[str, ...]
    files: Mapping[str, Sequence[str]]
    parse: Callable[[Sequence[bytes]], Any]
    folder: str
    input_features: tuple[str, ...] | None = None

    def __enter__(self) -> "StoredData":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the temporary folder; twice does no harm."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _categories(column: Column, feature: str) -> list[str | None]:
    num_rows = len(column.offsets) - 1
    if isinstance(column.values, np.ndarray) and column.values.dtype.kind == "f":
        raise NoCategory(
            f"feature {feature!r} holds fractions, which are no categories"
        )
    plain = column.values
    values = plain if isinstance(plain, list) else plain.tolist()
    texts = [_category(value, feature) for value in values]
    found: list[str | None] = []
    for row in range(num_rows):
        start, stop = column.offsets[row : row + 2]
        if stop - start > 1:
            raise NoCategory(
                f"feature {feature!r} has {stop - start} values in one example, so it "
                "is no category"
            )
        found.append(texts[start] if stop > start else None)
    return found


@functools.lru_cache(maxsize=1024)
def _category(value: bytes | int, feature: str) -> str:
    """Returns a value as text; one object for each value of few."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NoCategory(
            f"feature {feature!r} holds bytes that are no text, so it is no category"
        ) from None
