# SPDX-License-Identifier: Apache-2.0
"""Turns serialized examples into what a model is given."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from components.guarded_trainer.config import ImageInput
from components.guarded_trainer.inputs import decode_image
from components.judging.spec import InputSpec

Pixels = Literal["0..255", "0..1", "-1..1"]
"""Range that a model wants the pixels of its pictures in."""

_SCALES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}
_DTYPES = {"int": tf.int64, "float": tf.float32, "bytes": tf.string}


@dataclasses.dataclass(frozen=True)
class Part:
    """What one input of the model is made of."""

    spec: InputSpec
    features: tuple[str, ...]
    image: ImageInput | None = None


@dataclasses.dataclass(frozen=True)
class Feed:
    """How examples of one split become what the model is given.

    Attributes:
      parts: One for each input; none where the model parses examples itself.
      image_key: The feature with pictures, or None.
      kinds: Type of each feature, as the split stores it.
      sizes: Values per example of each numeric or text feature.
      pixels: Range of the pixels.
    """

    parts: tuple[Part, ...]
    image_key: str | None
    kinds: Mapping[str, str]
    sizes: Mapping[str, int]
    pixels: Pixels

    @property
    def features(self) -> tuple[str, ...]:
        """Features that the model is given; none where it parses examples itself."""
        return tuple(name for part in self.parts for name in part.features)

    def parse(self, serialized: Sequence[bytes]) -> Any:
        """Returns what the model is given for serialized tf.Examples.

        An array where the model has one input, else a dict of arrays by input; for a
        model that parses examples itself, the examples as an array of bytes.
        """
        if not self.parts:
            examples = np.empty(len(serialized), object)
            examples[:] = list(serialized)
            return examples
        parsed = self._parse(tf.constant(list(serialized), tf.string))
        inputs = {
            part.spec.name: self._finish(part, parsed[str(i)])
            for i, part in enumerate(self.parts)
        }
        return inputs if len(inputs) > 1 else next(iter(inputs.values()))

    @functools.cached_property
    def _parse(self) -> Any:
        specs = {}
        for part in self.parts:
            for name in part.features:
                shape = [] if part.image else [self.sizes[name]]
                specs[name] = tf.io.FixedLenFeature(shape, _DTYPES[self.kinds[name]])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
            parsed = tf.io.parse_example(serialized, specs)
            return {
                str(i): self._assemble(part, parsed)
                for i, part in enumerate(self.parts)
            }

        return parse

    def _assemble(self, part: Part, parsed: Mapping[str, tf.Tensor]) -> tf.Tensor:
        if part.image is None:
            columns = [parsed[name] for name in part.features]
            if len({column.dtype for column in columns}) > 1:
                columns = [tf.cast(column, tf.float32) for column in columns]
            return tf.concat(columns, axis=1)
        image = part.image
        shape = (image.height, image.width, image.channels)
        pixels = tf.map_fn(
            lambda encoded: decode_image(encoded, image),
            parsed[image.feature],
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
        scale, offset = _SCALES[self.pixels]
        return pixels if self.pixels == "0..255" else pixels * scale + offset

    def _finish(self, part: Part, tensor: tf.Tensor) -> np.ndarray:
        array = tensor.numpy()
        if part.image is None and None not in part.spec.shape:
            array = array.reshape(len(array), *part.spec.shape)
        if array.dtype.kind == "O":
            texts = [value.decode("utf-8", "replace") for value in array.ravel()]
            return np.array(texts, object).reshape(array.shape)
        return array.astype(part.spec.dtype, copy=False)
