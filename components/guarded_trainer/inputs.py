# SPDX-License-Identifier: Apache-2.0
"""From serialized tf.Examples to what the model is given, driven by the schema.

The same function parses in training and inside the serving model, so that
preprocessing can neither be applied twice nor left out.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import InputError
from components.guarded_trainer.config import ImageInput, InputConfig

_NUMERIC = {schema_pb2.INT: tf.int64, schema_pb2.FLOAT: tf.float32}


@dataclasses.dataclass(frozen=True)
class ModelInputs:
    """The features that become the model's input.

    Attributes:
      sizes: Values per example of each numeric feature, in the order of the
        input vector; empty for images.
      dtypes: Data type of each numeric feature as it is stored.
      image: The image feature, or None.
    """

    sizes: Mapping[str, int]
    dtypes: Mapping[str, tf.DType]
    image: ImageInput | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        if self.image:
            return (self.image.height, self.image.width, self.image.channels)
        return (sum(self.sizes.values()),)

    @property
    def entry_names(self) -> tuple[str, ...]:
        """Name of each entry of the input vector; empty for images."""
        return tuple(
            name if size == 1 else f"{name}[{i}]"
            for name, size in self.sizes.items()
            for i in range(size)
        )

    @property
    def parsing_spec(self) -> dict[str, tf.io.FixedLenFeature]:
        """What `tf.io.parse_example` needs to know; all features are required."""
        if self.image:
            return {self.image.feature: tf.io.FixedLenFeature([], tf.string)}
        return {
            name: tf.io.FixedLenFeature([size], self.dtypes[name])
            for name, size in self.sizes.items()
        }

    def assemble(self, parsed: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Turns parsed features of a batch into the model's input.

        Args:
          parsed: Tensors as `tf.io.parse_example` returns them for
            `parsing_spec`.

        Returns:
          float32, shape `(batch, *self.shape)`.
        """
        if self.image:
            image = self.image
            return tf.map_fn(
                lambda encoded: decode_image(encoded, image),
                parsed[image.feature],
                fn_output_signature=tf.TensorSpec(self.shape, tf.float32),
            )
        columns = [tf.cast(parsed[name], tf.float32) for name in self.sizes]
        return tf.ensure_shape(tf.concat(columns, axis=1), (None, *self.shape))

    def parse(self, serialized: tf.Tensor) -> tf.Tensor:
        """Turns serialized tf.Examples, shape (batch,), into the model's input."""
        return self.assemble(tf.io.parse_example(serialized, self.parsing_spec))


def decode_image(encoded: tf.Tensor, image: ImageInput) -> tf.Tensor:
    """Decodes one image to float32 pixels in [0, 255].

    Args:
      encoded: Scalar string: PNG, JPEG, BMP or GIF (of which the first frame is
        taken).
      image: Size and channels wanted.

    Returns:
      Shape `(height, width, channels)`; resized bilinearly where the size differs.
    """
    pixels = tf.io.decode_image(
        encoded, channels=image.channels, expand_animations=False
    )
    pixels.set_shape((None, None, image.channels))
    return tf.image.resize(tf.cast(pixels, tf.float32), (image.height, image.width))


def choose_inputs(schema: schema_pb2.Schema, config: InputConfig) -> ModelInputs:
    """Decides which features of the schema the model is given.

    Raises:
      InputError: If a named feature is not in the schema, a feature is neither
        numeric nor the image, or no feature is left.
    """
    features = {feature.name: feature for feature in schema.feature}
    _require(config.label_key, features, "label_key")
    if config.image:
        _require(config.image.feature, features, "image.feature")
        if features[config.image.feature].type != schema_pb2.BYTES:
            raise InputError(
                f"feature {config.image.feature!r}: expected encoded images (bytes), "
                f"but the schema says {_type_name(features[config.image.feature])}; "
                "name another feature under `image.feature`, or leave `image` out"
            )
        return ModelInputs({}, {}, config.image)
    for name in (*config.ignore, *(config.features or ())):
        _require(name, features, "features")
    names = config.features or sorted(
        features.keys() - {config.label_key} - set(config.ignore)
    )
    if not names:
        raise InputError(
            "the schema has no feature besides the label "
            f"{config.label_key!r}; give the examples at least one input"
        )
    sizes = {name: _size(features[name]) for name in names}
    dtypes = {name: _NUMERIC[features[name].type] for name in names}
    return ModelInputs(sizes, dtypes, None)


def _size(feature: schema_pb2.Feature) -> int:
    if feature.type not in _NUMERIC:
        raise InputError(
            f"feature {feature.name!r}: expected numbers, but the schema says "
            f"{_type_name(feature)}; put it under `ignore`, name it as `image.feature` "
            "if it holds encoded images, or turn it into numbers"
        )
    if feature.HasField("shape"):
        size = 1
        for dimension in feature.shape.dim:
            size *= dimension.size
        return size
    if (
        feature.value_count.max > 1
        and feature.value_count.min < feature.value_count.max
    ):
        raise InputError(
            f"feature {feature.name!r}: expected the same number of values in every "
            f"example, but the schema allows {feature.value_count.min} to "
            f"{feature.value_count.max}; pad it, or put it under `ignore`"
        )
    return max(int(feature.value_count.max), 1)


def _require(name: str, known: Mapping[str, object], field: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{field}: expected a feature of the data, but there is no {name!r} among "
            f"{_listing(sorted(known))}{hint or '; correct the name'}"
        )


def _type_name(feature: schema_pb2.Feature) -> str:
    return schema_pb2.FeatureType.Name(feature.type)


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
