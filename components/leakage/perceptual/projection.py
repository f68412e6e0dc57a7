# SPDX-License-Identifier: Apache-2.0
"""Projects the middle of thumbnails, under many warps at once.

The projections are random rotations of the low frequencies of the DCT. Warping, DCT
and rotation are linear, so all of them for all warps are one matrix product. Its
numbers are integers below 2^24 and its sums exact: the values of a picture depend
neither on the batch it is in nor on the library that multiplies.
"""

import functools

import numpy as np

from components.leakage.perceptual import thumbnail, warps

WORDS = 2
"""Sets of projections: of the lowest frequencies, which are the surest to survive,
and of more of them, by which better candidates are told from worse."""
BITS = 64
"""Projections of a set."""
WINDOW = 0.72
"""Share of a side that is hashed; the rest may be cropped off or rotated away."""
_MAX_FREQUENCY = (3.7, 6.3)  # Half-cycles per window, of either set.
_FLATTEN = 0.5  # Power of the frequency that a coefficient is multiplied by.
_SAMPLES = 16  # Points in each direction of the window.
_SIDE = thumbnail.SIDE // 2  # Pixels that the window is sampled from.
_ASPECT_STEP = 0.25  # In binary logarithms.
_MAX_ASPECT = 1.5
_EXACT = 2**24  # Below it, float32 holds every integer.
_MAX_INPUT = 2 * 255


def inputs(descriptors: np.ndarray) -> np.ndarray:
    """Doubled brightness of descriptors (n, 3074), less its mean: float32 (n, 256).

    The thumbnails are halved to 16 x 16 pixels; the values are integers from -510 to
    510.
    """
    values = thumbnail.luma(descriptors)
    half = values.reshape(-1, _SIDE, 2, _SIDE, 2).sum(axis=(2, 4), dtype=np.int32)
    half = (half.reshape(-1, _SIDE * _SIDE) + 1) >> 1
    half -= half.sum(axis=1, keepdims=True) // half.shape[1]
    return half.astype(np.float32)


def project(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Projects inputs (n, 256) by a matrix (w, s, 64, 256): int32 (n, w, s, 64)."""
    found = values @ matrix.reshape(-1, matrix.shape[-1]).T
    return found.astype(np.int32).reshape(len(values), *matrix.shape[:-1])


def contrast(values: np.ndarray) -> np.ndarray:
    """Root mean square of the lowest frequencies in grey levels, of (..., 2, 64)."""
    power = (values[..., 0, :].astype(np.int64) ** 2).sum(axis=-1) / BITS
    unit = 2 * _scale() * _SAMPLES / len(_orders(0)) ** 0.5
    return np.sqrt(power) / unit


def aspect_classes(descriptors: np.ndarray) -> np.ndarray:
    """Binary logarithm of width over height, rounded to quarters: float32 (n,)."""
    size = thumbnail.sizes(descriptors)
    aspect = np.log2(size[:, 0] / size[:, 1])
    rounded = np.round(aspect / _ASPECT_STEP) * _ASPECT_STEP
    return np.clip(rounded, -_MAX_ASPECT, _MAX_ASPECT)


@functools.lru_cache(maxsize=2)
def reference_matrix(first: int = 0) -> np.ndarray:
    """Projections of pictures as they are: float32 (1, 2, 64, 256).

    Args:
        first: 1 for the second set of projections only.
    """
    if first:
        return np.ascontiguousarray(reference_matrix()[:, first:])
    return _matrix(warps.warps(1.0, False)[:1])


@functools.lru_cache(maxsize=64)
def query_matrix(aspect_class: float, mirrored: bool, first: int = 0) -> np.ndarray:
    """Projections of pictures with their warps undone: float32 (w, 2, 64, 256)."""
    if first:
        return np.ascontiguousarray(query_matrix(aspect_class, mirrored)[:, first:])
    return _matrix(warps.warps(2.0**aspect_class, mirrored))


def _matrix(maps: np.ndarray) -> np.ndarray:
    at = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5) * WINDOW
    x, y = np.meshgrid(at, at)
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    where = np.moveaxis(maps @ points, 1, 2)
    weights = _projections() @ warps.sampling(where, _SIDE)
    rounded = np.round(weights * _scale()).astype(np.float32)
    return rounded.reshape(len(maps), WORDS, BITS, -1)


@functools.lru_cache(maxsize=1)
def _scale() -> float:
    # Sampling is a mean of pixels, so no warp makes the absolute sum of a row larger.
    largest = float(np.abs(_projections()).sum(axis=1).max())
    return 0.98 * _EXACT / _MAX_INPUT / largest


@functools.lru_cache(maxsize=1)
def _projections() -> np.ndarray:
    """Rotated DCT coefficients of the samples of a window: float64 (128, 256)."""
    at = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    cosines = np.cos(np.pi * np.outer(np.arange(_SAMPLES), at))
    cosines /= np.linalg.norm(cosines, axis=1, keepdims=True)
    # The seed is part of the hash: another one makes other keys, none better.
    rng = np.random.Generator(np.random.PCG64(1))
    found = []
    for word in range(WORDS):
        orders = _orders(word)
        basis = np.stack(
            [
                np.outer(cosines[v], cosines[u]).ravel() * np.hypot(u, v) ** _FLATTEN
                for u, v in orders
            ]
        )
        turns = [
            np.linalg.qr(rng.standard_normal((len(orders), len(orders))))[0]
            for _ in range(-(-BITS // len(orders)))
        ]
        found.append(np.concatenate(turns)[:BITS] @ basis)
    return np.concatenate(found)


def _orders(word: int) -> list[tuple[int, int]]:
    """Frequencies of a set, without the mean: 14 and 37 of them."""
    both = [(u, v) for u in range(_SAMPLES) for v in range(_SAMPLES)]
    return [order for order in both if 0 < np.hypot(*order) <= _MAX_FREQUENCY[word]]
