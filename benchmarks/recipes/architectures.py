# SPDX-License-Identifier: Apache-2.0
"""Small models of many kinds, each a function of the data."""

import keras
from keras import layers

SPARSE = "sparse_categorical_crossentropy"


def compiled(make, optimizer, loss=None):
    """Compiles what `make` makes; optimizers come as functions."""

    def build(data):
        model = make(data)
        model.compile(
            optimizer() if callable(optimizer) else optimizer,
            loss or SPARSE,
            metrics=["accuracy"],
        )
        return model

    return build


def sequential(middle, *, activation="softmax", units=None, first=()):
    """Makes a Sequential model with the layers that `middle` makes."""

    def build(data):
        return keras.Sequential(
            [
                keras.Input(data.shape),
                *(make() for make in first),
                *middle(),
                layers.Dense(units or data.num_classes, activation),
            ]
        )

    return build


def dense(*widths, activation="relu", dropout=0.0, norm=None, **options):
    """Makes hidden layers; `norm` makes a layer before each activation."""

    def make():
        made = []
        for width in widths:
            if norm:
                made += [
                    layers.Dense(width, **options),
                    norm(),
                    layers.Activation(activation),
                ]
            elif callable(activation) and not isinstance(activation, str):
                made += [layers.Dense(width, **options), activation()]
            else:
                made.append(layers.Dense(width, activation, **options))
            if dropout:
                made.append(layers.Dropout(dropout))
        return made

    return make


def mlp(*widths, head="softmax", units=None, **options):
    return sequential(dense(*widths, **options), activation=head, units=units)


def cnn(*filters, norm=None, dropout=0.0, activation="relu", first=(), **options):
    """Makes convolutions of 3 x 3, each with a stride of 2 but the first."""

    def make():
        made = []
        for index, width in enumerate(filters):
            convolution = layers.Conv2D(
                width, 3, strides=2 if index else 1, padding="same", **options
            )
            made += [convolution, *([norm()] if norm else [])]
            made.append(layers.Activation(activation))
        made.append(layers.GlobalAveragePooling2D())
        if dropout:
            made.append(layers.Dropout(dropout))
        return made

    return sequential(make, first=first)


def residual(data):
    """Makes a small residual network with BatchNorm."""
    inputs = keras.Input(data.shape)
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(2):
        y = layers.BatchNormalization(momentum=0.9)(x)
        y = layers.ReLU()(y)
        y = layers.Conv2D(16, 3, padding="same")(y)
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    outputs = layers.Dense(data.num_classes, "softmax")(x)
    return keras.Model(inputs, outputs)


def residual_deep(data):
    """Makes a deeper one with Keras' own momentum of 0.99."""
    inputs = keras.Input(data.shape)
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(4):
        y = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(16, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(data.num_classes, "softmax")(x))


class Subclassed(keras.Model):
    """A subclassed model with dropout."""

    def __init__(self, num_classes):
        super().__init__()
        self.hidden = layers.Dense(64, "relu")
        self.drop = layers.Dropout(0.2)
        self.out = layers.Dense(num_classes)

    def call(self, inputs, training=False):
        return self.out(self.drop(self.hidden(inputs), training=training))


def subclassed(data):
    return Subclassed(data.num_classes)


def recurrent(layer):
    """Makes a recurrent model over rows."""
    return sequential(lambda: [layer()])


def attention(data):
    inputs = keras.Input(data.shape)
    x = layers.Dense(16)(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(data.num_classes, "softmax")(x))


def embedding(data):
    return keras.Sequential(
        [
            keras.Input(data.shape),
            layers.Embedding(50, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(data.num_classes, "softmax"),
        ]
    )


def frozen(make, keep=1):
    """Freezes all layers but the last few."""

    def build(data):
        model = make(data)
        for layer in model.layers[: len(model.layers) - keep]:
            layer.trainable = False
        return model

    return build


def normalized(make):
    """Puts a Normalization layer, adapted on the training rows, before a model."""

    def build(data):
        normalization = layers.Normalization()
        normalization.adapt(data.x)
        return keras.Sequential([keras.Input(data.shape), normalization, make(data)])

    return build
