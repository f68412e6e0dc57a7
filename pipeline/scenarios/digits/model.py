# SPDX-License-Identifier: Apache-2.0
"""A small convolutional network with BatchNorm, for images of 8x8 pixels."""

import keras

from components.guarded_trainer.context import ModelContext


def build_model(context: ModelContext) -> keras.Model:
    """Builds the network for images of the context's shape."""
    return keras.Sequential(
        [
            keras.Input(context.input_shape),
            keras.layers.Rescaling(1 / 255),
            *_block(32),
            *_block(32),
            keras.layers.MaxPooling2D(),
            *_block(64),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(context.num_classes, activation="softmax"),
        ]
    )


def _block(filters: int) -> list[keras.layers.Layer]:
    return [
        keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
    ]
