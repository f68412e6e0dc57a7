# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.leakage.perceptual import thumbnail


def _plain(height, width, colour=(200, 100, 50)):
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (900, 1), (8, 8), (31, 33), (640, 427), (2000, 3)]
)
def test_plain_picture_of_any_size_keeps_its_colour(size):
    descriptor = thumbnail.describe(_plain(*size))
    assert descriptor.shape == (thumbnail.LENGTH,)
    assert descriptor.dtype == np.uint8
    assert np.abs(thumbnail.rgb(descriptor[None])[0] - [200.0, 100.0, 50.0]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 32), (427, 640), (20000, 9)])
def test_size_is_known_to_five_percent(height, width):
    pixels = np.broadcast_to(np.uint8(0), (height, width, 3))
    size = thumbnail.sizes(thumbnail.describe(pixels)[None])[0]
    np.testing.assert_allclose(size, [width, height], rtol=0.05)


def test_half_size_has_nearly_the_same_thumbnail(tiles):
    for tile in tiles:
        half = tile.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
        whole, reduced = (
            thumbnail.rgb(thumbnail.describe(picture)[None]).astype(float)
            for picture in (tile, half)
        )
        assert np.abs(whole - reduced).mean() < 3


def test_brightness_is_that_of_jpeg():
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0]], np.uint8)
    descriptors = np.stack([thumbnail.describe(_plain(4, 4, c)) for c in colours])
    brightness = thumbnail.luma(descriptors)
    assert brightness.shape == (4, thumbnail.SIDE, thumbnail.SIDE)
    np.testing.assert_array_equal(brightness[:, 0, 0], [0, 255, 77, 149])


def test_no_descriptors_have_no_brightness():
    assert thumbnail.luma(np.empty((0, thumbnail.LENGTH), np.uint8)).shape[0] == 0


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_what_is_no_rgb_picture_is_refused(pixels):
    with pytest.raises(ValueError, match="decode the picture to RGB"):
        thumbnail.describe(pixels)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)])
def test_picture_without_pixels_is_refused(shape):
    with pytest.raises(ValueError, match="at least one pixel"):
        thumbnail.describe(np.zeros(shape, np.uint8))
