# SPDX-License-Identifier: Apache-2.0
"""Tells arrays of pictures from others, and stores them as pictures without loss.

As a PNG a picture is one for the data guards, which find the same picture again, and
for harmless changes, which turn up its brightness. That needs numbers that stand for
bytes: 0 to 255, 0/255 to 255/255, -1 to 1, or any other evenly spaced levels.
"""

import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

_LEVELS = 256
_TOLERANCE = 1e-3
"""Share of a step by which a number may miss its level. Dividing by 255 in float32
misses by 1e-5; numbers that are no levels miss by a quarter on average."""
_COMMON = ((0.0, 1.0), (0.0, 1 / 255), (-1.0, 2 / 255))
"""Offset and step of bytes as they are, and scaled to 0..1 and -1..1."""
_LOOKED_AT = 1 << 20
"""Numbers from which uncommon levels are told."""
_PNG_LEVEL = 1
"""zlib's level: a quarter of the time of Pillow's 6."""


class OffLevelsError(ValueError):
    """A number that stands for no level."""


@dataclasses.dataclass(frozen=True)
class Levels:
    """How the numbers of pictures stand for bytes.

    Attributes:
      offset: Number that stands for byte 0.
      step: Difference between levels; they are `offset + step * k`.
      stretch: Bytes between levels: pictures with few levels are stretched over the
        whole range, so that a byte is as little as in others.
      values: The number of each byte, float32 of shape (256,). Between levels, where
        changed pictures lie, it is interpolated.
    """

    offset: float
    step: float
    stretch: int
    values: np.ndarray

    def to_bytes(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the byte of each number, uint8 of the same shape.

        Raises:
          OffLevelsError: If a number stands for none.
        """
        indices = _indices(numbers, self.offset, self.step)
        if indices is None or indices.max(initial=0) * self.stretch >= _LEVELS:
            raise OffLevelsError
        return (indices * self.stretch).astype(np.uint8)


def may_be_pictures(shape: Sequence[int], dtype: np.dtype) -> bool:
    """Whether rows of this shape and type may be pictures.

    (height, width, 1 or 3) of any numbers; (height, width) of bytes only, since
    sequences have that shape as well.
    """
    if len(shape) == 3:
        is_picture = shape[2] in (1, 3) and dtype.kind in "iuf"
    else:
        is_picture = len(shape) == 2 and dtype == np.uint8
    return is_picture and min(shape[:2]) > 1


class LevelFinder:
    """Tells which levels the numbers of pictures stand for.

    All of them must: where one split is scaled unlike the other, its numbers are no
    levels of the other's, and the pictures stay numbers, whose skew shows.
    """

    def __init__(self) -> None:
        self._candidates: dict[tuple[float, float], _Occurring] | None = None

    def add(self, numbers: np.ndarray) -> None:
        """Looks at some numbers, of any shape."""
        if not numbers.size:
            return
        if self._candidates is None:
            spaced = _evenly_spaced(numbers.ravel()[:_LOOKED_AT])
            self._candidates = {each: _Occurring() for each in (*_COMMON, *spaced)}
        for levels, occurring in list(self._candidates.items()):
            indices = _indices(numbers, *levels)
            if indices is None:
                del self._candidates[levels]
            else:
                occurring.add(indices, numbers)

    @property
    def levels(self) -> Levels | None:
        """The levels; None if the numbers stand for none, or there were none."""
        for (offset, step), occurring in (self._candidates or {}).items():
            return occurring.levels(offset, step)
        return None


def encode_png(picture: np.ndarray) -> bytes:
    """Encodes bytes of shape (height, width), with 1 or 3 channels behind or none."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()


class _Occurring:
    """The levels that occur, and the very numbers that stand for them."""

    def __init__(self) -> None:
        self._values = np.full(_LEVELS, np.nan, np.float32)

    def add(self, indices: np.ndarray, numbers: np.ndarray) -> None:
        self._values[indices.ravel()] = numbers.ravel()

    def levels(self, offset: float, step: float) -> Levels:
        found = np.flatnonzero(~np.isnan(self._values))
        stretch = (_LEVELS - 1) // max(int(found.max()), 1)
        values = (offset + step * np.arange(_LEVELS) / stretch).astype(np.float32)
        values[found * stretch] = self._values[found]
        return Levels(offset, step, stretch, values)


def _indices(numbers: np.ndarray, offset: float, step: float) -> np.ndarray | None:
    """Returns the number of each one's level, intp; None if one stands for none."""
    scaled = (numbers.astype(np.float64) - offset) / step
    indices = np.rint(scaled)
    with np.errstate(invalid="ignore"):
        fits = (
            (indices >= 0)
            & (indices < _LEVELS)
            & (np.abs(scaled - indices) <= _TOLERANCE)
        )
    return indices.astype(np.intp) if fits.all() else None


def _evenly_spaced(numbers: np.ndarray) -> list[tuple[float, float]]:
    """Returns offset and step of the levels that some numbers have, if they do."""
    distinct = np.unique(numbers.astype(np.float64))
    if not 2 <= len(distinct) <= _LEVELS or not np.isfinite(distinct).all():
        return []
    span = distinct[-1] - distinct[0]
    # The difference of two float32 is not exact; over the whole span it matters less.
    steps = np.rint(span / np.diff(distinct).min())
    return [(float(distinct[0]), float(span / steps))]
