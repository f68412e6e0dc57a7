# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage.perceptual import warps

ASPECTS = st.floats(0.3, 3)


def _inverse(warp):
    square = np.vstack([warp, [0, 0, 1]])
    return np.linalg.inv(square)[:2]


@given(ASPECTS)
def test_first_warp_changes_nothing(aspect):
    np.testing.assert_array_equal(warps.warps(aspect, False)[0], np.eye(3)[:2])


@given(ASPECTS)
def test_crops_are_undone_in_either_direction(aspect):
    found = warps.warps(aspect, False)
    crops = [warp for warp in found[1:] if warp[0, 1] == 0]
    assert crops
    for warp in crops:
        assert any(np.allclose(_inverse(warp), other) for other in crops)


@given(ASPECTS)
def test_rotation_in_an_unchanged_frame_keeps_lengths_in_pixels(aspect):
    size = np.array([aspect, 1])
    for warp in warps.warps(aspect, False):
        turn = warp[:, :2] * size[:, None] / size
        if warp[0, 1] and np.isclose(np.linalg.det(turn), 1):
            np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-12)


@given(ASPECTS)
def test_mirrored_doubles_the_warps_and_mirrors_them_left_to_right(aspect):
    plain, both = warps.warps(aspect, False), warps.warps(aspect, True)
    assert len(both) == 2 * len(plain)
    np.testing.assert_array_equal(both[: len(plain)], plain)
    np.testing.assert_array_equal(both[len(plain)], [[-1, 0, 0], [0, 1, 0]])


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=9))
def test_sampling_is_a_mean_even_outside_the_picture(points):
    matrix = warps.sampling(np.array(points), 5)
    assert matrix.shape == (len(points), 25)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_sampling_at_pixel_centres_returns_the_pixels():
    at = (np.arange(4) + 0.5) / 4 - 0.5
    x, y = np.meshgrid(at, at)
    matrix = warps.sampling(np.stack([x.ravel(), y.ravel()], axis=1), 4)
    np.testing.assert_allclose(matrix, np.eye(16), atol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_warps_are_slight(mirrored):
    sizes = np.abs(np.linalg.det(warps.warps(1.0, mirrored)[:, :, :2]))
    assert sizes.min() > 0.6
    assert sizes.max() < 1.6
