# SPDX-License-Identifier: Apache-2.0
"""Varies batches of pictures by a configuration."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.augmentation import geometry, values
from components.guarded_trainer.augmentation.settings import (
    Augmentation,
    AugmentationConfig,
)

_PIXELS = (0.0, 255.0)
_NUM_SEEDS = 17

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From pictures, shape (batch, height, width, channels), and a seed, two integers, to
pictures of the same shape and type."""


def make_augment(
    config: AugmentationConfig,
    input_shape: Any,
    value_range: tuple[float, float] = _PIXELS,
) -> Augment | None:
    """Makes the function that varies the pictures of a batch, each in its own way.

    The same pictures and seed give the same result on any machine of a kind; another
    seed gives another. There is no state. A batch without pictures stays one.

    Args:
      config: What is asked for.
      input_shape: Shape of one input: (height, width, channels), with 1 or 3 channels.
      value_range: Smallest and largest value that pixels can have.

    Returns:
      The function; None if nothing is asked for.

    Raises:
      InputError: If the input is not a picture, but something is asked for.
    """
    chosen = config.chosen
    if chosen == Augmentation():
        return None
    if not _is_picture(input_shape):
        raise InputError(
            "augmentation: expected pictures, of shape (height, width, 1 or 3), but "
            f"the model's input is {_described(input_shape)}; leave augmentation out, "
            "or vary the inputs in a function `augment` of your own"
        )
    shape = tuple(int(n) for n in input_shape)
    low, high = value_range

    def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.stateless_uniform(
            (_NUM_SEEDS, 2), seed, None, None, dtype=tf.int32
        )
        x = tf.ensure_shape(tf.cast(images, tf.float32), (None, *shape))
        if geometry.moves(chosen):
            x = geometry.move(x, seeds[:6], chosen)
        x = (x - low) / (high - low)
        if chosen.brightness or chosen.contrast:
            x = values.light(x, seeds[6:8], chosen.brightness, chosen.contrast)
        if chosen.saturation and shape[-1] == 3:
            x = values.saturate(x, seeds[8], chosen.saturation)
        if chosen.jpeg:
            x = values.compress(x, seeds[9:11], chosen.jpeg)
        if chosen.erasing:
            x = values.erase(x, seeds[11:17], chosen.erasing)
        x = low + x * (high - low)
        if images.dtype.is_integer:
            x = tf.round(x)
        return tf.cast(x, images.dtype)

    return augment


def _is_picture(shape: Any) -> bool:
    return (
        isinstance(shape, tuple | list | tf.TensorShape)
        and len(shape) == 3
        and all(isinstance(n, int) and n > 0 for n in shape)
        and shape[-1] in (1, 3)
    )


def _described(shape: Any) -> str:
    if isinstance(shape, dict):
        return f"several features ({', '.join(map(str, list(shape)[:5]))})"
    return f"of shape {tuple(shape) if isinstance(shape, list) else shape}"
