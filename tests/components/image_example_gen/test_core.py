# SPDX-License-Identifier: Apache-2.0
import contextlib
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from components.content import pictures
from components.content.pictures import PictureError
from components.image_example_gen.core import prepare
from components.image_example_gen.reading import tensorflow_reads

ANIMATED = {"png-animated", "gif-animated", "webp-animated"}


def tensorflow_pixels(encoded):
    """Decodes as a model does in its graph, to RGB."""
    pixels = tf.io.decode_image(encoded, expand_animations=False).numpy()
    return np.repeat(pixels[:, :, :1], 3, 2) if pixels.shape[2] < 3 else pixels[..., :3]


def check_same_pixels(got, want, *, atol=0):
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want).max() <= atol


def test_what_tensorflow_shows_right_keeps_its_bytes(kept):
    for kind, encoded in kept.items():
        prepared = prepare(encoded, tensorflow_reads)
        assert prepared == (encoded, None, kind in ANIMATED), kind
        # Two JPEG decoders may round differently; the standard leaves that open.
        check_same_pixels(
            tensorflow_pixels(encoded),
            pictures.decode(encoded),
            atol=6 if kind.startswith("jpeg") else 0,
        )


def test_what_tensorflow_shows_wrong_is_rewritten_as_people_see_it(rewritten):
    for (kind, reason), encoded in rewritten.items():
        prepared = prepare(encoded, tensorflow_reads)
        assert prepared.rewritten == reason, kind
        assert prepared.animated == (kind in ANIMATED), kind
        with Image.open(io.BytesIO(prepared.encoded)) as picture:
            assert (picture.format, pictures.orientation(picture)) == ("PNG", 1), kind
            assert picture.mode == ("L" if is_grey(encoded) else "RGB"), kind
        with Image.open(io.BytesIO(encoded)) as picture:
            upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        check_same_pixels(tensorflow_pixels(prepared.encoded), upright)
        # Once rewritten, it is one of those that are kept.
        again = prepare(prepared.encoded, tensorflow_reads)
        assert again == (prepared.encoded, None, False), kind


def is_grey(encoded):
    with Image.open(io.BytesIO(encoded)) as picture:
        return picture.mode in ("1", "L")


def test_each_kind_is_needed(rewritten):
    """Without rewriting, TensorFlow fails or shows something else."""
    for (kind, _), encoded in rewritten.items():
        with Image.open(io.BytesIO(encoded)) as picture:
            upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        try:
            # With the channels that a trainer asks for.
            shown = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            grey = tf.io.decode_image(encoded, channels=0, expand_animations=False)
        except tf.errors.InvalidArgumentError:
            continue
        differs = not np.array_equal(shown.numpy(), upright)
        assert differs or grey.shape[2] == 4, kind


@pytest.mark.parametrize("side", [1, 2, 8])
def test_least_side(encode, side):
    encoded = encode(Image.new("RGB", (side, 20)), "PNG")
    assert prepare(encoded, lambda _: True, min_side=side).encoded == encoded
    with pytest.raises(PictureError, match=f"{side} x 20 pixels, fewer than"):
        prepare(encoded, lambda _: True, min_side=side + 1)


def test_most_pixels(encode):
    encoded = encode(Image.new("L", (20, 30)), "GIF")
    assert prepare(encoded, lambda _: True, max_pixels=600).encoded == encoded
    with pytest.raises(PictureError, match="20 x 30 pixels, more than 599"):
        prepare(encoded, lambda _: True, max_pixels=599)


def test_nothing_is_decoded_before_its_size_is_known(encode):
    def refuse(_):
        raise AssertionError("decoded")

    huge = encode(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(huge) < 100_000
    with pytest.raises(PictureError, match="pixels"):
        prepare(huge, refuse)


@pytest.mark.parametrize("kind", ["png-rgb", "jpeg-rgb", "bmp-rgb", "gif"])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95])
def test_truncated_pictures_are_undecodable(kept, kind, share):
    encoded = kept[kind]
    with pytest.raises(PictureError):
        prepare(encoded[: int(share * len(encoded))], tensorflow_reads)


@pytest.mark.parametrize("encoded", [b"", b"\0", b"GIF89a", b"BM", b"<html></html>"])
def test_what_is_no_picture_is_undecodable(encoded):
    with pytest.raises(PictureError):
        prepare(encoded, tensorflow_reads)


def test_damaged_pictures_end_well(kept, rewritten):
    """Whatever the damage: a PictureError, or bytes that TensorFlow reads."""
    rng = np.random.default_rng(0)
    for encoded in [*kept.values(), *rewritten.values()]:
        for _ in range(20):
            damaged = bytearray(encoded)
            for at in rng.integers(0, len(encoded), 3):
                damaged[at] ^= 1 << rng.integers(0, 8)
            with contextlib.suppress(PictureError):
                prepared = prepare(bytes(damaged), tensorflow_reads, max_pixels=10**6)
                assert tensorflow_reads(prepared.encoded)
