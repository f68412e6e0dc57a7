# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.leakage.perceptual import residual, thumbnail


@pytest.fixture(scope="module")
def colours(tiles):
    found = thumbnail.rgb(np.stack([thumbnail.describe(tile) for tile in tiles]))
    return found.astype(np.float32)


def _distance(query, reference):
    unchanged = np.tile(np.eye(3, dtype=np.float32)[:2], (len(query), 1, 1))
    return residual.distance(query, reference, unchanged)


def test_equal_pictures_are_at_no_distance(colours):
    assert _distance(colours, colours).max() < 1e-3


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (0.7, 60), (0.9, -20)])
def test_brightness_and_contrast_do_not_matter(colours, gain, offset):
    changed = np.clip(gain * colours + offset, 0, 255)
    assert np.median(_distance(changed, colours)) < 0.05
    assert np.median(_distance(colours, changed)) < 0.05


def test_clipped_pixels_tell_only_that_the_other_is_as_bright(colours):
    clipped = np.clip(1.5 * colours, 0, 255)
    partly = (clipped == 255).any(axis=3).mean(axis=(1, 2))
    some = (partly > 0.02) & (partly < 0.4)
    assert some.any()
    assert (_distance(clipped[some], colours[some]) < 1).all()


def test_different_pictures_are_far(colours):
    assert _distance(np.roll(colours, 1, axis=0), colours).min() > 2


def test_negative_is_far(colours):
    assert _distance(255 - colours, colours).min() > 5


def test_other_colours_are_far(colours):
    vivid = colours.std(axis=3).mean(axis=(1, 2)) > 20
    assert vivid.any()
    assert _distance(colours[vivid][..., ::-1], colours[vivid]).min() > 1


def test_local_difference_counts_however_alike_the_rest_is():
    frame = np.full((1, 32, 32, 3), 255, np.float32)
    frame[:, 4:28, 4:28] = 40
    changed = frame.copy()
    changed[:, 13:19, 13:19] = 255
    assert _distance(frame, frame)[0] == 0
    assert _distance(changed, frame)[0] > 1


def test_flat_pictures_tell_nothing():
    flat = np.full((1, 32, 32, 3), 90, np.float32)
    assert _distance(flat, flat)[0] == 1000


@pytest.mark.parametrize(("shift", "compared"), [(0.4, True), (0.7, False)])
def test_pictures_that_hardly_overlap_tell_nothing(colours, shift, compared):
    beside = np.tile(np.float32([[1, 0, shift], [0, 1, 0]]), (len(colours), 1, 1))
    found = residual.distance(colours, colours, beside)
    assert (found < 1000).any() == compared


def test_no_pictures_have_no_distance():
    none = np.empty((0, 32, 32, 3), np.float32)
    assert _distance(none, none).shape == (0,)
