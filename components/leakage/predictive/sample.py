# SPDX-License-Identifier: Apache-2.0
"""The sample of examples that single features are judged on, column by column."""

import dataclasses
import functools
import json
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from components.leakage.predictive.rows import SampleRow, stride

Counted = tuple[bytes, SampleRow, int]
"""Key, row, and how many examples are equal to the row."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One feature, or one entry of a vector feature, over all rows.

    Attributes:
      feature: Name of the feature.
      index: Position of the entry in the vector; None where all examples have at
        most one value.
      values: Shape (rows,): float64 with NaN for missing values, or for a text
        int64 codes with -1 for missing ones.
    """

    feature: str
    index: int | None
    values: np.ndarray

    @property
    def name(self) -> str:
        """The feature, or the entry as in `pixels[3]`."""
        return self.feature if self.index is None else f"{self.feature}[{self.index}]"

    @property
    def is_text(self) -> bool:
        """Whether the values are codes of texts."""
        return self.values.dtype.kind == "i"


@dataclasses.dataclass(frozen=True)
class _Vector:
    """The values of a numeric feature: those of row `rows[i]` from `starts[i]` on."""

    rows: np.ndarray
    sizes: np.ndarray
    strides: np.ndarray
    starts: np.ndarray
    values: np.ndarray

    def entry(self, index: int, num_rows: int) -> np.ndarray:
        """Returns one entry over all rows, NaN where a row has none."""
        column = np.full(num_rows, np.nan)
        has = self.sizes > index
        where = self.starts[has] + index // self.strides[has]
        column[self.rows[has]] = self.values[where]
        return column


class Sample:
    """Rows of distinct contents, and the columns that they make."""

    def __init__(self, counted: Iterable[Counted] = ()):
        """Takes the rows in the order of their keys; any order gives equal results.

        Args:
          counted: What the sampling has kept; may be empty.
        """
        ordered = sorted(counted, key=lambda each: each[0])
        self.rows: Sequence[SampleRow] = tuple(row for _, row, _ in ordered)
        self.counts = np.array([count for _, _, count in ordered], np.int64)
        labels = sorted({row.label for row in self.rows})
        self.classes: Sequence[str] = tuple(labels)
        codes = {label: code for code, label in enumerate(labels)}
        self.labels = np.array([codes[row.label] for row in self.rows], np.int64)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.rows)

    def columns(self) -> Iterator[Column]:
        """Yields the content, entry by entry: numbers by name, then texts by name."""
        for name, vector in self._vectors.items():
            largest = int(vector.sizes.max())
            for index in range(0, largest, int(vector.strides.max())):
                values = vector.entry(index, len(self))
                yield Column(name, None if largest == 1 else index, values)
        for name in sorted({name for row in self.rows for name, _ in row.texts}):
            hashes = [dict(row.texts).get(name) for row in self.rows]
            codes = {value: code for code, value in enumerate(dict.fromkeys(hashes))}
            codes[None] = -1
            yield Column(name, None, np.array([codes[v] for v in hashes], np.int64))

    def standard_deviations(self) -> dict[str, np.ndarray]:
        """Returns the spread of each numeric feature, entry by entry.

        Returns:
          By feature name, sorted: float64 of shape (entries,), the standard
          deviation over the rows that have a finite value, each content once; 0 for
          a constant entry. Entries of a vector that was thinned take the one before.
        """
        found = {}
        for name, vector in self._vectors.items():
            step, size = int(vector.strides.max()), int(vector.sizes.max())
            deviations = [
                _deviation(vector.entry(index, len(self)))
                for index in range(0, size, step)
            ]
            found[name] = np.repeat(np.array(deviations), step)[:size]
        return found

    @functools.cached_property
    def _vectors(self) -> dict[str, _Vector]:
        """Gathers the values of each numeric feature, by name."""
        by_layout: dict[str, list[int]] = {}
        for number, row in enumerate(self.rows):
            by_layout.setdefault(row.layout, []).append(number)
        parts: dict[str, list[tuple[np.ndarray, int, np.ndarray]]] = {}
        for layout, numbers in by_layout.items():
            packed = b"".join(self.rows[number].numbers for number in numbers)
            table = np.frombuffer(packed, "<f8").reshape(len(numbers), -1)
            start = 0
            for name, size in json.loads(layout):
                end = start + math.ceil(size / stride(size))
                block = np.array(numbers), size, table[:, start:end]
                parts.setdefault(name, []).append(block)
                start = end
        return {name: _gather(parts[name]) for name in sorted(parts)}

    @functools.cached_property
    def unavoidably_repeated(self) -> bool:
        """Whether there are more examples than different rows that are possible.

        Then equal rows cannot be avoided, and say nothing of copies.
        """
        total, possible = int(self.counts.sum()), 1
        if total == len(self):
            return False
        for column in self.columns():
            possible *= len(np.unique(column.values))
            if possible > total:
                return False
        return True

    def repeated(self, size: int) -> "Sample":
        """Returns a sample with each row as often as it occurs.

        Args:
          size: About how many rows to return at most; a larger sample is scaled
            down, each row staying at least once.
        """
        scale = max(1.0, int(self.counts.sum()) / size)
        times = np.maximum(1, self.counts / scale).astype(np.int64)
        keyed = zip(self.rows, times.tolist(), strict=True)
        return Sample(
            (number.to_bytes(8, "big") + copy.to_bytes(8, "big"), row, 1)
            for number, (row, count) in enumerate(keyed)
            for copy in range(count)
        )


def _gather(parts: Sequence[tuple[np.ndarray, int, np.ndarray]]) -> _Vector:
    sizes = np.concatenate([np.full(len(rows), size) for rows, size, _ in parts])
    widths = np.concatenate([np.full(len(rows), t.shape[1]) for rows, _, t in parts])
    return _Vector(
        rows=np.concatenate([rows for rows, _, _ in parts]),
        sizes=sizes,
        strides=np.concatenate([np.full(len(r), stride(size)) for r, size, _ in parts]),
        starts=np.cumsum(widths) - widths,
        values=np.concatenate([table.ravel() for _, _, table in parts]),
    )


def _deviation(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.std(finite)) if len(finite) else 0.0
