# SPDX-License-Identifier: Apache-2.0
"""One array of a model's inputs as features of tf.Examples, and back."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.judging.data import pixels, wire
from components.judging.data.pixels import Levels

Kind = Literal["float", "int", "text", "picture"]

MAX_COLUMNS = 256
"""Columns up to which each is a feature of its own, so that each is judged; a wider
array is one feature. TFDV takes some 10 ms for each feature."""
_DTYPES = {
    "float": tf.float32,
    "int": tf.int64,
    "text": tf.string,
    "picture": tf.string,
}


@dataclasses.dataclass(frozen=True)
class Leaf:
    """How the rows of one array are stored.

    Attributes:
      features: Names of its features: one for each column, or a single one.
      shape: Shape of a row.
      kind: What the features hold.
      dtype: What the model is given.
      levels: What the bytes of a picture stand for.
    """

    features: tuple[str, ...]
    shape: tuple[int, ...]
    kind: Kind
    dtype: np.dtype
    levels: Levels | None = None

    def given(self, rows: np.ndarray) -> np.ndarray:
        """Returns rows as the model is given them: fractions as float32, as Keras."""
        if self.kind == "text":
            return _texts(rows)
        return rows.astype(self.dtype, copy=False)

    def encode(self, rows: np.ndarray) -> dict[str, list[wire.Feature]]:
        """Returns the features of some rows, shape (N, ...).

        Raises:
          OffLevelsError: If a number of a picture stands for no byte.
        """
        if self.kind == "picture" and self.levels is not None:
            stored = self.levels.to_bytes(rows)
            pngs = [[pixels.encode_png(picture)] for picture in stored]
            return {self.features[0]: wire.bytes_features(pngs)}
        columns = rows.reshape(len(rows), math.prod(self.shape))
        size = columns.shape[1] // len(self.features)
        return {
            name: self._encode_columns(columns[:, size * i : size * (i + 1)])
            for i, name in enumerate(self.features)
        }

    @property
    def parsing_spec(self) -> dict[str, tf.io.FixedLenFeature]:
        """What `tf.io.parse_example` needs to know."""
        size = math.prod(self.shape) // len(self.features)
        shape = [] if self.kind == "picture" else [size]
        return {
            name: tf.io.FixedLenFeature(shape, _DTYPES[self.kind])
            for name in self.features
        }

    def decode(self, parsed: Mapping[str, tf.Tensor]) -> np.ndarray:
        """Returns rows as the model is given them, shape (N, *shape).

        Args:
          parsed: What `tf.io.parse_example` returns for `parsing_spec`.
        """
        if self.kind == "picture" and self.levels is not None:
            pictures = [
                self._decode_png(encoded)
                for encoded in parsed[self.features[0]].numpy().tolist()
            ]
            return np.stack(pictures) if pictures else self._empty()
        columns = np.concatenate([parsed[name].numpy() for name in self.features], 1)
        return self.given(columns.reshape(len(columns), *self.shape))

    def _encode_columns(self, columns: np.ndarray) -> list[wire.Feature]:
        if self.kind == "float":
            return wire.float_features(columns)
        if self.kind == "int":
            return wire.int_features(columns)
        return wire.bytes_features(
            [[as_bytes(value) for value in row] for row in columns.tolist()]
        )

    def _decode_png(self, encoded: bytes) -> np.ndarray:
        channels = self.shape[2] if len(self.shape) == 3 else 1
        # Changed pictures may come as JPEG, or in colour.
        stored = tf.io.decode_image(encoded, channels=channels).numpy()
        numbers = self.levels.values[stored.reshape(self.shape)]  # type: ignore[union-attr]
        return numbers.astype(self.dtype)

    def _empty(self) -> np.ndarray:
        return np.zeros((0, *self.shape), self.dtype)


def make_leaf(
    name: str,
    row: np.ndarray,
    columns: Sequence[str],
    levels: Levels | None,
    where: str,
) -> Leaf:
    """Decides how the rows of an array are stored.

    Args:
      name: Name of the array; empty where it is the only one.
      row: Some rows, shape (n, ...).
      columns: Names of its columns, where these are known.
      levels: Levels of its numbers, where these are pictures.
      where: What messages call the array.

    Raises:
      InputError: If its values are neither numbers nor texts.
    """
    shape, dtype = row.shape[1:], row.dtype
    kind = _kind(dtype, where)
    given = np.dtype(np.float32) if kind == "float" else dtype
    if kind == "text":
        given = np.dtype(object)
    if levels is not None:
        return Leaf((name or "image",), shape, "picture", given, levels)
    return Leaf(_feature_names(name, shape, columns), shape, kind, given)


def as_bytes(value: Any) -> bytes:
    """Returns a text as it is stored."""
    return value if isinstance(value, bytes) else str(value).encode()


def _kind(dtype: np.dtype, where: str) -> Kind:
    kinds: dict[str, Kind] = {
        **dict.fromkeys("f", "float"),
        **dict.fromkeys("biu", "int"),
        **dict.fromkeys("OSU", "text"),
    }
    if dtype.kind not in kinds:
        raise InputError(
            f"{where}: expected numbers or texts, but the array is of type {dtype}; "
            "turn dates and other values into numbers"
        )
    return kinds[dtype.kind]


def _feature_names(
    name: str, shape: tuple[int, ...], columns: Sequence[str]
) -> tuple[str, ...]:
    size = math.prod(shape)
    if not 1 < size <= MAX_COLUMNS or len(shape) != 1:
        return (columns[0] if len(columns) == 1 else name or "x",)
    if len(set(columns)) == size:
        return tuple(f"{name} {each}".strip() for each in columns)
    return tuple(f"{name} column {i}".strip() for i in range(size))


def _texts(rows: np.ndarray) -> np.ndarray:
    """Returns texts as Keras' layers take them: str objects, or bytes that are none."""
    flat = [_text(value) for value in rows.ravel().tolist()]
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(rows.shape)


def _text(value: Any) -> str | bytes:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
