# SPDX-License-Identifier: Apache-2.0
"""What is known of the features of a split once it has been read."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from components.content.columns import Column
from components.content.pictures import PictureError, open_picture
from components.judging.data.batches import Batch

Kind = Literal["int", "float", "bytes"]


@dataclasses.dataclass
class FeatureFacts:
    """One feature of one split.

    Attributes:
      name: Name of the feature.
      kinds: Types that its values come in; more than one is odd.
      num_present: Rows that have a value.
      min_values: Fewest values of a row that has some.
      max_values: Most values of a row.
      first_missing: File and position of the first row without a value.
      first_ragged: File and position of the first row with another number of values
        than those before.
      first_value: The first value, of bytes.
      picture_sizes: Height and width of pictures, at most two of them.
      undecodable: File, position and reason of the first that is no picture.
    """

    name: str
    kinds: set[Kind] = dataclasses.field(default_factory=set)
    num_present: int = 0
    min_values: int = 0
    max_values: int = 0
    first_missing: tuple[str, int] | None = None
    first_ragged: tuple[str, int] | None = None
    first_value: bytes = b""
    picture_sizes: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    undecodable: tuple[str, int, str] | None = None

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers."""
        return "bytes" not in self.kinds

    @property
    def is_picture(self) -> bool:
        """Whether its first value begins like an image file."""
        if self.is_number:
            return False
        try:
            with open_picture(self.first_value):
                return True
        except PictureError:
            return False

    def add(self, column: Column, file: str, start: int) -> None:
        """Adds some rows."""
        lengths = np.diff(column.offsets)
        present = lengths[lengths > 0]
        self.note_missing(np.flatnonzero(lengths == 0), file, start)
        if not len(present):
            return
        self.kinds.add(_kind(column))
        ragged = np.flatnonzero(
            (lengths > 0) & (lengths != (self.min_values or present[0]))
        )
        if self.first_ragged is None and len(ragged):
            self.first_ragged = file, start + int(ragged[0])
        least = int(present.min())
        self.min_values = min(self.min_values, least) if self.min_values else least
        self.max_values = max(self.max_values, int(present.max()))
        if not self.num_present and isinstance(column.values, list):
            self.first_value = column.values[0]
        self.num_present += len(present)

    def add_pictures(self, column: Column, file: str, start: int) -> None:
        """Reads the headers of some pictures."""
        if not isinstance(column.values, list):
            return
        for row in range(len(column.offsets) - 1):
            for value in column.texts_of(row):
                try:
                    with open_picture(value) as picture:
                        width, height = picture.size
                except PictureError as error:
                    self.undecodable = self.undecodable or (
                        file,
                        start + row,
                        str(error),
                    )
                    continue
                if len(self.picture_sizes) < 2:
                    self.picture_sizes.add((height, width))

    def note_missing(self, rows: np.ndarray, file: str, start: int) -> None:
        """Notes rows without a value, at their positions in a batch."""
        if self.first_missing is None and len(rows):
            self.first_missing = file, start + int(rows[0])


class SplitFacts:
    """The features of one split, in the order of their first appearance."""

    def __init__(self, where: str) -> None:
        """Begins without any row.

        Args:
          where: Path that the user gave.
        """
        self.where = where
        self.num_rows = 0
        self._features: dict[str, FeatureFacts] = {}
        self._first_row: tuple[str, int] | None = None

    @property
    def features(self) -> Mapping[str, FeatureFacts]:
        """Facts by name; of features that have a value somewhere."""
        return {
            name: facts for name, facts in self._features.items() if facts.num_present
        }

    def add(self, batch: Batch) -> None:
        """Adds some rows."""
        everything = np.arange(batch.num_rows)
        for name in batch.columns:
            if name not in self._features:
                facts = self._features[name] = FeatureFacts(name)
                if self.num_rows:
                    # No row before this batch had it.
                    facts.first_missing = self._first_row
        if not self.num_rows:
            self._first_row = batch.file, batch.start
        for name, facts in self._features.items():
            column = batch.columns.get(name)
            if column is None:
                facts.note_missing(everything, batch.file, batch.start)
                continue
            facts.add(column, batch.file, batch.start)
            if facts.is_picture:
                facts.add_pictures(column, batch.file, batch.start)
        self.num_rows += batch.num_rows


def _kind(column: Column) -> Kind:
    if isinstance(column.values, list):
        return "bytes"
    return "float" if column.values.dtype.kind == "f" else "int"
