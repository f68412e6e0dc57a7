# SPDX-License-Identifier: Apache-2.0
"""Reads the records of TFRecord files and knows where each of them stood."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf

DAMAGED = "damaged"
"""Tag of the files that break off: a `Damage` each."""
RECORDS = "records"
"""Tag of the records: a `Record` each."""
_MAX_BATCH = 256  # Records read at a time.
_BATCH_BYTES = 16 * 2**20  # Fewer, where they are as large as the first one.


class Record(NamedTuple):
    """One record, and where it stood."""

    file: str
    """Path of the file."""
    position: int
    """Position in the file, from 0."""
    data: bytes
    """What was written."""


@dataclasses.dataclass(frozen=True, order=True)
class Damage:
    """Where a file breaks off.

    Attributes:
      file: Path of the file.
      position: Position of the first record that could not be read.
      reason: What the reader said.
    """

    file: str
    position: int
    reason: str


class ReadRecords(beam.PTransform):
    """Reads TFRecord files, each from its beginning to its end.

    Input: the pipeline. Output: PCollections by tag, `records` and `damaged`. A
    file is read by one worker, so that positions are known; TFX writes gzipped
    files, which cannot be read from the middle in any case.
    """

    def __init__(self, files: Sequence[str]):
        """Says what to read.

        Args:
          files: Paths of the files, gzipped if they end in `.gz`; may be empty.
        """
        super().__init__()
        self._files = list(files)

    def expand(self, pipeline: beam.Pipeline) -> Any:
        """Wires the steps. Beam has no type hint for tagged outputs."""
        return (
            pipeline
            | "ListFiles" >> beam.Create(self._files, reshuffle=True)
            | "ReadFiles"
            >> beam.ParDo(_ReadFileFn()).with_outputs(DAMAGED, main=RECORDS)
        )


class _ReadFileFn(beam.DoFn):
    def process(self, file: str) -> Iterator[Any]:
        compression = "GZIP" if file.endswith(".gz") else ""
        dataset = tf.data.TFRecordDataset(file, compression)
        position = 0
        try:
            if compression and not tf.io.gfile.stat(file).length:
                # tf.data takes it for a file without records; those have a header.
                yield _damage(file, 0, "the file has zero bytes")
                return
            # One by one, tf.data takes five times as long.
            for batch in dataset.batch(_batch_size(dataset)).as_numpy_iterator():
                for data in batch.tolist():
                    yield Record(file, position, data)
                    position += 1
        except tf.errors.OpError:
            # A damaged record takes the whole records of its batch with it.
            yield from _read_singly(dataset.skip(position), file, position)


def _batch_size(dataset: tf.data.Dataset) -> int:
    """Returns how many records to read at a time, judged by the first."""
    for first in dataset.take(1).as_numpy_iterator():
        return int(min(_MAX_BATCH, max(1, _BATCH_BYTES // max(1, len(first)))))
    return 1


def _read_singly(dataset: tf.data.Dataset, file: str, position: int) -> Iterator[Any]:
    """Yields the records from `position` on, and where they break off."""
    try:
        for data in dataset.as_numpy_iterator():
            yield Record(file, position, data)
            position += 1
    except tf.errors.OpError as error:
        reason = " ".join(error.message.split(" [Op:")[0].split())
        yield _damage(file, position, reason[:300])


def _damage(file: str, position: int, reason: str) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(DAMAGED, Damage(file, position, reason))
