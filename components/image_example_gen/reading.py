# SPDX-License-Identifier: Apache-2.0
"""Reads one picture from its file, such that TensorFlow can decode it."""

import tensorflow as tf

from components.content.pictures import PictureError
from components.image_example_gen import core
from components.image_example_gen.config import ImageExampleGenConfig


def read_picture(file: bytes, config: ImageExampleGenConfig) -> core.Prepared:
    """Reads and validates a picture; see `core.prepare`.

    Args:
      file: Path of the file.
      config: The limits.

    Raises:
      PictureError: If it cannot be read or decoded, or is too small or too large.
    """
    # The largest that makes sense: 16 bits in each of four channels.
    max_bytes = 8 * config.max_pixels + (1 << 20)
    try:
        with open(file, "rb") as opened:
            encoded = opened.read(max_bytes + 1)
    except OSError as error:
        raise PictureError(error.strerror or type(error).__name__) from error
    if len(encoded) > max_bytes:
        raise PictureError(f"more than {max_bytes:,} bytes")
    return core.prepare(
        encoded,
        tensorflow_reads,
        min_side=config.min_side,
        max_pixels=config.max_pixels,
    )


def tensorflow_reads(encoded: bytes) -> bool:
    """Whether TensorFlow can decode a picture as a model does in its graph."""
    try:
        tf.io.decode_image(encoded, expand_animations=False)
    except (tf.errors.OpError, UnicodeDecodeError):
        # TensorFlow quotes what it cannot read, and may fail to decode the quotation.
        return False
    return True
