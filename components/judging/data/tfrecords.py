# SPDX-License-Identifier: Apache-2.0
"""Reads TFRecord files of tf.train.Examples."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from components.content.columns import decode_batch
from components.content.examples import read_features
from components.errors import InputError
from components.judging.data.batches import BATCH_ROWS, Batch

_GZIP = b"\x1f\x8b"
_BATCH_BYTES = 1 << 24


@dataclasses.dataclass(frozen=True)
class TFRecordFiles:
    """TFRecord files of one split, gzipped or not; a `Source`."""

    where: str
    files: Sequence[Path]

    def batches(self) -> Iterator[Batch]:
        """Reads the files one after another."""
        for file in self.files:
            start = 0
            for rows in _read(file):
                yield _decode(rows, str(file), start)
                start += len(rows)


def _read(file: Path) -> Iterator[list[bytes]]:
    """Yields records, some at a time."""
    with file.open("rb") as opened:
        head = opened.read(2)
    if not head:
        raise InputError(
            f"{file}: expected records, but the file has zero bytes; make it again"
        )
    count, rows, size = 0, list[bytes](), 0
    dataset = tf.data.TFRecordDataset(str(file), "GZIP" if head == _GZIP else "")
    try:
        for row in dataset.as_numpy_iterator():
            rows.append(row)
            size += len(row)
            count += 1
            if len(rows) == BATCH_ROWS or size >= _BATCH_BYTES:
                yield rows
                rows, size = [], 0
    except tf.errors.OpError as error:
        reason = " ".join(error.message.split(" [Op:")[0].split())[:200]
        raise InputError(
            f"{file}: expected whole TFRecord files, but record {count} cannot be read "
            f"({reason}); make the file again"
        ) from error
    if rows:
        yield rows


def _decode(rows: list[bytes], file: str, start: int) -> Batch:
    columns = decode_batch(rows)
    if columns is None:
        for position, row in enumerate(rows, start):
            try:
                read_features(row)
            except (DecodeError, UnicodeDecodeError):
                raise InputError(
                    f"{file}: expected serialized tf.train.Examples, but record "
                    f"{position} is none; make the file again"
                ) from None
        raise InputError(
            f"{file}: expected each feature to be of one type, but records {start} to "
            f"{start + len(rows) - 1} store one both as numbers and otherwise; write "
            "each feature as one type"
        )
    return Batch(columns, len(rows), file, start, rows)
