# SPDX-License-Identifier: Apache-2.0
"""Shifts, zooms, rotations and flips of pictures, in one step.

All of them are one affine transform per picture, and so each pixel is interpolated
once. Keras' preprocessing layers interpolate once per layer, which blurs, and draw
from a state of their own, which a pipeline that can be taken up anywhere must not.
"""

import math

import tensorflow as tf

from components.guarded_trainer.augmentation.settings import Augmentation


def moves(config: Augmentation) -> bool:
    """Returns whether any pixel changes its place."""
    return bool(
        config.shift
        or config.zoom
        or config.rotation
        or config.horizontal_flip
        or config.vertical_flip
    )


def move(images: tf.Tensor, seeds: tf.Tensor, config: Augmentation) -> tf.Tensor:
    """Moves the pixels of each picture.

    What comes in from outside is the picture mirrored at its edge.

    Args:
      images: float32, shape (batch, height, width, channels).
      seeds: Seeds of the random numbers, shape (6, 2).
      config: How far.

    Returns:
      Pictures of the same shape.
    """
    size = tf.shape(images)[0]
    height, width = (tf.cast(n, tf.float32) for n in tf.unstack(tf.shape(images)[1:3]))
    down, right, scale, angle = (
        most * tf.random.stateless_uniform((size,), seed, -1.0, 1.0)
        for most, seed in zip(
            (config.shift, config.shift, config.zoom, math.radians(config.rotation)),
            tf.unstack(seeds[:4]),
            strict=True,
        )
    )
    mirrored = _signs(size, seeds[4], flip=config.horizontal_flip)
    turned = _signs(size, seeds[5], flip=config.vertical_flip)
    # The transform leads from places in the result to places in the picture, about
    # the centre: flip, rotate, scale, shift.
    scale = 1.0 / (1.0 + scale)
    a, b = scale * tf.cos(angle) * mirrored, -scale * tf.sin(angle) * turned
    c, d = scale * tf.sin(angle) * mirrored, scale * tf.cos(angle) * turned
    x, y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    zeros = tf.zeros_like(angle)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(
            [
                a,
                b,
                x - a * x - b * y + right * width,
                c,
                d,
                y - c * x - d * y + down * height,
                zeros,
                zeros,
            ],
            axis=1,
        ),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    # The operation forgets it.
    return tf.ensure_shape(moved, images.shape)


def _signs(size: tf.Tensor, seed: tf.Tensor, *, flip: bool) -> tf.Tensor:
    """Returns -1 for half of the pictures, and 1 for the others."""
    if not flip:
        return tf.ones((size,))
    return tf.where(tf.random.stateless_uniform((size,), seed) < 0.5, -1.0, 1.0)
