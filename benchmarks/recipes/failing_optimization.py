# SPDX-License-Identifier: Apache-2.0
"""Models that fail in use because they have not learnt."""

import keras
import numpy as np
from keras import losses
from recipes import architectures as models
from recipes import breaking
from recipes import populations as data
from recipes.accepted import DIVERGED, UNSCALED, UNTRAINED
from recipes.architectures import cnn, compiled, mlp
from recipes.changes import changed
from recipes.judged import Judged
from recipes.making import adam, normal, rmsprop, sgd
from recipes.parts import BINARY


def frozen(make, keep):
    return compiled(models.frozen(make, keep), adam())


def _dead_hidden(weights, random):
    weights[1] -= 1e3


def _negated(labels, outputs):
    return -losses.sparse_categorical_crossentropy(labels, outputs)


OPTIMIZATION = (
    Judged(
        "rate-1-adam-digits",
        data.digits,
        compiled(mlp(64, 64), adam(1.0)),
        DIVERGED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "rate-30-sgd-digits",
        data.digits,
        compiled(mlp(64, 64), sgd(30.0)),
        DIVERGED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "rate-half-rmsprop",
        data.digits,
        compiled(mlp(64, 64, 64), rmsprop(0.5)),
        DIVERGED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "rate-1-adam-tanh",
        data.digits,
        compiled(mlp(64, 64, activation="tanh"), adam(1.0)),
        DIVERGED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "rate-half-adam-cnn",
        data.digit_pictures,
        compiled(cnn(16, 32), adam(0.5)),
        DIVERGED,
        "answers",
        "digits-cnn",
    ),
    Judged(
        "rate-1-adam-stripes",
        data.stripes,
        compiled(cnn(16, 32), adam(1.0)),
        DIVERGED,
        "answers",
        "stripes-cnn",
    ),
    Judged(
        "rate-1000-sgd-blobs",
        data.blobs,
        compiled(mlp(32, 32), sgd(1e3)),
        DIVERGED,
        "answers",
        "blobs-mlp",
    ),
    Judged(
        "rate-3-adam-cancer",
        data.cancer,
        compiled(mlp(32, 16, 16), adam(3.0)),
        DIVERGED,
        "answers",
        "cancer-mlp",
    ),
    Judged(
        "rate-1-adam-wine",
        data.wine,
        compiled(mlp(32, 32, 32), adam(1.0)),
        DIVERGED,
        "answers",
        "wine-mlp",
    ),
    Judged(
        "rate-1e-6-adam-digits",
        data.digits,
        compiled(mlp(64), adam(1e-6)),
        UNTRAINED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "rate-1e-6-adam-cnn",
        data.digit_pictures,
        compiled(cnn(16, 32), adam(1e-6)),
        UNTRAINED,
        "answers",
        "digits-cnn",
    ),
    Judged(
        "rate-1e-6-sgd-blobs",
        data.blobs,
        compiled(mlp(32), sgd(1e-6)),
        UNTRAINED,
        "answers",
        "blobs-mlp",
    ),
    Judged(
        "rate-1e-7-adam-many-blobs",
        data.many_blobs,
        compiled(mlp(64), adam(1e-7)),
        UNTRAINED,
        "answers",
        "many-blobs",
    ),
    Judged(
        "frozen-all",
        data.digits,
        frozen(mlp(64), 0),
        UNTRAINED,
        "answers",
        "digits-mlp",
        epochs=2,
    ),
    Judged(
        "frozen-cnn",
        data.digit_pictures,
        frozen(cnn(16, 32), 0),
        UNTRAINED,
        "answers",
        "digits-cnn",
        epochs=2,
    ),
    Judged(
        "frozen-narrow",
        data.digits,
        frozen(mlp(64, 2), 1),
        UNTRAINED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "dead-hidden-start",
        data.digits,
        compiled(mlp(64, bias_initializer=keras.initializers.Constant(-50.0)), adam()),
        DIVERGED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "dead-hidden-cnn",
        data.digit_pictures,
        compiled(
            cnn(16, 32, bias_initializer=keras.initializers.Constant(-50.0)), adam()
        ),
        DIVERGED,
        "answers",
        "digits-cnn",
    ),
    Judged(
        "dead-hidden-after",
        data.digits,
        compiled(mlp(64), adam()),
        DIVERGED,
        "answers",
        "digits-mlp",
        after=changed(_dead_hidden),
    ),
    Judged(
        "start-zeros",
        data.digits,
        compiled(mlp(64, 64, kernel_initializer="zeros"), adam()),
        UNTRAINED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "start-huge",
        data.digits,
        compiled(mlp(64, 64, kernel_initializer=normal(10.0)), sgd(0.1)),
        DIVERGED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "vanishing-sigmoid",
        data.digits,
        compiled(mlp(*[32] * 10, activation="sigmoid"), sgd(0.01)),
        UNTRAINED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "linear-for-xor",
        data.xor,
        compiled(mlp(), adam(1e-2)),
        UNTRAINED,
        "answers",
        "xor-tanh",
    ),
    Judged(
        "linear-for-circles",
        data.circles,
        compiled(mlp(head="sigmoid", units=1), adam(1e-2), BINARY),
        UNTRAINED,
        "answers",
        "circles-mlp",
    ),
    Judged(
        "penalty-too-strong",
        data.digits,
        compiled(mlp(64, 64, kernel_regularizer=keras.regularizers.L2(1.0)), adam()),
        UNTRAINED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "dropout-too-strong",
        data.digits,
        compiled(mlp(16, 16, dropout=0.99), adam()),
        UNTRAINED,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "loss-negated",
        data.digits,
        compiled(mlp(64), adam(), _negated),
        (*DIVERGED, "loss_mismatch"),
        "answers",
        "digits-mlp",
    ),
    Judged(
        "labels-shuffled",
        breaking.shuffled_labels(data.digits),
        compiled(mlp(64), adam()),
        ("no_signal", "underfit", "overfit"),
        "answers",
        "digits-mlp",
    ),
    Judged(
        "labels-shuffled-cancer",
        breaking.shuffled_labels(data.cancer),
        compiled(mlp(64), adam()),
        ("no_signal", "underfit", "overfit"),
        "answers",
        "cancer-mlp",
    ),
    Judged(
        "labels-shuffled-by-heart",
        breaking.shuffled_labels(data.digits),
        compiled(mlp(256, 256), adam(3e-3)),
        ("no_signal", "overfit"),
        "answers",
        "digits-mlp",
        epochs=40,
    ),
)


SCALING = (
    Judged(
        "unscaled-cancer",
        data.cancer_raw,
        compiled(mlp(32, 16), sgd(0.1)),
        UNSCALED,
        "answers",
        "cancer-mlp",
    ),
    Judged(
        "unscaled-wine",
        data.wine_raw,
        compiled(mlp(32, 16), sgd(0.1)),
        UNSCALED,
        "answers",
        "wine-mlp",
    ),
    Judged(
        "unscaled-wine-adam",
        data.wine_raw,
        compiled(mlp(16), adam()),
        UNSCALED,
        "answers",
        "wine-mlp",
    ),
    Judged(
        "unscaled-column",
        data.mapped(data.blobs, lambda x: x * np.array([1] * 7 + [1e6], "float32")),
        compiled(mlp(32), sgd(0.01)),
        UNSCALED,
        "answers",
        "blobs-mlp",
    ),
    Judged(
        "unscaled-digits",
        data.mapped(data.digits, lambda x: x * 1e4),
        compiled(mlp(64, 64), sgd(0.1)),
        UNSCALED,
        "answers",
        "digits-mlp",
    ),
)
