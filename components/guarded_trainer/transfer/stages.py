# SPDX-License-Identifier: Apache-2.0
"""The stages of a convolutional base, and which of its layers are trained."""

import math
from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

import keras

Stage: TypeAlias = tuple[keras.layers.Layer, ...]


def stages(base: keras.Model) -> tuple[Stage, ...]:
    """Divides a base into its stages, from the input to the top.

    A stage is the layers that work at about the same resolution: a base halves it
    from stage to stage. That holds for all of `keras.applications`, whatever the
    layers are called. Layers without trainable weights, and BatchNorm, belong to no
    stage: they are never unfrozen.

    Args:
      base: A Functional model from pictures to a feature map, (batch, height, width,
        channels).

    Returns:
      The stages that have anything to train.
    """
    height = max(int(base.input_shape[1]), 1)
    by_octave: dict[int, list[keras.layers.Layer]] = {}
    widest = 1
    # A layer that pools over everything (squeeze and excitation) works for those
    # after it, so a layer's resolution is the highest from it on.
    for layer in reversed(base.layers):
        widest = max(widest, _height(layer))
        octave = round(math.log2(height / widest))
        by_octave.setdefault(octave, [])[:0] = _trainable(layer)
    return tuple(tuple(by_octave[o]) for o in sorted(by_octave) if by_octave[o])


def choose(base: keras.Model, unfreeze: int | Literal["all"]) -> tuple[Stage, ...]:
    """Returns the stages that fine-tuning unfreezes, in its order: from the top.

    Args:
      base: The base.
      unfreeze: How many, or `all`; more than there are is all.
    """
    from_top = tuple(reversed(stages(base)))
    return from_top if unfreeze == "all" else from_top[:unfreeze]


def unfreeze(base: keras.Model, chosen: Sequence[Stage]) -> None:
    """Makes these stages trainable, and nothing else in the base.

    BatchNorm stays in inference mode, with the statistics that it was pretrained
    with. For Keras 3 that takes `trainable = False` on the layer: it overrides a
    `training=False` that is baked into the call of a nested model.
    """
    wanted: Collection[int] = {id(layer) for stage in chosen for layer in stage}
    base.trainable = bool(wanted)
    if wanted:
        for layer in _leaves(base):
            layer.trainable = id(layer) in wanted


def train_all(base: keras.Model) -> None:
    """Makes all of a base trainable, BatchNorm included: there is nothing to keep."""
    base.trainable = True


def _height(layer: keras.layers.Layer) -> int:
    shape = layer.output.shape
    return int(shape[1]) if len(shape) == 4 and shape[1] else 1


def _leaves(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers with weights of their own; a base may hold small models."""
    return [leaf for leaf in layer._flatten_layers() if leaf._trainable_variables]


def _trainable(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the leaves that could be trained, whether or not they are frozen now."""
    return [
        leaf
        for leaf in _leaves(layer)
        if not isinstance(leaf, keras.layers.BatchNormalization)
    ]
