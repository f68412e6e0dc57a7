# SPDX-License-Identifier: Apache-2.0
"""Writes tables of who shares what, in the pass that parses the examples.

Examples leave the step that parses them as rows of 40 bytes in packed tables, one
element for thousands of them: a million Python objects would take a hundred times
the time and the memory. No element grows with the data but the merged partitions,
which have a hundred-and-twenty-eighth of the rows each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from components.leakage import tables
from components.leakage.parse import SplitExample
from components.leakage.stored import partition_name, write_file

_ROWS = 2**16  # Rows gathered before they are sent on; 10 MB as Python objects.

KeyOf = Callable[[SplitExample], bytes | None]
"""Returns an example's key of 16 bytes; None, it has none and is left out."""


class Tabulate(beam.PTransform):
    """Writes one table, in partitions.

    Input: a PCollection of `SplitExample`. Output: the path of each partition.
    """

    def __init__(
        self,
        folder: str,
        splits: Sequence[str],
        key_of: KeyOf,
        partition_by: str = "high",
    ):
        """Says what to write, and where.

        Args:
          folder: Path of the folder of the table.
          splits: Names of the splits, which rows point to.
          key_of: The key of an example.
          partition_by: The field whose first bits choose a row's partition; they
            must be evenly distributed.
        """
        super().__init__()
        self._folder = folder
        self._splits = tuple(splits)
        self._key_of = key_of
        self._partition_by = partition_by

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        return (
            examples
            | "PackRows"
            >> beam.ParDo(_PackRowsFn(self._splits, self._key_of, self._partition_by))
            | "GroupByPartition" >> beam.GroupByKey()
            | "WritePartition" >> beam.MapTuple(self._write)
        )

    def _write(self, partition: int, packed: Iterable[bytes]) -> str:
        table = tables.merge(map(tables.from_bytes, packed))
        # Mends nothing twice: a step that is repeated writes the same bytes.
        return write_file(
            self._folder, partition_name(partition), tables.to_bytes(table)
        )


class _PackRowsFn(beam.DoFn):
    def __init__(self, splits: tuple[str, ...], key_of: KeyOf, partition_by: str):
        super().__init__()
        self._splits = {split: index for index, split in enumerate(splits)}
        self._key_of = key_of
        self._partition_by = partition_by

    def start_bundle(self) -> None:
        self._rows: list[tuple[bytes, int, str | None, bytes]] = []

    def process(self, element: SplitExample) -> Iterator[tuple[int, bytes]]:
        key = self._key_of(element)
        if key is None:
            return
        example = element.example
        self._rows.append(
            (key, self._splits[element.split], example.label, example.record_digest)
        )
        if len(self._rows) == _ROWS:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        for packed in self._flush():
            yield WindowedValue(packed, window.max_timestamp(), (window,))

    def _flush(self) -> Iterator[tuple[int, bytes]]:
        rows, self._rows = self._rows, []
        if not rows:
            return
        table = tables.make_table(*zip(*rows, strict=True))
        for partition, part in tables.by_partition(table, self._partition_by).items():
            yield partition, tables.to_bytes(part)
