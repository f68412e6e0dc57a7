# SPDX-License-Identifier: Apache-2.0
"""Hands records to a step in batches, which parse in a fraction of the time."""

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from components.content.records import Record

_BATCH = 256  # Records in a batch at most.
_BATCH_BYTES = 8 * 2**20  # Pictures come fewer at a time.


class BatchedRecordsFn(beam.DoFn):
    """Base of the steps that read `Record`s in batches.

    A batch holds records of one bundle only, so what is made of a record must not
    depend on its companions. Input: a `Record`. Output: whatever `read_batch`
    yields.
    """

    def read_batch(self, records: Sequence[Record]) -> Iterator[Any]:
        """Yields what is made of some records, tagged or not.

        Args:
          records: Between one and 256.
        """
        raise NotImplementedError

    def start_bundle(self) -> None:
        """Begins a batch."""
        self._batch: list[Record] = []
        self._bytes = 0

    def process(self, record: Record) -> Iterator[Any]:
        """Gathers records and hands them on when there are enough."""
        self._batch.append(record)
        self._bytes += len(record.data)
        if len(self._batch) == _BATCH or self._bytes >= _BATCH_BYTES:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        """Hands on the rest."""
        for element in self._flush():
            if isinstance(element, beam.pvalue.TaggedOutput):
                element.value = _windowed(element.value)
                yield element
            else:
                yield _windowed(element)

    def _flush(self) -> Iterator[Any]:
        batch, self._batch, self._bytes = self._batch, [], 0
        if batch:
            yield from self.read_batch(batch)


def _windowed(element: Any) -> WindowedValue:
    # What leaves at the end of a bundle has no element to take its window from.
    window = GlobalWindow()
    return WindowedValue(element, window.max_timestamp(), (window,))
