# SPDX-License-Identifier: Apache-2.0
"""From serialized tf.Examples to what the model is given, driven by the schema.

The same function parses in training and inside the serving model, so that
preprocessing can neither be applied twice nor left out.
"""

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import InputError
from components.guarded_trainer.config import ImageInput, InputConfig
from components.guarded_trainer.user_code.functions import Preprocess

_NUMERIC = {schema_pb2.INT: tf.int64, schema_pb2.FLOAT: tf.float32}


@dataclasses.dataclass(frozen=True)
class ModelInputs:
    """The features that become the model's input.

    Attributes:
      sizes: Values per example of each numeric feature, in the order of the
        input vector; empty for images.
      dtypes: Data type of each numeric feature as it is stored.
      image: The image feature, or None.
      preprocess: The user's preprocessing, or None. It is part of all that is ever
        parsed: of training, of the probe, and of the exported models.
    """

    sizes: Mapping[str, int]
    dtypes: Mapping[str, tf.DType]
    image: ImageInput | None
    preprocess: Preprocess | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input of the model, without the batch."""
        return self.preprocess.shape if self.preprocess else self.parsed_shape

    @property
    def parsed_shape(self) -> tuple[int, ...]:
        """Shape of one input before the user's preprocessing."""
        if self.image:
            return (self.image.height, self.image.width, self.image.channels)
        return (sum(self.sizes.values()),)

    @property
    def num_bytes(self) -> int:
        """Size of one input in memory, float32, before or after preprocessing."""
        return 4 * max(math.prod(self.shape), math.prod(self.parsed_shape))

    @property
    def entry_names(self) -> tuple[str, ...]:
        """Name of each entry of the input vector; empty for images.

        Empty, too, for what the user's preprocessing makes: it has no names.
        """
        if self.preprocess:
            return ()
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
        inputs = self._joined(parsed)
        return self.preprocess(inputs) if self.preprocess else inputs

    def _joined(self, parsed: Mapping[str, tf.Tensor]) -> tf.Tensor:
        if self.image:
            image = self.image
            return tf.map_fn(
                lambda encoded: decode_image(encoded, image),
                parsed[image.feature],
                fn_output_signature=tf.TensorSpec(self.parsed_shape, tf.float32),
            )
        columns = [tf.cast(parsed[name], tf.float32) for name in self.sizes]
        return tf.ensure_shape(tf.concat(columns, axis=1), (None, *self.parsed_shape))

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
      Shape `(height, width, channels)`; resized bilinearly where the size differs,
      grey repeated for RGB, RGB weighted for grey, transparency dropped.
    """

    def as_stored() -> tf.Tensor:
        # TensorFlow converts PNG and JPEG, but not these.
        pixels = tf.io.decode_image(encoded, expand_animations=False)
        pixels.set_shape((None, None, None))
        is_grey = tf.equal(tf.shape(pixels)[2], 1)
        rgb = tf.cond(
            is_grey,
            lambda: tf.repeat(pixels, 3, axis=2),
            lambda: pixels[:, :, :3],
        )
        return rgb if image.channels == 3 else tf.image.rgb_to_grayscale(rgb)

    def converted() -> tf.Tensor:
        return tf.io.decode_image(
            encoded, channels=image.channels, expand_animations=False
        )

    is_bmp_or_gif = tf.strings.regex_full_match(
        tf.strings.substr(encoded, 0, 2), "BM|GI"
    )
    pixels = tf.cond(is_bmp_or_gif, as_stored, converted)
    pixels = tf.ensure_shape(pixels, (None, None, image.channels))
    return tf.image.resize(tf.cast(pixels, tf.float32), (image.height, image.width))


def choose_inputs(schema: schema_pb2.Schema, config: InputConfig) -> ModelInputs:
    """Decides which features of the schema the model is given.

    Raises:
      InputError: If a named feature is not in the schema, is named twice or is the
        label, a feature is neither numeric nor the image, its number of values
        varies, or no feature is left.
    """
    features = {feature.name: feature for feature in schema.feature}
    _require(config.label_key, features, "label_key")
    for name in config.ignore:
        _require(name, features, "ignore")
    if config.image:
        _refuse_twice(config, (config.image.feature, *(config.features or ())))
        _require(config.image.feature, features, "image.feature")
        if config.features:
            raise InputError(
                "features: expected either an image or numeric features, but both "
                f"`image` and {_listing(config.features)} are given; leave one out"
            )
        return ModelInputs({}, {}, _image(features, config.image))
    if config.features is None:
        names = sorted(features.keys() - {config.label_key} - set(config.ignore))
    else:
        names = list(config.features)
        _refuse_twice(config, names)
        for name in names:
            _require(name, features, "features")
    if not names:
        raise InputError(
            "features: expected at least one besides the label "
            f"{config.label_key!r}, but none is left; give the examples an input, or "
            "ignore fewer"
        )
    sizes = {name: _size(features[name]) for name in names}
    dtypes = {name: _NUMERIC[features[name].type] for name in names}
    return ModelInputs(sizes, dtypes, None)


def _refuse_twice(config: InputConfig, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name == config.label_key:
            raise InputError(
                f"features: expected inputs, but {name!r} is the label, which the "
                "model would then only repeat; leave it out"
            )
        if name in config.ignore or name in names[:i]:
            raise InputError(
                f"features: expected each input once, but {name!r} is named again"
                f"{' under `ignore`' if name in config.ignore else ''}; name it once"
            )


def _image(features: Mapping[str, schema_pb2.Feature], image: ImageInput) -> ImageInput:
    feature = features[image.feature]
    if feature.type != schema_pb2.BYTES:
        raise InputError(
            f"feature {image.feature!r}: expected encoded images (bytes), but the "
            f"schema says {_type_name(feature)}; name another feature under "
            "`image.feature`, or leave `image` out"
        )
    return image


def _size(feature: schema_pb2.Feature) -> int:
    if feature.type not in _NUMERIC:
        raise InputError(
            f"feature {feature.name!r}: expected numbers, but the schema says "
            f"{_type_name(feature)}; put it under `ignore`, name it as `image.feature` "
            "if it holds encoded images, or turn it into numbers"
        )
    if feature.HasField("shape"):
        size = math.prod(dimension.size for dimension in feature.shape.dim)
        if size < 1:
            raise InputError(
                f"feature {feature.name!r}: expected a shape with at least one value, "
                f"but the schema says {[d.size for d in feature.shape.dim]}; correct "
                "the schema, or put the feature under `ignore`"
            )
        return size
    if not feature.HasField("value_count"):
        return 1
    # TFDV leaves the maximum open where it has seen more than one value.
    least, most = feature.value_count.min, feature.value_count.max
    if most < 1 or least > 1 or most > 1:
        if least == most > 1:
            return int(most)
        raise InputError(
            f"feature {feature.name!r}: expected the same number of values in every "
            f"example, but the schema allows {least} to {most or 'any number'}; pad "
            "it, give the schema its `shape` (SchemaGen infers it with "
            "`infer_feature_shape=True`), or put it under `ignore`"
        )
    return 1


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
