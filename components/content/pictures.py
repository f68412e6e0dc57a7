# SPDX-License-Identifier: Apache-2.0
"""Decodes pictures, the same pixels whatever the file format.

Pillow decodes everywhere in this project but in the model, which needs a decoder
inside its graph (TensorFlow's). Both agree on lossless formats.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
"""Formats that are read, as Pillow names them; no other decoder is even tried."""
MAX_PIXELS = 100_000_000
"""Pixels beyond which a picture is refused before it is decoded: 10,000 x 10,000,
300 MB as RGB. A few bytes of PNG can claim any size ("decompression bomb")."""
_ORIENTATION_TAG = 0x0112  # EXIF, and TIFF before it.


class PictureError(ValueError):
    """A picture that cannot be decoded; the message is the reason, in a few words."""


def decode(encoded: bytes) -> np.ndarray:
    """Decodes a picture into RGB pixels, as the trainer's decoder would see it.

    The first frame of an animation; grey repeated, transparency dropped, CMYK and
    palettes converted, 16 bits reduced to 8. An EXIF orientation is not applied:
    TensorFlow's decoders know none.

    Args:
      encoded: The file's bytes: JPEG, PNG, BMP, GIF or WebP.

    Returns:
      uint8, shape (height, width, 3).

    Raises:
      PictureError: If the bytes are empty, no such picture, cut off, or claim more
        than `MAX_PIXELS`.
    """
    with open_picture(encoded) as picture:
        return to_rgb(picture)


def open_picture(encoded: bytes) -> Image.Image:
    """Reads the header of a picture: format, size, mode; decodes no pixel.

    Raises:
      PictureError: As `decode`.
    """
    if not encoded:
        raise PictureError("zero bytes")
    try:
        with _without_warnings():
            picture = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError("no JPEG, PNG, BMP, GIF or WebP") from error
    except Exception as error:
        raise _as_picture_error(error) from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{width} x {height} pixels, more than {MAX_PIXELS // 10**6} million"
        )
    return picture


def to_rgb(picture: Image.Image) -> np.ndarray:
    """Decodes the pixels of an opened picture; see `decode`."""
    try:
        with _without_warnings():
            return _pixels(picture)
    except Exception as error:
        raise _as_picture_error(error) from error


def _pixels(picture: Image.Image) -> np.ndarray:
    picture.load()
    if picture.mode.startswith("I"):  # 16 bits; Pillow's own conversion clips.
        grey = (np.asarray(picture, np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "RGBa", "La", "PA"):
        # Bands as they are: transparency is dropped, not painted over.
        picture = picture.convert("RGBA")
        return np.asarray(picture)[:, :, :3].copy()
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def orientation(picture: Image.Image) -> int:
    """Returns the EXIF orientation of an opened picture, from 1 (upright) to 8.

    1 also where it has none, or one that means nothing.
    """
    try:
        with _without_warnings():
            value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Broken EXIF data say nothing about the pixels.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences Pillow about odd metadata, and about sizes within our limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _as_picture_error(error: Exception) -> PictureError:
    """Says what is wrong with a picture that Pillow stumbled over.

    Of broken files, its decoders raise whatever comes along: OSError, SyntaxError,
    struct.error, IndexError and more. A lack of memory is not the picture's fault.

    Raises:
      MemoryError: If that is the error.
    """
    if isinstance(error, MemoryError):
        raise error
    return PictureError(" ".join(str(error).split())[:200] or type(error).__name__)
