# SPDX-License-Identifier: Apache-2.0
"""Tables and other files that one pass leaves for the next."""

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from components.leakage import tables
from components.leakage.tables import Table


class StoredTable:
    """A table on disk, read partition by partition, as often as need be."""

    def __init__(self, folder: str):
        """Says where the table lies; the folder need not exist."""
        self._folder = folder

    def __iter__(self) -> Iterator[Table]:
        """Reads the partitions, in their order; those without rows are left out."""
        for partition in range(tables.NUM_PARTITIONS):
            table = self.partition(partition)
            if len(table.rows):
                yield table

    def partition(self, partition: int) -> Table:
        """Reads one partition; empty if it has no rows."""
        path = FileSystems.join(self._folder, partition_name(partition))
        if not FileSystems.exists(path):
            return tables.EMPTY
        return tables.from_bytes(read_file(path))


def partition_name(partition: int) -> str:
    """Returns the name of a partition's file."""
    return f"partition-{partition:03}"


def make_folder(folder: str) -> None:
    """Makes a folder, unless it exists."""
    try:
        FileSystems.mkdirs(folder)
    except (BeamIOError, OSError):
        # Another worker may have been faster.
        if not FileSystems.exists(folder):
            raise


def write_file(folder: str, name: str, data: bytes) -> str:
    """Writes a file in a folder, which is made if need be; returns its path."""
    make_folder(folder)
    path = FileSystems.join(folder, name)
    with FileSystems.create(path, "application/octet-stream") as file:
        file.write(data)
    return str(path)


def read_file(path: str) -> bytes:
    """Reads a file."""
    with FileSystems.open(path, "application/octet-stream") as file:
        return bytes(file.read())


def save(folder: str, file: str, **found: beam.PCollection) -> None:
    """Writes small PCollections into one file, which `load` reads.

    Args:
      folder: Path of the folder.
      file: Name of the file.
      **found: PCollections of one pipeline by name; together they are one element.
    """
    _ = (
        tuple(
            elements
            | f"Name[{name}]" >> beam.Map(lambda each, name: (name, each), name)
            for name, elements in found.items()
        )
        | f"Flatten[{file}]" >> beam.Flatten()
        | f"Gather[{file}]" >> beam.combiners.ToList()
        | f"Save[{file}]" >> beam.Map(_write_named, folder, file, tuple(found))
    )


def load(folder: str, file: str) -> dict[str, list[Any]]:
    """Reads what `save` has written: the elements by name, in no particular order."""
    found: dict[str, list[Any]] = pickle.loads(
        read_file(FileSystems.join(folder, file))
    )
    return found


def _name(element: Any, name: str) -> tuple[str, Any]:
    return name, element


def _write_named(
    named: Sequence[tuple[str, Any]], folder: str, file: str, names: Sequence[str]
) -> None:
    gathered: dict[str, list[Any]] = {name: [] for name in names}
    for name, each in named:
        gathered[name].append(each)
    write_file(folder, file, pickle.dumps(gathered))
