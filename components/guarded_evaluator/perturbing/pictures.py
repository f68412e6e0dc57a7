# SPDX-License-Identifier: Apache-2.0
"""Harmless changes of a picture: what another camera or another resize would do.

Each is a function of the pixels, uint8 of shape (height, width, channels), to pixels
of the same shape, or to None where it would not be harmless. None of them changes
what a person sees in the picture.

Strengths are at most those of the least severity at which Hendrycks and Dietterich
("Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019) corrupt the small pictures of CIFAR-10-C. Of the right answers of 20 sound
classifiers of handwritten digits, 8 to 64 pixels a side and trained without
augmentation, each of them turns at most 2 % wrong; what turned more was weakened, or
left out for small pictures.
"""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from components.content.pictures import PictureError, open_picture, to_rgb

PictureChange = Callable[[np.ndarray], np.ndarray | None]

_BRIGHTNESS = 0.05
"""Share of the range that is added: severity 1 in CIFAR-10-C; ImageNet-C adds 0.1."""
_CONTRAST = 0.9
"""Share of the contrast that is left; CIFAR-10-C begins at 0.75, which cost those
classifiers up to 4.6 %, and ImageNet-C at 0.4."""
_JPEG_QUALITY = 75
"""Quality that libjpeg and Pillow take unless told otherwise, so what most pictures
have been through; CIFAR-10-C begins at 80, ImageNet-C at 25."""
_RESIZED_SHARE = 0.9
"""Share of the sides to which a picture is made smaller before it is made larger
again, each with a filter of its own; pixelating begins at 0.95 in CIFAR-10-C and at
0.6 in ImageNet-C. Other resize methods than in training are the usual difference
between training and use (Parmar et al., "On Aliased Resizing and Surprising
Subtleties in GAN Evaluation", CVPR 2022)."""
_SMALLEST_TO_RESIZE = 16
"""Shortest side, in pixels, of a picture that is resized: of 8 pixels one would be
lost, which cost those classifiers up to 5.2 %, of 16 pixels 0.6 %."""
_SMALLEST_TO_SHIFT = 64
"""Shortest side, in pixels, of a picture whose content one pixel hardly moves: at 28
to 32 pixels it cost those classifiers 5 to 9 %."""
_LOSSLESS = MappingProxyType({"JPEG": "PNG", "PNG": "PNG", "BMP": "BMP"})
"""Formats that are changed, and the lossless one that the result is written in, which
TensorFlow decodes by the same operations. GIF, which it decodes into frames, and WebP,
which it does not decode, are left alone."""
_GREY = ("1", "L")
_MODES = (*_GREY, "RGB", "RGBA")
"""Pillow's modes that are changed. Palettes, 16 bits and CMYK, which decoders turn into
pixels each in their own way, are left alone."""


def brighten(pixels: np.ndarray) -> np.ndarray:
    """Adds 5 % of the range to every pixel."""
    return _to_pixels(pixels + _BRIGHTNESS * 255.0)


def darken(pixels: np.ndarray) -> np.ndarray:
    """Takes 5 % of the range off every pixel."""
    return _to_pixels(pixels - _BRIGHTNESS * 255.0)


def lower_contrast(pixels: np.ndarray) -> np.ndarray:
    """Brings every pixel a tenth closer to the mean of its channel."""
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return _to_pixels((pixels - mean) * _CONTRAST + mean)


def resize(pixels: np.ndarray) -> np.ndarray | None:
    """Makes the picture a tenth smaller, and as large as it was with another filter.

    None for pictures with fewer than 16 pixels a side.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < _SMALLEST_TO_RESIZE:
        return None
    smaller = (int(width * _RESIZED_SHARE), int(height * _RESIZED_SHARE))
    picture = _picture(pixels).resize(smaller, Image.Resampling.BILINEAR)
    return _pixels(picture.resize((width, height), Image.Resampling.BICUBIC))


def compress(pixels: np.ndarray) -> np.ndarray:
    """Writes the picture as a JPEG file of quality 75, and reads it again."""
    file = io.BytesIO()
    _picture(pixels).save(file, "JPEG", quality=_JPEG_QUALITY)
    return _pixels(Image.open(file))


def shift(pixels: np.ndarray) -> np.ndarray | None:
    """Moves the picture down and to the right by one pixel; the edge is repeated.

    Networks that see large pictures change up to 30 % of their answers (Azulay and
    Weiss, "Why do deep convolutional networks generalize so poorly to small image
    transformations?", JMLR 2019). None for pictures with fewer than 64 pixels a side.
    """
    if min(pixels.shape[:2]) < _SMALLEST_TO_SHIFT:
        return None
    padded = np.pad(pixels, ((1, 0), (1, 0), (0, 0)), mode="edge")
    return padded[:-1, :-1]


PICTURE_CHANGES: Mapping[str, PictureChange] = MappingProxyType(
    {
        "brightness_up": brighten,
        "brightness_down": darken,
        "contrast": lower_contrast,
        "resize": resize,
        "jpeg": compress,
        "shift": shift,
    }
)
"""The changes by name."""


def change_encoded(encoded: bytes, change: PictureChange) -> bytes | None:
    """Changes an encoded picture.

    Transparency stays as it is.

    Args:
      encoded: The file's bytes.
      change: One of `PICTURE_CHANGES`.

    Returns:
      A file of the same size and number of channels without loss, or None where the
      change does not apply: of a damaged picture, or one of another kind.
    """
    try:
        picture = open_picture(encoded)
        kind, mode = picture.format or "", picture.mode
        if kind not in _LOSSLESS or mode not in _MODES:
            return None
        pixels = to_rgb(picture)
    except PictureError:
        return None
    if mode in _GREY:
        pixels = pixels[:, :, :1]
    changed = change(pixels)
    if changed is None:
        return None
    if mode == "RGBA":
        alpha = np.asarray(picture.getchannel("A"))
        changed = np.concatenate([changed, alpha[:, :, np.newaxis]], axis=2)
    file = io.BytesIO()
    _picture(changed).save(file, _LOSSLESS[kind])
    return file.getvalue()


def _to_pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _pixels(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels
