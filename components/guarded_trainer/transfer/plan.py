# SPDX-License-Identifier: Apache-2.0
"""A classifier on a pretrained base, and what of it is trained when."""

import dataclasses
from collections.abc import Callable

import keras

from components.errors import InputError
from components.guarded_trainer.transfer import backbones, pretrained, stages
from components.guarded_trainer.transfer.settings import IMAGENET, TransferConfig
from components.guarded_trainer.transfer.stages import Stage


@dataclasses.dataclass(frozen=True)
class TransferPlan:
    """A classifier on a base, in three views of the same layers.

    Attributes:
      config: What was asked for.
      model: From pixels in [0, 255] to probabilities: preprocessing, base, pooling,
        dropout, last layer. One plain Functional model.
      base: The backbone in it, without its top.
      extractor: From pixels to pooled features.
      classifier: From pooled features to probabilities: the layers that start with
        random weights.
      stages: Stages of the base to unfreeze, in this order; none for feature
        extraction.
    """

    config: TransferConfig
    model: keras.Model
    base: keras.Model
    extractor: keras.Model
    classifier: keras.Model
    stages: tuple[Stage, ...]


def check(config: TransferConfig) -> None:
    """Checks what can be checked without building anything.

    Raises:
      InputError: If there is no such backbone, option or file.
    """
    backbones.check(config)
    pretrained.require(config.weights_file)


def make_plan(
    config: TransferConfig, input_shape: tuple[int, ...], num_classes: int
) -> TransferPlan:
    """Builds the classifier and loads the weights of its base.

    Args:
      config: Which backbone, and how it is trained further.
      input_shape: Shape of one picture: (height, width, 1 or 3).
      num_classes: Number of classes K; the model answers K probabilities.

    Raises:
      InputError: If there is no such backbone, option or file; the inputs are no
        pictures, or too small; the file holds another architecture; or weights cannot
        be downloaded.
    """
    backbone = backbones.check(config)
    pretrained.require(config.weights_file)
    if len(input_shape) != 3 or input_shape[-1] not in (1, 3):
        raise InputError(
            f"model.transfer: expected pictures of shape (height, width, 1 or 3), but "
            f"inputs are of shape {tuple(input_shape)}; name the picture's feature "
            "under `data.image`, or give your own model under `model.build`"
        )
    height, width, _ = input_shape
    if config.weights_file:
        backbones.refuse_official_file(backbone, config.weights_file)
    base = backbone.build(
        height,
        width,
        IMAGENET if config.weights == IMAGENET else None,
        config.options,
    )
    if config.weights_file:
        pretrained.load(base, config.weights_file)
    return assemble(config, base, backbone.preprocess, input_shape, num_classes)


def assemble(
    config: TransferConfig,
    base: keras.Model,
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor],
    input_shape: tuple[int, ...],
    num_classes: int,
) -> TransferPlan:
    """Puts a head on a base.

    Args:
      config: How the head looks, and how many stages are unfrozen.
      base: From preprocessed RGB pictures to a feature map.
      preprocess: From RGB pixels in [0, 255] to what the base was trained with.
      input_shape: Shape of one picture: (height, width, 1 or 3).
      num_classes: Number of classes K.
    """
    # Pixels stay float32 under mixed precision: bfloat16 tells 256 of them apart, but
    # not those between, which resizing makes.
    inputs = pixels = keras.Input(input_shape, dtype="float32", name="pixels")
    if input_shape[-1] == 1:
        pixels = keras.layers.Concatenate(name="rgb", dtype="float32")([pixels] * 3)
    features = _pooling(config)(base(preprocess(pixels)))
    head = _head(config, num_classes)
    vector = keras.Input(features.shape[1:], name="features")
    return TransferPlan(
        config,
        model=keras.Model(inputs, _chained(head, features), name="transfer"),
        base=base,
        extractor=keras.Model(inputs, features, name="extractor"),
        classifier=keras.Model(vector, _chained(head, vector), name="classifier"),
        stages=stages.choose(base, config.unfreeze) if config.is_pretrained else (),
    )


def _pooling(config: TransferConfig) -> keras.layers.Layer:
    layers = keras.layers
    return {
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
    }[config.pooling](name="pooling")


def _head(config: TransferConfig, num_classes: int) -> list[keras.layers.Layer]:
    """Returns the layers with random weights; they serve two models."""
    layers: list[keras.layers.Layer] = []
    for units in config.hidden_units:
        layers += [
            keras.layers.Dropout(config.dropout),
            keras.layers.Dense(
                units, activation="relu", kernel_initializer="he_normal"
            ),
        ]
    return [
        *layers,
        keras.layers.Dropout(config.dropout),
        # Probabilities lose their small ones in half precision.
        keras.layers.Dense(
            num_classes, activation="softmax", dtype="float32", name="probabilities"
        ),
    ]


def _chained(
    layers: list[keras.layers.Layer], tensor: keras.KerasTensor
) -> keras.KerasTensor:
    for layer in layers:
        tensor = layer(tensor)
    return tensor
