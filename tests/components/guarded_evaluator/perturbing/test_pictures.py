# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from sklearn import datasets

from components.content.pictures import decode
from components.guarded_evaluator.perturbing.pictures import (
    PICTURE_CHANGES,
    change_encoded,
    shift,
)


def encode(pixels, kind="PNG", mode=None):
    file = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def photo():
    return datasets.load_sample_images().images[0][200:296, 200:328]


@pytest.mark.parametrize("name", PICTURE_CHANGES)
def test_a_photo_is_changed_by_little(photo, name):
    changed = PICTURE_CHANGES[name](photo)
    assert changed.shape == photo.shape
    assert changed.dtype == np.uint8
    difference = np.abs(changed.astype(float) - photo)
    # A shift moves edges, and so much of some pixels.
    assert 0.3 < difference.mean() < (50 if name == "shift" else 15)


@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])),
    ),
    st.sampled_from(sorted(PICTURE_CHANGES)),
)
def test_any_picture_keeps_its_shape_or_is_left_alone(pixels, name):
    changed = PICTURE_CHANGES[name](pixels)
    small = {"resize": 16, "shift": 64}.get(name, 0)
    if min(pixels.shape[:2]) < small:
        assert changed is None
    else:
        assert changed.shape == pixels.shape
        assert changed.dtype == np.uint8


def test_brightness_and_contrast_are_of_the_strength_they_say():
    pixels = np.array([[[0], [100], [200], [255]]], np.uint8)
    up, down, flat = (
        PICTURE_CHANGES[name](pixels).ravel().tolist()
        for name in ("brightness_up", "brightness_down", "contrast")
    )
    assert up == [13, 113, 213, 255]
    assert down == [0, 87, 187, 242]
    assert flat == [14, 104, 194, 243]  # Around the mean, 138.75.


def test_a_shift_moves_everything_by_one_pixel():
    pixels = np.arange(64 * 65, dtype=np.uint16).astype(np.uint8).reshape(64, 65, 1)
    moved = shift(pixels)
    assert np.array_equal(moved[1:, 1:], pixels[:-1, :-1])
    assert np.array_equal(moved[0, 1:], pixels[0, :-1])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_files_keep_their_channels_and_lose_nothing_more(photo, kind, mode):
    encoded = encode(photo, kind, mode)
    changed = change_encoded(encoded, PICTURE_CHANGES["brightness_down"])
    made = Image.open(io.BytesIO(changed))
    assert (made.mode, made.size) == (mode, (128, 96))
    assert made.format == ("BMP" if kind == "BMP" else "PNG")
    expected = PICTURE_CHANGES["brightness_down"](decode(encoded))
    assert np.array_equal(decode(changed), expected)


def test_transparency_stays(photo):
    alpha = np.full((96, 128, 1), 7, np.uint8)
    encoded = encode(np.concatenate([photo, alpha], axis=2))
    for change in PICTURE_CHANGES.values():
        made = Image.open(io.BytesIO(change_encoded(encoded, change)))
        assert made.mode == "RGBA"
        assert np.asarray(made.getchannel("A")).tolist() == alpha[:, :, 0].tolist()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("GIF", "RGB"), ("WEBP", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "CMYK")],
)
def test_kinds_that_decoders_read_differently_are_left_alone(photo, kind, mode):
    picture = Image.fromarray(photo).convert("L" if mode == "I;16" else mode)
    file = io.BytesIO()
    picture.convert(mode).save(file, kind)
    assert change_encoded(file.getvalue(), PICTURE_CHANGES["contrast"]) is None


@pytest.mark.parametrize("spoil", [0, 1, 20, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_damaged_picture_is_left_alone(photo, kind, spoil):
    encoded = encode(photo, kind)
    kept = spoil if isinstance(spoil, int) else int(spoil * len(encoded))
    assert change_encoded(encoded[:kept], PICTURE_CHANGES["jpeg"]) is None


def test_what_is_no_picture_is_left_alone():
    assert change_encoded(b"no picture", PICTURE_CHANGES["jpeg"]) is None
