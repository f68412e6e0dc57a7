# SPDX-License-Identifier: Apache-2.0
"""Trainings that fail by their data, their loss, their layers or their two modes."""

import keras
import numpy as np
from keras import layers
from recipes import architectures as models
from recipes import datasets as data
from recipes.architectures import cnn, compiled, mlp, sequential
from recipes.making import adam, normal, sgd
from recipes.optimization import TOO_HIGH
from recipes.recipe import Recipe

BatchNorm = layers.BatchNormalization
NO_SIGNAL = ("no_signal", "overfit", "constant_output", "collapse")


def _logarithm(labels, outputs):
    """A cross-entropy that was written without a care for log(0)."""
    hot = keras.ops.one_hot(
        keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), outputs.shape[-1]
    )
    return -keras.ops.sum(hot * keras.ops.log(keras.ops.relu(outputs - 0.09)), axis=1)


def _negated(labels, outputs):
    return -keras.losses.sparse_categorical_crossentropy(labels, outputs)


def _cut(data_):
    """Its first part is cut off from the loss."""
    inputs = keras.Input(data_.shape)
    x = layers.Dense(2, "relu")(inputs)
    x = layers.Lambda(keras.ops.stop_gradient)(x * 0.001)
    return keras.Model(inputs, layers.Dense(data_.num_classes, "softmax")(x))


def _rounded(data_):
    """A step function in the middle, through which no gradient passes."""
    inputs = keras.Input(data_.shape)
    x = layers.Dense(3, kernel_initializer=normal(0.01))(inputs)
    x = layers.Lambda(keras.ops.round)(x)
    return keras.Model(inputs, layers.Dense(data_.num_classes, "softmax")(x))


