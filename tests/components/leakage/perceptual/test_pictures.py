# SPDX-License-Identifier: Apache-2.0
import dataclasses
import io
import pickle

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from components.leakage.perceptual.pictures import PictureModel

MODEL = PictureModel()


def _jpeg(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


TRANSFORMS = {
    "resized": lambda p: p.resize((70, 90), Image.Resampling.LANCZOS),
    "encoded again": _jpeg,
    "darker": lambda p: ImageEnhance.Brightness(p).enhance(0.7),
    "less contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.6),
    "cropped": lambda p: p.crop((9, 0, 96, 90)),
    "rotated": lambda p: p.rotate(7, Image.Resampling.BICUBIC),
}


def _describe(pictures):
    return np.stack([MODEL.describe(np.asarray(picture)) for picture in pictures])


def _search(model, queries, references):
    """Pairs of rows that are near, of the four nearest candidates of each query."""
    keys, signatures, usable = model.index(references)
    rows, bands, probed, words = model.queries(queries)
    nearest = {}
    for band in range(model.num_bands):
        mine = np.flatnonzero(bands == band)
        probe, reference = np.nonzero(probed[mine, None] == keys[None, :, band])
        probe = mine[probe]
        octets = (words[probe] ^ signatures[reference]).view(np.uint8)
        distance = np.unpackbits(octets, axis=1).sum(axis=1)
        keep = (distance <= model.max_distance) & usable[reference]
        for row, other, far in zip(
            rows[probe][keep], reference[keep], distance[keep], strict=True
        ):
            best = nearest.setdefault(row, {})
            best[other] = min(far, best.get(other, far))
    found = [
        (row, other)
        for row, best in nearest.items()
        for other in sorted(best, key=lambda other: (best[other], other))[:4]
    ]
    found = np.array(found, int).reshape(-1, 2)
    background = model.background(queries, references)
    _, near = model.verify(queries[found[:, 0]], references[found[:, 1]], background)
    return set(map(tuple, found[near].tolist()))


@pytest.fixture(scope="module")
def references(tiles):
    return _describe(tiles)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformed_pictures_are_found_and_no_others(tiles, references, name):
    changed = _describe(TRANSFORMS[name](Image.fromarray(tile)) for tile in tiles)
    found = _search(MODEL, changed, references)
    right = {(row, row) for row in range(len(tiles))}
    assert not found - right
    assert len(found & right) >= 0.9 * len(tiles)


def test_mirrored_pictures_are_found_where_asked(tiles, references):
    flipped = _describe(tile[:, ::-1] for tile in tiles)
    found = _search(PictureModel(mirrored=True), flipped, references)
    assert found == {(row, row) for row in range(len(tiles))}


@pytest.mark.parametrize("seed", range(3))
def test_different_handwritten_digits_are_no_near_duplicates(digits, seed):
    order = np.random.default_rng(seed).permutation(len(digits))
    described = _describe(digits[order])
    found = _search(MODEL, described[:360], described[360:])
    assert len({query for query, _ in found}) <= 1


def test_brightened_digits_are_near_duplicates(digits):
    described = _describe(digits)
    brighter = _describe(np.minimum(255, digits[::20] // 2 + np.uint8(90)))
    found = _search(MODEL, brighter, described)
    right = {(row, 20 * row) for row in range(len(brighter))}
    assert len(found & right) >= 0.9 * len(right)
    assert not found - right


def test_model_is_frozen_and_picklable():
    model = PictureModel(mirrored=True)
    assert pickle.loads(pickle.dumps(model)) == model
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.mirrored = False


def test_model_says_what_it_returns(references):
    assert references.dtype == MODEL.descriptor_dtype
    assert references.shape[1:] == MODEL.descriptor_shape
    keys, signatures, _ = MODEL.index(references)
    assert keys.shape[1] == MODEL.num_bands
    assert signatures.shape[1] == MODEL.signature_words
