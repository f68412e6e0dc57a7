# SPDX-License-Identifier: Apache-2.0
"""Changes of the values of pixels: light, colour, compression, erasing.

Each function takes float32 pictures with values in [0, 1], shape (batch, height,
width, channels), and seeds, and draws one random number or more per picture.
"""

import tensorflow as tf

_ERASED = (0.02, 0.2)
"""Share of the area that is erased. Zhong et al. 2017 (arXiv:1708.04896) begin at
0.02 and end at 0.4; half of that leaves most of any object visible."""
_LOWEST_QUALITY = 60
"""Of JPEG; below, blocks begin to hide small things."""


def light(
    images: tf.Tensor, seeds: tf.Tensor, brightness: float, contrast: float
) -> tf.Tensor:
    """Changes brightness and contrast; seeds have shape (2, 2)."""
    size = tf.shape(images)[0]
    by = brightness * _either_way(size, seeds[0])
    factor = 1.0 + contrast * _either_way(size, seeds[1])
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return tf.clip_by_value((images - mean) * factor + mean + by, 0.0, 1.0)


def saturate(images: tf.Tensor, seed: tf.Tensor, saturation: float) -> tf.Tensor:
    """Changes the saturation of pictures of three channels."""
    factor = 1.0 + saturation * _either_way(tf.shape(images)[0], seed)
    grey = tf.image.rgb_to_grayscale(images)
    return tf.clip_by_value(grey + factor * (images - grey), 0.0, 1.0)


def compress(images: tf.Tensor, seeds: tf.Tensor, share: float) -> tf.Tensor:
    """Compresses a share of the pictures as JPEG; seeds have shape (2, 2)."""
    size = tf.shape(images)[0]
    quality = tf.random.stateless_uniform(
        (size,), seeds[1], _LOWEST_QUALITY, 101, tf.int32
    )
    chosen = tf.where(_chosen(size, seeds[0], share))[:, 0]

    results = tf.map_fn(
        lambda picture: tf.image.adjust_jpeg_quality(*picture),
        (tf.gather(images, chosen), tf.gather(quality, chosen)),
        fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
    )
    return tf.tensor_scatter_nd_update(images, chosen[:, None], results)


def erase(images: tf.Tensor, seeds: tf.Tensor, share: float) -> tf.Tensor:
    """Replaces a rectangle by noise in a share of the pictures; seeds: (6, 2)."""
    size = tf.shape(images)[0]
    height, width = images.shape[1:3]
    area = tf.random.stateless_uniform((size,), seeds[1], *_ERASED)
    # Sides between 1:2 and 2:1, evenly on the scale of ratios.
    ratio = tf.pow(2.0, tf.random.stateless_uniform((size,), seeds[2], -0.5, 0.5))
    rows = _inside(size, seeds[3], height, tf.sqrt(area) * ratio)
    columns = _inside(size, seeds[4], width, tf.sqrt(area) / ratio)
    erased = (
        rows[:, :, None, None]
        & columns[:, None, :, None]
        & _chosen(size, seeds[0], share)[:, None, None, None]
    )
    noise = tf.random.stateless_uniform(tf.shape(images), seeds[5])
    return tf.where(erased, noise, images)


def _either_way(size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a number from -1 to 1 per picture, shape (batch, 1, 1, 1)."""
    return tf.random.stateless_uniform((size, 1, 1, 1), seed, -1.0, 1.0)


def _chosen(size: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    return tf.random.stateless_uniform((size,), seed) < share


def _inside(
    size: tf.Tensor, seed: tf.Tensor, length: int, share: tf.Tensor
) -> tf.Tensor:
    """Returns which places along a side lie in a stretch of it: (batch, length)."""
    begin = tf.random.stateless_uniform((size,), seed) * (1.0 - share)
    places = (tf.range(length, dtype=tf.float32) + 0.5) / length
    return (places >= begin[:, None]) & (places < (begin + share)[:, None])
