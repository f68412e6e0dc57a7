# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.leakage.perceptual import registration, thumbnail


@pytest.fixture(scope="module")
def greys(tiles):
    found = thumbnail.luma(np.stack([thumbnail.describe(tile) for tile in tiles]))
    return found.astype(np.float32)


def _warped(greys, warp):
    """Pictures that show at a point what `greys` show where the warp puts it."""
    warps = np.tile(np.float32(warp), (len(greys), 1, 1))
    points = registration.pixel_centres()
    values, _ = registration.sample(greys[..., None], warps, points)
    return values[..., 0].reshape(greys.shape)


@pytest.mark.parametrize(
    "warp",
    [
        [[1, 0, 0], [0, 1, 0]],
        # The greatest that the grid of starts leaves.
        [[1, 0, 0.02], [0, 1, -0.01]],
        [[0.95, 0, 0.01], [0, 1.04, 0]],
        [[0.998, -0.05, 0], [0.05, 0.998, 0]],
    ],
)
@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (0.6, 40)])
def test_warp_is_found_whatever_the_brightness(greys, warp, gain, offset):
    reference = _warped(greys, warp)
    starts = np.tile(np.eye(3, dtype=np.float32)[:2], (len(greys), 1, 1, 1))
    found = registration.register(gain * greys + offset, reference, starts)
    # In pixels, at the corners of the thumbnail.
    error = np.abs(found - np.float32(warp)).sum(axis=(1, 2)) * thumbnail.SIDE / 2
    assert np.median(error) < 0.2
    assert (error < 1).mean() > 0.9


def test_best_start_wins(greys):
    far = np.float32([[0.8, -0.3, 0.1], [0.3, 0.8, 0.1]])
    near = np.float32([[1, 0, 0.01], [0, 1, 0]])
    starts = np.tile(np.stack([far, near]), (len(greys), 1, 1, 1))
    found = registration.register(greys, greys, starts)
    assert np.median(np.abs(found - np.eye(3)[:2]).max(axis=(1, 2))) < 0.01


def test_flat_pictures_stay_where_they_start():
    flat = np.full((2, 32, 32), 7, np.float32)
    starts = np.tile(np.eye(3, dtype=np.float32)[:2], (2, 1, 1, 1))
    np.testing.assert_allclose(registration.register(flat, flat, starts), starts[:, 0])


def test_points_beyond_the_edge_are_not_inside():
    picture = np.zeros((1, 32, 32, 1), np.float32)
    shifted = np.float32([[[1, 0, 0.5], [0, 1, 0]]])
    points = registration.pixel_centres()
    _, inside = registration.sample(picture, shifted, points)
    assert (points[inside[0], 0] < 0).all()
    assert inside.any()
