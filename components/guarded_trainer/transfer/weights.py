# SPDX-License-Identifier: Apache-2.0
"""The weights of layers, taken out and put back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import keras
import numpy as np

Weights: TypeAlias = Mapping[str, Sequence[np.ndarray]]
"""The weights of each layer, by its path."""


def take(layers: Iterable[keras.layers.Layer]) -> Weights:
    """Copies the weights of layers; also where they are spread over devices."""
    return {
        layer.path: [
            np.array(keras.ops.convert_to_numpy(weight)) for weight in layer.weights
        ]
        for layer in layers
    }


def put_back(layers: Iterable[keras.layers.Layer], weights: Weights) -> None:
    """Sets the weights of layers to what `take` returned for them."""
    for layer in layers:
        for weight, value in zip(layer.weights, weights[layer.path], strict=True):
            weight.assign(value)
