# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.leakage.perceptual import signature, thumbnail


@pytest.fixture(scope="module")
def described(tiles):
    return np.stack([thumbnail.describe(tile) for tile in tiles])


def _found(descriptors, references, mirrored=False):
    """Rows of the queries of which a key is that of the reference in that row."""
    keys, _, usable = signature.index(references)
    rows, bands, probed, _ = signature.queries(descriptors, mirrored)
    return set(rows[usable[rows] & (keys[rows, bands] == probed)].tolist())


def test_unchanged_pictures_share_keys_with_themselves(described):
    assert _found(described, described) == set(range(len(described)))


def test_mirrored_pictures_are_found_where_asked(tiles, described):
    flipped = np.stack([thumbnail.describe(tile[:, ::-1]) for tile in tiles])
    assert len(_found(flipped, described, mirrored=True)) == len(tiles)
    assert len(_found(flipped, described)) <= len(tiles) // 4


def test_rotated_pictures_are_found(tiles, described):
    turned = [
        np.asarray(Image.fromarray(tile).rotate(8, Image.Resampling.BICUBIC))
        for tile in tiles
    ]
    turned = np.stack([thumbnail.describe(tile) for tile in turned])
    assert len(_found(turned, described)) >= 0.9 * len(tiles)


def test_different_pictures_hardly_ever_share_keys(described):
    keys, _, _ = signature.index(described)
    rows, bands, probed, _ = signature.queries(described, False)
    shared = keys[:, bands] == probed
    shared[rows, np.arange(len(rows))] = False
    assert shared.any(axis=1).mean() < 0.5
    assert shared.sum() / len(described) < 3


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_hashes_do_not_depend_on_the_batch(described, data):
    at = data.draw(st.integers(0, len(described) - 1))
    others = data.draw(st.lists(st.integers(0, len(described) - 1), max_size=150))
    batch = described[[*others, at]]
    for together, alone in zip(
        signature.index(batch), signature.index(described[[at]]), strict=True
    ):
        np.testing.assert_array_equal(together[-1], alone[0])
    rows, *together = signature.queries(batch, False)
    _, *alone = signature.queries(described[[at]], False)
    for part, whole in zip(together, alone, strict=True):
        np.testing.assert_array_equal(part[rows == len(others)], whole)


def test_shapes_types_and_no_probe_twice(described):
    keys, words, usable = signature.index(described)
    n = len(described)
    assert (keys.shape, keys.dtype) == ((n, signature.BANDS), np.uint64)
    assert (words.shape, words.dtype) == ((n, 2), np.uint64)
    assert (usable.shape, usable.dtype) == ((n,), bool)
    assert keys.max() < 2**signature.BAND_BITS
    rows, bands, probed, words = signature.queries(described, False)
    assert [a.dtype for a in (rows, bands, probed, words)] == [
        np.int32,
        np.uint8,
        np.uint64,
        np.uint64,
    ]
    assert (np.diff(rows) >= 0).all()
    probes = set(zip(rows, bands, probed, *words.T, strict=True))
    assert len(probes) == len(rows)
    assert np.bincount(rows).max() <= 222


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_have_nothing_to_hash(level):
    flat = thumbnail.describe(np.full((9, 9, 3), level, np.uint8))[None]
    assert not signature.index(flat)[2].any()
    assert not len(signature.queries(flat, False)[0])


def test_faint_structure_is_hashed_and_fainter_is_not():
    wave = np.cos(np.pi * 2 * (np.arange(64) + 0.5) / 64)

    def usable(level):
        grey = np.round(128 + level * np.broadcast_to(wave, (64, 64)))
        pixels = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
        return signature.index(thumbnail.describe(pixels)[None])[2][0]

    assert usable(4)
    assert not usable(0.4)


def test_no_pictures_have_no_hashes():
    none = np.empty((0, thumbnail.LENGTH), np.uint8)
    assert [len(a) for a in signature.index(none)] == [0, 0, 0]
    assert [len(a) for a in signature.queries(none, True)] == [0, 0, 0, 0]
