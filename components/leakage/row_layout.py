# SPDX-License-Identifier: Apache-2.0
"""Lays the numbers of an example out as one vector, to be compared with others.

Numeric features of a fixed size stand entry by entry; one that is absent is NaN.
All else (texts, and numeric features that differ in size from example to example)
must be equal in near-duplicates: it becomes one more entry, a hash without tolerance.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from components.content.columns import Columns
from components.content.examples import ParsedExample
from components.content.fingerprint import canonical_value, feature_part
from components.leakage.predictive.rows import SampleRow, stride


@dataclasses.dataclass(frozen=True)
class RowLayout:
    """Where the numbers of an example stand in its vector.

    Attributes:
      sizes: Name and number of values of each numeric feature, sorted by name. Of a
        feature of more than 4,096 values every 2nd, 4th, 8th ... is taken.
      no_content: Names of the features that are left out, such as the label.
    """

    sizes: tuple[tuple[str, int], ...]
    no_content: frozenset[str]

    @classmethod
    def of(
        cls, rows: Iterable[SampleRow], no_content: Collection[str]
    ) -> "RowLayout | None":
        """Returns the layout of a sample; None if no feature has a fixed size."""
        found: dict[str, set[int]] = {}
        for layout in {row.layout for row in rows}:
            for name, size in json.loads(layout):
                found.setdefault(name, set()).add(size)
        sizes = tuple(
            (name, min(found[name])) for name in sorted(found) if len(found[name]) == 1
        )
        return cls(sizes, frozenset(no_content)) if sizes else None

    @property
    def spans(self) -> dict[str, tuple[int, slice]]:
        """Number of values, and place in the vector, of each feature."""
        spans, start = {}, 0
        for name, size in self.sizes:
            stop = start + math.ceil(size / stride(size))
            spans[name] = (size, slice(start, stop))
            start = stop
        return spans

    @property
    def length(self) -> int:
        """Entries of a vector; the last is the hash of what must be equal."""
        return sum(math.ceil(size / stride(size)) for _, size in self.sizes) + 1

    def vectors(self, columns: Columns) -> np.ndarray:
        """Returns the vectors of a batch of examples, float64, (rows, length)."""
        num_rows = max((len(each.offsets) - 1 for each in columns.values()), default=0)
        vectors = np.full((num_rows, self.length), np.nan)
        others: list[list[bytes]] = [[] for _ in range(num_rows)]
        spans = self.spans
        for name in sorted(columns):
            if name in self.no_content:
                continue
            column = columns[name]
            lengths = np.diff(column.offsets)
            size, span = spans.get(name, (0, slice(0)))
            fits = lengths == size
            if size and isinstance(column.values, np.ndarray) and fits.any():
                first = np.array(column.offsets[:-1])[fits]
                entries = first[:, np.newaxis] + np.arange(0, size, stride(size))
                vectors[fits, span] = column.values[entries]
            else:
                fits = lengths < 0
            for row in np.flatnonzero(~fits & (lengths > 0)).tolist():
                canonical = canonical_value(column.values_of(row))
                others[row].append(feature_part(name, canonical))
        vectors[:, -1] = [_hash(b"".join(parts)) for parts in others]
        return vectors

    def matrix(self, rows: Sequence[SampleRow]) -> np.ndarray:
        """Returns the numbers of sampled rows, float64 of shape (rows, length).

        The hash of what must be equal is not known of a sample: it is 0.
        """
        matrix = np.full((len(rows), self.length), np.nan)
        matrix[:, -1] = 0.0
        by_layout: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            by_layout.setdefault(row.layout, []).append(place)
        for layout, places in by_layout.items():
            packed = b"".join(rows[place].numbers for place in places)
            table = np.frombuffer(packed, "<f8").reshape(len(places), -1)
            start = 0
            for name, size in json.loads(layout):
                stop = start + math.ceil(size / stride(size))
                if name in self.spans:
                    matrix[places, self.spans[name][1]] = table[:, start:stop]
                start = stop
        return matrix

    def tolerances(self, named: Mapping[str, float]) -> list[float | None]:
        """Returns the tolerance of each entry in its unit; None where none is named.

        The hash of what must be equal has none.
        """
        absolute: list[float | None] = [None] * self.length
        for name, (_, span) in self.spans.items():
            if name in named:
                absolute[span] = [named[name]] * (span.stop - span.start)
        absolute[-1] = 0.0
        return absolute


class Describer:
    """Hands out the vectors of examples, which it makes batch by batch."""

    def __init__(self, layout: RowLayout):
        """Says how vectors are laid out."""
        self._layout = layout
        self._columns: Columns | None = None

    def describe(self, example: ParsedExample) -> np.ndarray:
        """Returns the vector of an example, float64 of shape (length,)."""
        if example.columns is not self._columns:
            self._columns = example.columns
            self._vectors = self._layout.vectors(example.columns)
        return self._vectors[example.row].copy()


def _hash(others: bytes) -> float:
    """Returns a hash as a number that float64 holds: 52 bits."""
    digest = hashlib.blake2b(others, digest_size=8).digest()
    return float(int.from_bytes(digest, "little") >> 12)
