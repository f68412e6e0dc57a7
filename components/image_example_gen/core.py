# SPDX-License-Identifier: Apache-2.0
"""Makes every picture one that TensorFlow reads as people see it."""

import io
import struct
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from components.content import pictures
from components.content.pictures import PictureError

_PNG_LEVEL = 1
"""zlib's level. On two photos of 0.3 and 12 megapixels, 1 took a quarter of the time
of 6, Pillow's default, and made files 5 to 30 % larger."""
_PNG_EXIF = (b"eXIf", b"Raw profile type", b"tiff:Orientation")
"""One of these is in every PNG that says how it is turned."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture upright, by EXIF orientation (CIPA DC-008, 4.6.5.1)."""


class Prepared(NamedTuple):
    """A picture that TensorFlow reads."""

    encoded: bytes
    """As it was, or as a PNG."""
    rewritten: str | None
    """Why it was rewritten; None if it was not."""
    animated: bool
    """Whether it has more frames than the first, which is the one that counts."""


def prepare(
    encoded: bytes,
    is_readable: Callable[[bytes], bool],
    *,
    min_side: int = 1,
    max_pixels: int = pictures.MAX_PIXELS,
) -> Prepared:
    """Validates a picture, and rewrites it where TensorFlow would not show it right.

    Rewritten as PNG, 8 bits, grey or RGB, upright, without transparency, are WebP,
    CMYK, pictures with an EXIF orientation, BMP but for plain grey, 24 and 32 bits,
    GIF with transparency or a first frame that does not fill the picture, and what
    TensorFlow fails to read although Pillow can. All others keep their bytes. Every
    picture is fully decoded: by Pillow if it is rewritten, else by TensorFlow.

    Args:
      encoded: The file's bytes.
      is_readable: Whether `tf.io.decode_image` decodes these bytes.
      min_side: Least width and height in pixels.
      max_pixels: Most pixels.

    Raises:
      PictureError: If it cannot be decoded, or is too small or too large.
    """
    with pictures.open_picture(encoded) as picture:
        width, height = picture.size
        if min(width, height) < min_side:
            raise PictureError(f"{width} x {height} pixels, fewer than {min_side}")
        if width * height > max_pixels:
            raise PictureError(f"{width} x {height} pixels, more than {max_pixels:,}")
        # Phones put previews and depth maps behind a JPEG; that is no animation.
        animated = picture.format != "MPO" and getattr(picture, "is_animated", False)
        reason = _reason(picture, encoded)
        if reason is None and not is_readable(encoded):
            reason = "unreadable_by_tensorflow"
        if reason is not None:
            encoded = _as_png(picture, encoded)
    return Prepared(encoded, reason, animated)


def _reason(picture: Image.Image, encoded: bytes) -> str | None:
    """Says why TensorFlow would not show a picture as people see it."""
    if picture.format == "WEBP":
        return "webp"
    if picture.mode == "CMYK":
        return "cmyk"
    if _orientation(picture, encoded) != 1:
        return "exif_orientation"
    if picture.format == "BMP" and not _is_plain_bmp(picture, encoded):
        return "bmp_variant"
    if picture.format == "GIF" and not _is_plain_gif(picture):
        return "gif_variant"
    return None


def _is_plain_bmp(picture: Image.Image, encoded: bytes) -> bool:
    """Whether TensorFlow's decoder, which knows no palette or compression, is right."""
    (header_size,) = struct.unpack_from("<I", encoded, 14)
    if header_size < 40:  # OS/2: the fields stand elsewhere.
        return False
    bits, compression = struct.unpack_from("<HI", encoded, 28)
    return compression == 0 and (bits in (24, 32) or bits == 8 and picture.mode == "L")


def _is_plain_gif(picture: Image.Image) -> bool:
    """Whether the first frame is all there is to see."""
    fills = all(
        tuple(tile[1]) == (0, 0, *picture.size) for tile in getattr(picture, "tile", ())
    )
    return fills and "transparency" not in picture.info


def _orientation(picture: Image.Image, encoded: bytes) -> int:
    # In a PNG, Pillow decodes all pixels to find what may stand behind them.
    if picture.format == "PNG" and not any(mark in encoded for mark in _PNG_EXIF):
        return 1
    return pictures.orientation(picture)


def _as_png(picture: Image.Image, encoded: bytes) -> bytes:
    turned = _orientation(picture, encoded)
    is_grey = picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I")
    pixels = pictures.to_rgb(picture)
    picture.close()  # Frees its pixels, which a large picture leaves no room for.
    upright = Image.fromarray(pixels[:, :, 0] if is_grey else pixels)
    del pixels
    if turned != 1:
        upright = upright.transpose(_TURNS[turned])
    file = io.BytesIO()
    upright.save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()
