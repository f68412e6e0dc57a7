# SPDX-License-Identifier: Apache-2.0
"""Shrinks a picture to the few bytes that it is compared by."""

import numpy as np
from PIL import Image

SIDE = 32
"""Pixels of a thumbnail in each direction, whatever the aspect of the picture."""
_PIXELS = SIDE * SIDE * 3
LENGTH = _PIXELS + 2
"""Bytes of a descriptor: the thumbnail, then width and height."""
_MIN_ROWS = 4 * SIDE  # Rows that are averaged: at least four for each of ours.
_LUMA = (77, 150, 29)  # ITU-R BT.601, as in JPEG, in 256ths.


def describe(pixels: np.ndarray) -> np.ndarray:
    """Shrinks one picture.

    Args:
        pixels: uint8 (height, width, 3), red, green, blue; at least one pixel.

    Returns:
        uint8 (3074,): a thumbnail of 32 x 32 pixels, red, green, blue, then width
        and height as 8 times their binary logarithm.

    Raises:
        ValueError: `pixels` has another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(
            "`pixels` must be uint8 (height, width, 3), but came as "
            f"{pixels.dtype} {pixels.shape}; decode the picture to RGB"
        )
    height, width = pixels.shape[:2]
    if not height or not width:
        raise ValueError(
            f"`pixels` must hold at least one pixel, but came as {pixels.shape}; "
            "leave empty pictures out"
        )
    # Of a large picture every k-th row is enough: a row of the thumbnail is still
    # the mean of four rows or more, each over its whole width.
    pixels = np.ascontiguousarray(pixels[:: max(1, height // _MIN_ROWS)])
    small = Image.fromarray(pixels).resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=1.5
    )
    descriptor = np.empty(LENGTH, np.uint8)
    descriptor[:_PIXELS] = np.frombuffer(small.tobytes(), np.uint8)
    descriptor[-2:] = np.minimum(255, np.round(8 * np.log2([width, height])))
    return descriptor


def rgb(descriptors: np.ndarray) -> np.ndarray:
    """Thumbnails of descriptors (n, 3074): uint8 (n, 32, 32, 3)."""
    return descriptors[:, :_PIXELS].reshape(-1, SIDE, SIDE, 3)


def luma(descriptors: np.ndarray) -> np.ndarray:
    """Brightness of descriptors (n, 3074): int16 (n, 32, 32), 0 to 255."""
    channels = rgb(descriptors).astype(np.uint16)
    total = sum(channels[..., i] * np.uint16(weight) for i, weight in enumerate(_LUMA))
    return ((total + np.uint16(128)) >> np.uint16(8)).astype(np.int16)


def sizes(descriptors: np.ndarray) -> np.ndarray:
    """Width and height of descriptors in pixels, to 4.5 %: float32 (n, 2)."""
    return np.exp2(descriptors[:, -2:].astype(np.float32) / 8)
