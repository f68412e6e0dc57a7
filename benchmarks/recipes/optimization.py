# SPDX-License-Identifier: Apache-2.0
"""Trainings that fail by their rate, their start, their depth or their activations."""

import keras
from keras import layers
from recipes import architectures as models
from recipes import datasets as data
from recipes.architectures import cnn, compiled, mlp
from recipes.healthy import HEALTHY
from recipes.making import adam, normal, rmsprop, sgd
from recipes.recipe import Recipe

_PLANS = {recipe.name: recipe.config for recipe in HEALTHY}
TOO_HIGH = ("learning_rate_too_high", "exploding_gradient", "not_a_number", "dead_relu")
TOO_LOW = ("learning_rate_too_low",)
START = ("poor_initialization",)

OPTIMIZATION = (
    # The rate is too high.
    *(
        Recipe(
            name,
            rows,
            compiled(make, optimizer),
            TOO_HIGH,
            True,
            like,
            _PLANS[like],
        )
        for name, rows, make, optimizer, like in (
            (
                "rate-1-adam-digits",
                data.digits,
                mlp(64, 64),
                adam(1.0),
                "digits-mlp-adam",
            ),
            (
                "rate-10-adam-digits",
                data.digits,
                mlp(64),
                adam(10.0),
                "digits-mlp-adam",
            ),
            (
                "rate-10-sgd-digits",
                data.digits,
                mlp(64, 64),
                sgd(10.0),
                "digits-mlp-adam",
            ),
            (
                "rate-100-momentum-digits",
                data.digits,
                mlp(64),
                sgd(100.0, 0.9),
                "digits-mlp-adam",
            ),
            ("rate-1000-sgd-blobs", data.blobs, mlp(32, 32), sgd(1e3), "blobs-mlp"),
            (
                "rate-3-adam-cancer",
                data.cancer,
                mlp(32, 16, 16),
                adam(3.0),
                "cancer-mlp",
            ),
            (
                "rate-half-rmsprop-digits",
                data.digits,
                mlp(64, 64, 64),
                rmsprop(0.5),
                "digits-mlp-adam",
            ),
            (
                "rate-1-adam-tanh",
                data.digits,
                mlp(64, 64, activation="tanh"),
                adam(1.0),
                "digits-mlp-adam",
            ),
            ("rate-1-adam-wine", data.wine, mlp(32, 32, 32), adam(1.0), "wine-mlp"),
            (
                "rate-half-adam-cnn",
                data.digit_pictures,
                cnn(16, 32),
                adam(0.5),
                "digits-cnn-default-rate",
            ),
            (
                "rate-1-adam-stripes",
                data.stripes_scaled,
                cnn(16, 32),
                adam(1.0),
                "stripes-cnn",
            ),
            (
                "rate-3-adam-lstm",
                data.digit_rows,
                models.recurrent(lambda: layers.LSTM(32)),
                adam(3.0),
                "digits-lstm",
            ),
        )
    ),
    # The rate is too low.
    *(
        Recipe(
            name,
            rows,
            compiled(make, optimizer),
            TOO_LOW,
            repairable,
            like,
            _PLANS.get(like, {}),
        )
        for name, rows, make, optimizer, repairable, like in (
            (
                "rate-1e-6-adam-digits",
                data.digits,
                mlp(64),
                adam(1e-6),
                True,
                "digits-mlp-adam",
            ),
            ("rate-1e-9-adam-digits", data.digits, mlp(64), adam(1e-9), False, None),
            ("rate-1e-5-sgd-digits", data.digits, mlp(64, 64), sgd(1e-5), False, None),
            ("rate-1e-8-sgd-cancer", data.cancer, mlp(32, 16), sgd(1e-8), False, None),
            (
                "rate-1e-6-adam-cnn",
                data.digit_pictures,
                cnn(16, 32),
                adam(1e-6),
                True,
                "digits-cnn-default-rate",
            ),
            (
                "rate-1e-6-rmsprop-blobs",
                data.blobs,
                mlp(32),
                rmsprop(1e-6),
                True,
                "blobs-mlp",
            ),
            ("rate-1e-6-adam-wine", data.wine, mlp(32), adam(1e-6), True, "wine-mlp"),
            (
                "rate-1e-7-adam-lstm",
                data.digit_rows,
                models.recurrent(lambda: layers.LSTM(32)),
                adam(1e-7),
                False,
                None,
            ),
        )
    ),
    Recipe(
        "rate-0-adam",
        data.digits,
        compiled(mlp(64), adam(0.0)),
        ("unchanged_weights", *TOO_LOW),
    ),
    Recipe(
        "rate-0-sgd-cnn",
        data.digit_pictures,
        compiled(cnn(16, 32), sgd(0.0)),
        ("unchanged_weights", *TOO_LOW),
    ),
    # The start is bad.
    Recipe(
        "start-zeros",
        data.digits,
        mlp(64, 64, kernel_initializer="zeros"),
        START,
        like="digits-mlp-adam",
    ),
    Recipe(
        "start-zeros-cnn",
        data.digit_pictures,
        cnn(16, 32, kernel_initializer="zeros"),
        START,
        like="digits-cnn-default-rate",
    ),
    Recipe(
        "start-ones",
        data.digits,
        compiled(mlp(64, 64, kernel_initializer="ones"), sgd(0.01)),
        START,
        like="digits-mlp-adam",
    ),
    Recipe(
        "start-same",
        data.many_blobs,
        mlp(16, 16, kernel_initializer=keras.initializers.Constant(0.1)),
        START,
        like="many-blobs",
    ),
    Recipe(
        "start-huge",
        data.digits,
        compiled(mlp(64, 64, 64, kernel_initializer=normal(10.0)), sgd(0.01)),
        (*START, *TOO_HIGH),
        like="digits-mlp-adam",
    ),
    Recipe(
        "start-tiny-deep",
        data.digits,
        compiled(mlp(*[32] * 6, kernel_initializer=normal(1e-3)), sgd(0.01)),
        (*START, "vanishing_gradient"),
        like="digits-mlp-adam",
    ),
    # Gradients vanish or explode on their way.
    Recipe(
        "vanishing-sigmoid-sgd",
        data.digits,
        compiled(mlp(*[32] * 10, activation="sigmoid"), sgd(0.01)),
        ("vanishing_gradient",),
        like="digits-mlp-adam",
    ),
    Recipe(
        "vanishing-sigmoid-adam",
        data.cancer,
        compiled(mlp(*[16] * 14, activation="sigmoid"), adam(1e-4)),
        ("vanishing_gradient",),
        like="cancer-mlp",
    ),
    Recipe(
        "vanishing-sigmoid-blobs",
        data.blobs,
        compiled(mlp(*[16] * 12, activation="sigmoid"), sgd(0.1)),
        ("vanishing_gradient",),
        like="blobs-mlp",
    ),
    Recipe(
        "vanishing-tanh-small",
        data.digits,
        compiled(
            mlp(*[32] * 8, activation="tanh", kernel_initializer=normal(0.01)),
            sgd(0.1),
        ),
        ("vanishing_gradient", *START),
        like="digits-mlp-adam",
    ),
    Recipe(
        "exploding-deep-linear",
        data.digits,
        compiled(
            mlp(*[64] * 8, activation="linear", kernel_initializer=normal(1.0)),
            sgd(0.01),
        ),
        ("exploding_gradient", *START, *TOO_HIGH),
        like="digits-mlp-adam",
    ),
    Recipe(
        "exploding-deep-relu",
        data.cancer,
        compiled(mlp(*[64] * 8, kernel_initializer=normal(2.0)), sgd(0.1)),
        ("exploding_gradient", *START, *TOO_HIGH),
        like="cancer-mlp",
    ),
    Recipe(
        "exploding-recurrent",
        data.digit_rows,
        compiled(
            models.recurrent(
                lambda: layers.SimpleRNN(
                    32,
                    activation="relu",
                    recurrent_initializer=keras.initializers.Orthogonal(6.0, seed=1),
                )
            ),
            sgd(0.1),
        ),
        ("exploding_gradient", *START, *TOO_HIGH),
        like="digits-lstm",
    ),
    # Units are dead or flat.
    Recipe(
        "dead-negative-bias",
        data.digits,
        mlp(64, 64, bias_initializer=keras.initializers.Constant(-10.0)),
        ("dead_relu", *START),
    ),
    Recipe(
        "dead-negative-bias-cnn",
        data.digit_pictures,
        cnn(16, 32, bias_initializer=keras.initializers.Constant(-20.0)),
        ("dead_relu", *START),
    ),
    Recipe(
        "dead-negative-weights",
        data.digits,
        mlp(
            32,
            32,
            kernel_initializer=keras.initializers.RandomUniform(-0.5, -0.1, seed=1),
        ),
        ("dead_relu", *START),
    ),
    Recipe(
        "flat-tanh-raw-cancer",
        data.scaled_by(data.cancer_raw, 1e3),
        compiled(mlp(16, 16, activation="tanh"), sgd(0.01)),
        ("unscaled_input", "saturated_activation"),
        like="cancer-mlp",
    ),
    Recipe(
        "flat-sigmoid-raw-wine",
        data.scaled_by(data.wine_raw, 100.0),
        compiled(mlp(16, 16, activation="sigmoid"), sgd(0.01)),
        ("unscaled_input", "saturated_activation"),
        like="wine-mlp",
    ),
    Recipe(
        "flat-tanh-start",
        data.digits,
        compiled(
            mlp(64, 64, 64, activation="tanh", kernel_initializer=normal(20.0)),
            sgd(1e-4),
        ),
        ("saturated_activation", *START),
        like="digits-mlp-adam",
    ),
)
