# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from components.content.pictures import (
    MAX_PIXELS,
    PictureError,
    decode,
    open_picture,
    orientation,
)

PIXELS = load_sample_images().images[1][100:140, 200:260]
PHOTO = Image.fromarray(PIXELS)


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(value):
    tags = Image.Exif()
    tags[0x0112] = value
    return tags


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_give_the_same_pixels(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode(encode(PHOTO, kind, **options))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP"])
def test_lossy_formats_give_nearly_the_same_pixels(kind):
    assert np.abs(decode(encode(PHOTO, kind)).astype(int) - PIXELS).mean() < 10


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_modes_are_converted_to_rgb(mode):
    image = PHOTO.convert(mode)
    want = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode(encode(image, "PNG")), want)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_dropped(mode):
    image = PHOTO.convert(mode)
    want = np.asarray(image.convert("RGB"))
    image.putalpha(7)
    np.testing.assert_array_equal(decode(encode(image, "PNG")), want)


def test_transparent_palette_gives_its_colours():
    image = PHOTO.quantize(16)
    want = np.asarray(image.convert("RGB"))
    encoded = encode(image, "PNG", transparency=bytes(range(16)))
    np.testing.assert_array_equal(decode(encoded), want)


def test_sixteen_bits_are_reduced_by_their_high_byte():
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    pixels = decode(encode(Image.fromarray(deep), "PNG"))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 255]


def test_first_frame_of_an_animation_counts():
    encoded = encode(PHOTO, "PNG", save_all=True, append_images=[PHOTO.rotate(90)])
    np.testing.assert_array_equal(decode(encoded), PIXELS)


def test_orientation_is_told_and_not_applied():
    encoded = encode(PHOTO, "PNG", exif=exif(6))
    with open_picture(encoded) as picture:
        assert orientation(picture) == 6
    np.testing.assert_array_equal(decode(encoded), PIXELS)


@pytest.mark.parametrize(
    "tags", [b"", exif(0), exif(9), b"Exif\0\0broken"], ids=["none", "0", "9", "broken"]
)
def test_without_a_sensible_orientation_a_picture_is_upright(tags):
    with open_picture(encode(PHOTO, "JPEG", exif=tags)) as picture:
        assert orientation(picture) == 1


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "zero bytes"),
        (b"text", "no JPEG, PNG, BMP, GIF or WebP"),
        (encode(PHOTO, "TIFF"), "no JPEG, PNG, BMP, GIF or WebP"),
        (encode(PHOTO, "PNG")[:2000], "truncated"),
        (encode(PHOTO, "JPEG")[:700], "truncated"),
    ],
    ids=["empty", "text", "tiff", "cut-off-png", "cut-off-jpeg"],
)
def test_undecodable_pictures_are_refused_with_a_reason(encoded, reason):
    with pytest.raises(PictureError, match=reason):
        decode(encoded)


def test_size_is_checked_before_decoding():
    largest = Image.new("1", (10_000, MAX_PIXELS // 10_000))
    assert open_picture(encode(largest, "PNG")).size == largest.size
    for size in ((10_001, MAX_PIXELS // 10_000), (20_000, 20_000)):
        with pytest.raises(PictureError, match="pixels"):
            open_picture(encode(Image.new("1", size), "PNG"))


def test_lack_of_memory_is_not_the_fault_of_a_picture(monkeypatch):
    def fail(self):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(MemoryError):
        decode(encode(PHOTO, "BMP"))
