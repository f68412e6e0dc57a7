# SPDX-License-Identifier: Apache-2.0
"""A small convolutional network for photographs."""

import keras

from components.guarded_trainer.context import ModelContext


def build_model(context: ModelContext) -> keras.Model:
    """Builds the network for images of the context's shape."""
    layers: list[keras.layers.Layer] = [
        keras.Input(context.input_shape),
        keras.layers.Rescaling(1 / 255),
    ]
    for filters in (16, 32):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
        ]
    layers += [
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(context.num_classes, activation="softmax"),
    ]
    return keras.Sequential(layers)
