# SPDX-License-Identifier: Apache-2.0
"""Shuffles packed rows through files, so that no runner holds them in memory.

Beam's local runner keeps whatever passes a GroupByKey in memory, two to three times
over; a million pictures have gigabytes of keys. Here only addresses pass it. A
worker sorts its rows by partition, writes them into one file of its own, and emits
one `Extent` per partition: the map side of a sort-based shuffle, as Spark has it. A
bundle that is repeated writes another file, and nobody reads the first one, as its
addresses were never emitted.

The folder must be one that all workers see: any file system that Beam knows.
"""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows

NUM_PARTITIONS = 512
"""Partitions of a shuffle. Each worker holds one in memory at a time: 4 MB if a fifth
of 10^6 pictures have 200 keys of 41 bytes, and a hundred times that of 10^8."""

BUFFER_BYTES = 64 * 2**20
"""Bytes that a worker gathers before it writes a file."""


class Extent(NamedTuple):
    """Where some rows of one partition stand."""

    kind: str
    """What the rows are."""
    path: str
    """Path of the file."""
    offset: int
    """First byte."""
    num_rows: int
    """Number of rows."""


class SpillWriter:
    """Gathers rows of one kind and writes them, sorted by partition."""

    def __init__(self, folder: str, kind: str, dtype: np.dtype):
        """Says what to write, and where.

        Args:
          folder: Path of an existing folder.
          kind: What the rows are; becomes part of the file's name.
          dtype: Type of a row.
        """
        self._folder = folder
        self._kind = kind
        self._dtype = dtype
        self._clear()

    def add(
        self, partitions: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, Extent]]:
        """Gathers rows; writes them if there are enough.

        Args:
          partitions: The partition of each row, int64, shape (n,).
          rows: Of the writer's type, shape (n,); must not be changed afterwards.

        Yields:
          What `flush` yields, if a file was written.
        """
        self._partitions.append(partitions)
        self._rows.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= BUFFER_BYTES:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[int, Extent]]:
        """Writes what was gathered.

        Yields:
          Each partition that has rows, and where they stand.
        """
        partitions = np.concatenate([np.empty(0, np.int64), *self._partitions])
        if len(partitions):
            order = np.argsort(partitions, kind="stable")
            rows = np.concatenate(self._rows)[order]
            self._clear()
            path = FileSystems.join(self._folder, f"{self._kind}-{uuid.uuid4().hex}")
            with FileSystems.create(path, "application/octet-stream") as file:
                file.write(rows.tobytes())
            numbers, first, counts = np.unique(
                partitions[order], return_index=True, return_counts=True
            )
            for number, start, count in zip(
                numbers.tolist(), first.tolist(), counts.tolist(), strict=True
            ):
                offset = start * self._dtype.itemsize
                yield number, Extent(self._kind, path, offset, count)

    def _clear(self) -> None:
        self._partitions: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._bytes = 0


def read_rows(extents: Iterable[Extent], kind: str, dtype: np.dtype) -> np.ndarray:
    """Reads the rows of one kind.

    Args:
      extents: Where rows stand; those of other kinds are passed over.
      kind: Which to read.
      dtype: Type of a row.

    Returns:
      Shape (n,), in no particular order; empty if there are none.

    Raises:
      OSError: If a file ends early.
    """
    wanted = [extent for extent in extents if extent.kind == kind]
    rows = np.empty(sum(extent.num_rows for extent in wanted), dtype)
    filled = 0
    for extent in wanted:
        size = extent.num_rows * dtype.itemsize
        with FileSystems.open(extent.path, "application/octet-stream") as file:
            file.seek(extent.offset)
            data = file.read(size)
        if len(data) != size:
            raise OSError(
                f"{extent.path}: expected {size} bytes from byte {extent.offset}, but "
                f"{len(data)} came; run again with a temporary folder that keeps files"
            )
        rows[filled : filled + extent.num_rows] = np.frombuffer(data, dtype)
        filled += extent.num_rows
    return rows


def windowed(elements: Iterable[Any]) -> Iterator[Any]:
    """Wraps what `DoFn.finish_bundle` yields, as Beam asks for.

    Args:
      elements: Elements of the global window, tagged or not.

    Yields:
      The same, each in its window.
    """
    for element in elements:
        if isinstance(element, TaggedOutput):
            value = GlobalWindows.windowed_value(element.value)
            yield TaggedOutput(element.tag, value)
        else:
            yield GlobalWindows.windowed_value(element)


def make_folder(folder: str) -> None:
    """Makes a folder, unless it exists."""
    try:
        FileSystems.mkdirs(folder)
    except (BeamIOError, OSError):
        if not FileSystems.exists(folder):
            raise
