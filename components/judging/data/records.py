# SPDX-License-Identifier: Apache-2.0
"""Serialized examples on disk that can be read in any order."""

import array
import os
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from components.guarded_evaluator.batching import content_hash

_HEAD, _TAIL = 12, 4
"""Bytes around each record of a TFRecord file: length and checksums."""


class Records:
    """The records of a TFRecord file, N of them, by position.

    In memory are but 16 bytes for each.
    """

    def __init__(self, path: str, ends: np.ndarray, hashes: np.ndarray):
        """Says where the records are; see `write`.

        Args:
          path: Path of the file, not compressed.
          ends: Where each record ends in the file, int64 of shape (N,).
          hashes: `content_hash` of each record, copies numbered apart, int64 of shape
            (N,).
        """
        self.path = path
        self.hashes = hashes
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def read(self, positions: Iterable[int]) -> list[bytes]:
        """Returns records in the order asked for."""
        with open(self.path, "rb") as file:
            return [self._read(file.fileno(), int(i)) for i in positions]

    def _read(self, file: int, position: int) -> bytes:
        start = (int(self._ends[position - 1]) if position else 0) + _HEAD
        length = int(self._ends[position]) - _TAIL - start
        data = os.pread(file, length, start)
        if len(data) < length:
            raise OSError(f"{self.path}: the file was cut off while it was in use")
        return data


def write(path: str, records: Iterable[bytes]) -> Records:
    """Writes records to a new TFRecord file, which is not compressed."""
    ends, hashes, end = array.array("q"), array.array("q"), 0
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
            end += _HEAD + len(record) + _TAIL
            ends.append(end)
            hashes.append(content_hash(record))
    written = Records(path, np.array(ends, np.int64), np.array(hashes, np.int64))
    _number_copies(written)
    return written


def _number_copies(records: Records) -> None:
    """Gives each further copy of a record a hash of its own."""
    hashes = records.hashes
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    is_copy = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    number, before = 0, -1
    for i in is_copy.tolist():
        number = number + 1 if i == before + 1 else 1
        before = i
        (record,) = records.read(order[i : i + 1])
        hashes[order[i]] = content_hash(record, number)
