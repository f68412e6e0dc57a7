# SPDX-License-Identifier: Apache-2.0
"""The small changes of geometry under which a picture is looked for again.

Coordinates run from -0.5 to 0.5 over the width and the height of a picture. A warp,
float64 (2, 3), says where in the other picture a point of the reference picture lies.
"""

import math

import numpy as np

# Where a grid of warps is dense enough was swept on nine sets of real pictures (about
# 1000 photographs, tiles, cliparts, flags, screenshots; 30 transforms): the median of
# the cosine between the hashed vectors of a picture and of its best undone transform
# was 0.99, its tenth percentile 0.96. Finer grids gained less than more keys did.
_ONE_EDGE = 0.085  # Share of a side that a crop at one edge takes away.
_CORNER = 0.095  # Likewise of both sides, of a crop at a corner.
_BOTH_SIDES = (0.045, 0.09)  # Shares that crops at both edges take away at each.
_ANGLES = ((3.3, "n"), (6.0, "ei"), (8.3, "n"), (9.5, "ei"))
# Degrees, and what becomes of the frame: not changed, extended, inscribed.


def warps(aspect: float, mirrored: bool) -> np.ndarray:
    """Lists the warps that are undone: crops, rotations and their inverses.

    Args:
        aspect: Width over height of the picture that may be transformed.
        mirrored: Whether each warp is also tried on the mirrored picture.

    Returns:
        float64 (w, 2, 3), the identity first.
    """
    found = [_scaled(1, 1)]
    edges, corners = (
        [(1 / (1 - share), sign * share / 2 / (1 - share)) for sign in (-1, 1)]
        for share in (_ONE_EDGE, _CORNER)
    )
    both = [(1 / (1 - 2 * share), 0.0) for share in _BOTH_SIDES]
    kept = (1.0, 0.0)
    crops = [(edge, kept) for edge in edges] + [(kept, edge) for edge in edges]
    crops += [(x, y) for x in corners for y in corners]
    crops += [(both[1], kept), (kept, both[1]), (both[1], both[1]), (both[0], both[0])]
    for (scale_x, shift_x), (scale_y, shift_y) in crops:
        found.append(_scaled(scale_x, scale_y, shift_x, shift_y))
        # The reference picture may be the cropped one.
        found.append(
            _scaled(1 / scale_x, 1 / scale_y, -shift_x / scale_x, -shift_y / scale_y)
        )
    for degrees, frames in _ANGLES:
        for angle in (-math.radians(degrees), math.radians(degrees)):
            cos, sin = math.cos(angle), math.sin(angle)
            wide = aspect / (aspect * cos + abs(sin))
            high = 1 / (aspect * abs(sin) + cos)
            turn = np.array([[cos, -sin / aspect, 0], [sin * aspect, cos, 0]])
            for frame in frames:
                scale = {"n": (1, 1), "e": (wide, high), "i": (1 / wide, 1 / high)}
                found.append(np.array(scale[frame])[:, None] * turn)
    result = np.stack(found)
    if not mirrored:
        return result
    return np.concatenate([result, result * np.array([[[-1.0], [1.0]]])])


def _scaled(
    scale_x: float, scale_y: float, shift_x: float = 0, shift_y: float = 0
) -> np.ndarray:
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]], float)


def sampling(points: np.ndarray, side: int) -> np.ndarray:
    """Bilinear sampling of a picture of `side` x `side` pixels as a matrix.

    Args:
        points: (..., k, 2), x and y; outside the picture its edge is continued.
        side: Pixels of the picture in each direction, two or more.

    Returns:
        float64 (..., k, side * side), rows that sum to 1.
    """
    where = np.clip((points + 0.5) * side - 0.5, 0, side - 1)
    at = np.arange(side)
    # A hat function in each direction is bilinear interpolation.
    x = np.maximum(0, 1 - np.abs(where[..., 0, None] - at))
    y = np.maximum(0, 1 - np.abs(where[..., 1, None] - at))
    matrix = y[..., :, None] * x[..., None, :]
    return matrix.reshape(*matrix.shape[:-2], side * side)
