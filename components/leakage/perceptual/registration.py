# SPDX-License-Identifier: Apache-2.0
"""Lays one thumbnail over another: the affine warp with the least squared difference.

Inverse compositional alignment (Baker and Matthews, 2004) of all pairs of a batch at
once; gain and offset of the brightness are fitted along the way. Each pair is worked
on by operations of its own, so that its result does not depend on its batch.
"""

import functools
from typing import NamedTuple

import numpy as np

from components.leakage.perceptual import thumbnail

_SIDE = thumbnail.SIDE
_STEPS = (2, 5)  # In the middle from each start, then on the whole from the best one.
_MIDDLE = 0.4  # Half the part of a side that the first steps look at.
_MARGIN = 2.5  # Pixels at an edge that what lies beyond it has bled into, all told.
_RIDGE = 1e-3  # Share of the mean curvature that is added to each direction.
_MAX_STEP = 0.05  # Shares of a side that a step may move a corner of the picture by.
_OUTLIER = 3.0  # Standard deviations of the middle's residual; Cauchy's weight is half.


class _Part(NamedTuple):
    """Pixels that are compared: their numbers (k,), and places float32 (k, 2)."""

    pixels: np.ndarray
    points: np.ndarray


def pixel_centres() -> np.ndarray:
    """Centres of the pixels of a thumbnail, x and y from -0.5 to 0.5: (1024, 2)."""
    at = (np.arange(_SIDE, dtype=np.float32) + 0.5) / _SIDE - 0.5
    x, y = np.meshgrid(at, at)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def interior(points: np.ndarray) -> np.ndarray:
    """Whether points (..., 2) lie in a picture, and not at its edge: bool (...)."""
    return (np.abs(points) <= 0.5 - _MARGIN / _SIDE).all(axis=-1)


def sample(
    pictures: np.ndarray, warps: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Samples pictures where a warp puts points of another one.

    Args:
        pictures: float32 (m, 32, 32, c).
        warps: float32 (m, 2, 3).
        points: float32 (k, 2).

    Returns:
        float32 (m, k, c), bilinear, and bool (m, k): whether a point lies in the
        picture, and not at its edge.
    """
    where = points[:, 0] * warps[:, :, :1] + points[:, 1] * warps[:, :, 1:2]
    where += warps[:, :, 2:]  # (m, 2, k)
    inside = interior(np.swapaxes(where, 1, 2))
    where = np.clip((where + 0.5) * _SIDE - 0.5, 0, _SIDE - 1)
    low = np.minimum(where.astype(np.int32), _SIDE - 2)
    x, y = np.moveaxis(where - low, 1, 0)[..., None]
    corner = low[:, 1] * _SIDE + low[:, 0]
    corner += (np.arange(len(pictures), dtype=np.int32) * _SIDE**2)[:, None]
    flat = pictures.reshape(-1, pictures.shape[-1])
    top = flat.take(corner, axis=0)
    top += x * (flat.take(corner + 1, axis=0) - top)
    bottom = flat.take(corner + _SIDE, axis=0)
    bottom += x * (flat.take(corner + _SIDE + 1, axis=0) - bottom)
    top += y * (bottom - top)
    return top, inside


def register(
    query: np.ndarray, reference: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Refines warps until the query pictures lie over the reference pictures.

    Args:
        query: Brightness, float32 (m, 32, 32).
        reference: Likewise.
        starts: float32 (m, k, 2, 3), k warps to start from for each pair.

    Returns:
        float32 (m, 2, 3): where in the query a point of the reference lies.
    """
    m, num_starts = starts.shape[:2]
    steepest = _steepest(reference)
    target = reference.reshape(m, -1)
    middle, whole = _parts()
    inner = (np.abs(whole.points) < _MIDDLE).all(axis=1)

    def look(warps: np.ndarray, part: _Part) -> tuple[np.ndarray, np.ndarray]:
        values, inside = sample(query[..., None], warps, part.points)
        weight = inside.astype(np.float32)
        aim = target[:, part.pixels]
        return _fit_tone(values[..., 0], aim, weight) - aim, weight

    found = []
    for i in range(num_starts):
        warps = starts[:, i]
        for _ in range(_STEPS[0]):
            error, weight = look(warps, middle)
            warps = _step(warps, steepest[..., middle.pixels], error, weight)
        error, weight = look(warps, whole)
        # The exponent, so that a warp does not win by comparing fewer pixels.
        cost = (error**2 * weight).sum(axis=1) / (weight.sum(axis=1) + 1) ** 1.5
        found.append((cost, warps))
    costs, candidates = (np.stack(column) for column in zip(*found, strict=True))
    warps = candidates[costs.argmin(axis=0), np.arange(m)]
    steepest = steepest[..., whole.pixels]
    for _ in range(_STEPS[1]):
        error, weight = look(warps, whole)
        sure = weight * inner
        spread = (error**2 * sure).sum(axis=1) / (sure.sum(axis=1) + 1e-6) + 1
        # What a rotation filled in is no part of the picture, and very different.
        weight /= 1 + error**2 / (_OUTLIER**2 * spread)[:, None]
        warps = _step(warps, steepest, error, weight)
    return warps


def _steepest(reference: np.ndarray) -> np.ndarray:
    """Change of each pixel with each number of the warp: float32 (m, 6, 1024)."""
    down, right = np.gradient(reference, axis=(1, 2))
    slopes = np.stack([right, down], axis=1).reshape(len(reference), 2, 1, -1) * _SIDE
    basis = np.concatenate([pixel_centres().T, np.ones((1, _SIDE**2), np.float32)])
    return (slopes * basis).reshape(len(reference), 6, -1)


def _step(
    warps: np.ndarray, steepest: np.ndarray, error: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """One Gauss-Newton step."""
    weighted = steepest * weight[:, None]
    curvature = np.matmul(weighted, np.swapaxes(steepest, 1, 2))
    slope = np.matmul(weighted, error[..., None])
    size = np.trace(curvature, axis1=1, axis2=2) / 6
    curvature += np.eye(6, dtype=np.float32) * (_RIDGE * size + 1e-3)[:, None, None]
    step = np.linalg.solve(curvature, slope).reshape(-1, 2, 3)
    length = np.abs(step).sum(axis=(1, 2), keepdims=True)
    change = np.tile(np.eye(3, dtype=np.float32), (len(step), 1, 1))
    change[:, :2] += step * np.minimum(1, _MAX_STEP / (length + 1e-9))
    return np.matmul(warps, np.linalg.inv(change))


def _fit_tone(values: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fits gain and offset of values (m, k) to a target: the fitted values."""
    total = weight.sum(axis=1, keepdims=True) + 1e-6
    mean = (target * weight).sum(axis=1, keepdims=True) / total
    values = values - (values * weight).sum(axis=1, keepdims=True) / total
    weighted = values * weight
    gain = (weighted * (target - mean)).sum(axis=1, keepdims=True) / (
        (weighted * values).sum(axis=1, keepdims=True) + 1e-3
    )
    return gain * values + mean


@functools.lru_cache(maxsize=1)
def _parts() -> tuple[_Part, _Part]:
    """Every other pixel, as on a chessboard, of the middle and of the interior."""
    points = pixel_centres()
    number = np.arange(len(points))
    black = (number + number // _SIDE) % 2 == 0
    middle = np.flatnonzero(black & (np.abs(points) < _MIDDLE).all(axis=1))
    whole = np.flatnonzero(black & interior(points))
    return _Part(middle, points[middle]), _Part(whole, points[whole])