DESIGN = (
    # Inputs are not scaled.
    Recipe(
        "unscaled-cancer-sgd",
        data.cancer_raw,
        compiled(mlp(32, 16), sgd(0.1)),
        ("unscaled_input", *TOO_HIGH),
        like="cancer-mlp",
    ),
    Recipe(
        "unscaled-wine-sgd",
        data.wine_raw,
        compiled(mlp(32, 16), sgd(0.1)),
        ("unscaled_input", *TOO_HIGH),
        like="wine-mlp",
    ),
    Recipe(
        "unscaled-digits-sgd",
        data.scaled_by(data.digits, 1e4),
        compiled(mlp(64), sgd(0.1)),
        ("unscaled_input", *TOO_HIGH),
        like="digits-mlp-adam",
    ),
    Recipe(
        "unscaled-column",
        data.one_large_feature(data.blobs, 1e6),
        compiled(mlp(32), sgd(0.01)),
        ("unscaled_input", *TOO_HIGH),
        like="blobs-mlp",
    ),
    Recipe(
        "vanished-inputs",
        data.scaled_by(data.digits, 1e-6),
        compiled(mlp(64, 64), sgd(0.1)),
        ("unscaled_input",),
        like="digits-mlp-adam",
    ),
    # Head and loss do not fit.
    *(
        Recipe(name, rows, compiled(make, adam(), loss), ("loss_mismatch",))
        for name, rows, make, loss in (
            (
                "loss-softmax-one-unit",
                data.cancer,
                mlp(32, head="softmax", units=1),
                "binary_crossentropy",
            ),
            (
                "loss-linear-probabilities",
                data.digits,
                mlp(64, head="linear"),
                "sparse_categorical_crossentropy",
            ),
            (
                "loss-relu-binary",
                data.cancer,
                mlp(32, head="relu", units=1),
                "binary_crossentropy",
            ),
            (
                "loss-tanh-categorical",
                data.digits,
                mlp(64, head="tanh"),
                "categorical_crossentropy",
            ),
            (
                "loss-linear-binary",
                data.cancer,
                mlp(32, head="linear", units=1),
                "binary_crossentropy",
            ),
            (
                "loss-linear-squared",
                data.cancer,
                mlp(32, head="linear", units=1),
                "mse",
            ),
            (
                "loss-one-unit-sparse",
                data.cancer,
                mlp(32, head="sigmoid", units=1),
                "sparse_categorical_crossentropy",
            ),
            ("loss-linear-kl", data.digits, mlp(64, head="linear"), "kl_divergence"),
        )
    ),
    Recipe(
        "loss-too-few-units",
        data.digits,
        compiled(mlp(64, units=9), adam()),
        ("loss_mismatch",),
    ),
    Recipe(
        "loss-negated",
        data.digits,
        compiled(mlp(64), adam(), _negated),
        (*NO_SIGNAL, *TOO_HIGH, "underfit", "loss_mismatch"),
    ),
    Recipe(
        "loss-logarithm-of-zero",
        data.digits,
        compiled(mlp(64), adam(), _logarithm),
        ("not_a_number", "loss_mismatch"),
    ),
    # The labels or inputs tell nothing.
    Recipe(
        "shuffled-labels-digits", data.shuffled_labels(data.digits), mlp(64), NO_SIGNAL
    ),
    Recipe(
        "shuffled-labels-memorized",
        data.shuffled_labels(data.digits),
        compiled(mlp(256, 256), adam(3e-3)),
        NO_SIGNAL,
        config={"epochs": 60, "patience": None},
    ),
    Recipe(
        "shuffled-labels-cancer", data.shuffled_labels(data.cancer), mlp(32), NO_SIGNAL
    ),
    Recipe(
        "shuffled-labels-cnn",
        data.shuffled_labels(data.digit_pictures),
        cnn(16, 32),
        NO_SIGNAL,
    ),
    Recipe("constant-inputs", data.constant_inputs(data.digits), mlp(64), NO_SIGNAL),
    Recipe(
        "labels-divided",
        data.relabelled(data.digits, lambda y: y / 255.0),
        mlp(64),
        ("loss_mismatch",),
    ),
    Recipe(
        "labels-of-one-class",
        data.relabelled(data.digits, np.zeros_like),
        lambda d: mlp(64, units=10)(d),
        ("missing_class",),
    ),
    Recipe("nan-inputs", data.with_nan(data.digits), mlp(64), ("not_a_number",)),
    # Parts do not learn.
    Recipe(
        "frozen-all", data.digits, models.frozen(mlp(64), keep=0), ("frozen_model",)
    ),
    Recipe(
        "frozen-narrow",
        data.digits,
        models.frozen(mlp(64, 2)),
        ("frozen_model",),
        like="digits-mlp-adam",
    ),
    Recipe(
        "cut-off",
        data.digits,
        _cut,
        (
            "unchanged_weights",
            "vanishing_gradient",
            "frozen_model",
            "underfit",
            *NO_SIGNAL,
        ),
        like="digits-mlp-adam",
    ),
    Recipe(
        "rounded",
        data.digits,
        _rounded,
        ("unchanged_weights", "vanishing_gradient", "poor_initialization", *NO_SIGNAL),
        like="digits-mlp-adam",
    ),
    # The two modes differ.
    Recipe(
        "modes-cnn-few-steps",
        data.few(data.digit_pictures, 300),
        compiled(cnn(32, 32, norm=BatchNorm), adam(3e-3)),
        ("mode_gap",),
        True,
        "digits-cnn-few-steps",
        config={"epochs": 4},
    ),
    Recipe(
        "modes-slow-momentum",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=lambda: BatchNorm(momentum=0.9999)), adam(3e-3)),
        ("mode_gap",),
        True,
        "digits-cnn-batch-norm",
    ),
    Recipe(
        "modes-residual-few-steps",
        data.few(data.stripes_scaled, 200),
        compiled(models.residual_deep, adam(3e-3)),
        ("mode_gap",),
        True,
        "stripes-cnn",
        config={"epochs": 5},
    ),
    Recipe(
        "modes-raw-pixels",
        data.stripes,
        compiled(
            sequential(
                lambda: [
                    BatchNorm(momentum=0.999),
                    layers.Flatten(),
                    layers.Dense(32, "relu"),
                ]
            ),
            adam(),
        ),
        ("mode_gap", "unscaled_input"),
        True,
        "stripes-cnn",
    ),
    Recipe(
        "modes-not-repaired",
        data.few(data.digit_pictures, 300),
        compiled(cnn(32, 32, norm=lambda: BatchNorm(momentum=0.9999)), adam(3e-3)),
        ("mode_gap",),
        config={
            "epochs": 6,
            "recalibrate_batch_norm": False,
            "remedies": {"enabled": False},
        },
    ),
    # Too much of a good thing.
    Recipe(
        "penalty-too-strong",
        data.digits,
        mlp(64, 64, kernel_regularizer=keras.regularizers.L2(1.0)),
        ("underfit", *NO_SIGNAL),
        like="digits-mlp-adam",
    ),
    Recipe(
        "dropout-too-strong",
        data.digits,
        compiled(mlp(16, 16, dropout=0.99), adam()),
        ("underfit", *NO_SIGNAL, "dead_relu"),
        like="digits-mlp-adam",
    ),
    Recipe(
        "uneven-ignored",
        data.rare(data.hard, 30),
        compiled(mlp(16), adam()),
        ("class_imbalance", "dead_class", *NO_SIGNAL),
    ),
)
