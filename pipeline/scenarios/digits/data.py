# SPDX-License-Identifier: Apache-2.0
"""Writes scikit-learn's digits as the TFRecords that a pipeline starts from."""

import io
from pathlib import Path

import numpy as np


def write_data(folder: Path) -> None:
    """Writes `digits.tfrecord.gz`: tf.Examples with `image` (PNG) and `label`.

    Args:
      folder: Made if need be; an existing file is replaced.
    """
    import tensorflow as tf
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    # scikit-learn's pixels are counts from 0 to 16.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "digits.tfrecord.gz"
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions("GZIP")) as writer:
        for image, label in zip(pixels, digits.target, strict=True):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG")
            feature = {
                "image": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[png.getvalue()])
                ),
                "label": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[int(label)])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString(deterministic=True))
