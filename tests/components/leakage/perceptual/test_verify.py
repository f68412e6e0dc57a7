# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from components.leakage.perceptual import thumbnail, verify


def _describe(pictures):
    return np.stack([thumbnail.describe(np.asarray(p)) for p in pictures])


@pytest.fixture(scope="module")
def described(tiles):
    return _describe(tiles)


@pytest.fixture(scope="module")
def turned(tiles):
    return _describe(
        Image.fromarray(tile).rotate(-6, Image.Resampling.BICUBIC) for tile in tiles
    )


def test_equal_pictures_are_wholly_similar(described):
    similarity, near = verify.verify(described, described, False)
    assert (similarity.dtype, near.dtype) == (np.float32, bool)
    assert near.all()
    assert similarity.min() > 0.99


def test_rotated_pictures_are_near_and_less_similar(described, turned):
    similarity, near = verify.verify(turned, described, False)
    assert near.mean() > 0.9
    assert ((similarity > 0.5) == near).all()
    assert similarity.max() < 0.999


def test_different_pictures_are_not_near(described):
    for shift in range(1, 6):
        _, near = verify.verify(np.roll(described, shift, 0), described, False)
        assert not near.any()


def test_mirrored_pictures_are_near_where_asked(tiles, described):
    flipped = _describe(tile[:, ::-1] for tile in tiles)
    assert verify.verify(flipped, described, True)[1].all()
    assert verify.verify(flipped, described, False)[1].mean() < 0.1


def _background(distance, vectors=1):
    """A background in which all pictures are that far from each other."""
    return verify.Background(
        np.zeros((vectors, 64), np.float32), np.full(vectors, distance, np.float32)
    )


def test_limit_falls_where_all_pictures_look_alike(described, turned):
    found = verify.distances(turned, described, False)
    limit = np.float32(np.median(found[found < 1]))
    typical = limit / verify.LIMIT_SHARE
    for background, expected in (
        (_background(typical * 1.001), found <= limit),
        (_background(typical * 0.999), found < limit),
    ):
        similarity, near = verify.verify(turned, described, False, background)
        np.testing.assert_array_equal(near, expected)
        np.testing.assert_array_equal(similarity > 0.5, near)


@pytest.mark.parametrize("distance", [None, 50.0, 1000.0])
def test_limit_never_rises(described, turned, distance):
    background = None if distance is None else _background(distance, vectors=9)
    _, near = verify.verify(turned, described, False, background)
    np.testing.assert_array_equal(near, verify.distances(turned, described, False) < 1)


def test_equal_pictures_are_near_however_alike_all_are(described):
    assert verify.verify(described, described, False, _background(0.0))[1].all()


def test_result_does_not_depend_on_the_batch(described, turned):
    together = verify.distances(turned, described, False)
    for at in range(0, len(described), 7):
        one = slice(at, at + 1)
        alone = verify.distances(turned[one], described[one], False)
        assert alone[0] == together[at]


def test_no_pairs_have_no_result():
    none = np.empty((0, thumbnail.LENGTH), np.uint8)
    assert [len(part) for part in verify.verify(none, none, False)] == [0, 0]


@pytest.mark.parametrize("count", [0, 1, 19])
def test_background_needs_pictures(described, count):
    assert verify.measure_background(described[:count], False) is None


def test_flat_pictures_are_no_background():
    flat = np.repeat(_describe([np.zeros((9, 9, 3), np.uint8)]), 50, axis=0)
    assert verify.measure_background(flat, False) is None


def test_different_photographs_leave_the_limit_as_it_is(described):
    background = verify.measure_background(described, False)
    assert np.median(background.distances) * verify.LIMIT_SHARE > 0.5
    assert len(background.vectors) == len(background.distances)


def test_copies_do_not_lower_the_limit(described):
    copied = verify.measure_background(np.repeat(described, 3, axis=0), False)
    assert np.median(copied.distances) * verify.LIMIT_SHARE > 0.5


def test_digits_lower_the_limit(digits):
    background = verify.measure_background(_describe(digits[:600]), False)
    assert np.median(background.distances) * verify.LIMIT_SHARE < 0.3
