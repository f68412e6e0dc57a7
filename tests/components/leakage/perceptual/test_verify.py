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


def test_limit_falls_where_all_pictures_look_alike(described, turned):
    found = verify.distances(turned, described, False)
    middle = float(np.median(found))
    # At exactly that distance a pair is not near; just above it, it is.
    limit = middle / verify.TYPICAL_SHARE
    for typical, expected in (
        (limit, found < middle),
        (limit * 1.001, found <= middle),
    ):
        _, near = verify.verify(turned, described, False, typical)
        np.testing.assert_array_equal(near, expected)


@pytest.mark.parametrize("typical", [None, 5.0, 1000.0])
def test_limit_never_rises(described, turned, typical):
    _, near = verify.verify(turned, described, False, typical)
    np.testing.assert_array_equal(near, verify.distances(turned, described, False) < 1)


def test_result_does_not_depend_on_the_batch(described, turned):
    together = verify.distances(turned, described, False)
    for at in range(0, len(described), 7):
        one = slice(at, at + 1)
        alone = verify.distances(turned[one], described[one], False)
        assert alone[0] == together[at]


def test_no_pairs_have_no_result():
    none = np.empty((0, thumbnail.LENGTH), np.uint8)
    assert [len(part) for part in verify.verify(none, none, False)] == [0, 0]


def test_typical_distance_needs_pictures(described):
    none = described[:0]
    flat = np.repeat(_describe([np.zeros((9, 9, 3), np.uint8)]), 50, axis=0)
    assert verify.typical_distance(none, none, False) is None
    assert verify.typical_distance(described, flat, False) is None
    assert verify.typical_distance(described, described[:19], False) is None
    assert verify.typical_distance(none, described[:20], False) is not None


def test_leak_does_not_lower_the_typical_distance(described, turned):
    assert verify.typical_distance(described[:0], described, False) > 2
    assert verify.typical_distance(turned, described, False) > 2
