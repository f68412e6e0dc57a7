# SPDX-License-Identifier: Apache-2.0
"""Writes serialized tf.train.Examples, many rows at a time.

Equal values give equal bytes in every process, since rows are told apart, sampled and
put into batches by a hash of them: the bytes are those of protobuf's deterministic
serialization. TFX's own encoder in C++ puts the features into another order with each
run, and one Python object per value takes seven times as long.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = b"\x0a", b"\x12", b"\x1a"
"""Tags of the three kinds in `tf.train.Feature`, fields 1 to 3."""
_FIRST, _SECOND = b"\x0a", b"\x12"
"""Tags of fields 1 and 2 that are preceded by their length."""

Feature = bytes | None
"""A serialized `tf.train.Feature`; None where the row has no value."""


def float_features(values: np.ndarray) -> list[Feature]:
    """Returns one feature per row.

    Args:
      values: Numbers of shape (N, n), stored as float32.
    """
    rows = np.ascontiguousarray(values, "<f4")
    size = 4 * rows.shape[1]
    # All rows are of one length, and so have the same head.
    packed = _FIRST + _varint(size) if size else b""
    head = _FLOAT_LIST + _varint(len(packed) + size) + packed
    raw = rows.tobytes()
    return [head + raw[size * i : size * (i + 1)] for i in range(len(rows))]


def int_features(values: np.ndarray) -> list[Feature]:
    """Returns one feature per row.

    Args:
      values: Integers of shape (N, n).
    """
    if values.shape[1] == 1:
        return [_int_feature(value) for value in values[:, 0].tolist()]
    return [
        _of_list(_INT64_LIST, _delimited(_FIRST, b"".join(map(_varint, row))))
        if row
        else _of_list(_INT64_LIST, b"")
        for row in values.tolist()
    ]


def bytes_features(values: Sequence[Sequence[bytes]]) -> list[Feature]:
    """Returns one feature per row, of the row's values."""
    return [
        _of_list(_BYTES_LIST, b"".join(_delimited(_FIRST, value) for value in row))
        for row in values
    ]


def join(columns: Mapping[str, Sequence[Feature]], num_rows: int) -> list[bytes]:
    """Returns the rows as serialized tf.train.Examples.

    Args:
      columns: Features by name, N of each.
      num_rows: Number of rows N.
    """
    ordered = sorted((name.encode(), features) for name, features in columns.items())
    entries = [_entries(name, features) for name, features in ordered]
    rows = zip(*entries, strict=True) if entries else ((),) * num_rows
    return [_delimited(_FIRST, b"".join(row)) for row in rows]


def _entries(name: bytes, features: Sequence[Feature]) -> list[bytes]:
    """Returns the entry of each row in the map of features; empty where it has none."""
    key = _delimited(_FIRST, name)
    heads = {
        length: _head(key, length)
        for length in {len(feature) for feature in features if feature is not None}
    }
    return [
        b"" if feature is None else heads[len(feature)] + feature
        for feature in features
    ]


def _head(key: bytes, length: int) -> bytes:
    """Returns how an entry begins whose feature has so many bytes."""
    key_and_head = key + _SECOND + _varint(length)
    return _FIRST + _varint(len(key_and_head) + length) + key_and_head


@functools.lru_cache(maxsize=4096)
def _int_feature(value: int) -> bytes:
    return _of_list(_INT64_LIST, _delimited(_FIRST, _varint(value)))


def _of_list(tag: bytes, values: bytes) -> bytes:
    return _delimited(tag, values)


def _delimited(tag: bytes, content: bytes) -> bytes:
    return b"%b%b%b" % (tag, _varint(len(content)), content)


@functools.lru_cache(maxsize=65536)
def _varint(number: int) -> bytes:
    """Returns an int64 in base 128, the lowest digit first; two's complement."""
    number &= (1 << 64) - 1
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
