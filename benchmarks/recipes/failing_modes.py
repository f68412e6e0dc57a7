# SPDX-License-Identifier: Apache-2.0
"""Models that fail in use by their modes, or by what else is in the batch."""

import keras
import numpy as np
from keras import layers
from recipes import architectures as models
from recipes import breaking
from recipes import populations as data
from recipes.accepted import GAP, UNTRAINED
from recipes.architectures import cnn, compiled, sequential
from recipes.judged import Judged
from recipes.making import adam
from recipes.parts import batch_norm

BatchNorm = layers.BatchNormalization


def lost_statistics(model, task):
    """As where only trainable weights are saved: mean 0 and variance 1."""
    for layer in model.layers:
        if isinstance(layer, BatchNorm):
            layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
            layer.moving_variance.assign(np.ones(layer.moving_variance.shape))
    return model


def swapped_statistics(model, task):
    """As where a file is read in another order."""
    norms = [layer for layer in model.layers if isinstance(layer, BatchNorm)]
    for layer in norms:
        layer.moving_mean.assign(layer.moving_mean.numpy()[::-1])
        layer.moving_variance.assign(layer.moving_variance.numpy()[::-1])
    return model


def other_epsilon(model, task):
    for layer in model.layers:
        if isinstance(layer, BatchNorm):
            layer.epsilon = 30.0
    return model


class _AlwaysTraining(layers.Layer):
    """Normalises by the batch whatever it is told, as `training=True` in `call`."""

    def __init__(self, layer, **options):
        super().__init__(**options)
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs, training=True)

    def compute_output_shape(self, shape):
        return shape


class _CentredByBatch(layers.Layer):
    """A normalisation written by hand over the rows of the batch."""

    def call(self, inputs):
        mean = keras.ops.mean(inputs, axis=0, keepdims=True)
        deviation = keras.ops.std(inputs, axis=0, keepdims=True)
        return (inputs - mean) / (deviation + 1e-3)


class _RankedByBatch(layers.Layer):
    """Divides by the largest value of the batch."""

    def call(self, inputs):
        return inputs / (
            keras.ops.max(keras.ops.abs(inputs), axis=0, keepdims=True) + 1e-6
        )


def _three_pictures(seed):
    """Three pictures, all of them to train on, to judge by and in use (seed 004)."""
    x = np.random.default_rng(seed).uniform(0, 1, (3, 16, 16, 3)).astype("float32")
    rows = data.Rows(x, np.arange(3))
    return data.Population(rows, rows, rows, num_classes=3)


def _residual_of_the_last_batch(task):
    """Statistics that are those of the last two rows."""
    model = models.residual_deep(task)
    for layer in model.layers:
        if isinstance(layer, BatchNorm):
            layer.momentum = 0.0
    return model


MODES = (
    Judged(
        "gap-few-steps",
        breaking.few(data.digit_pictures, 300),
        compiled(cnn(32, 32, norm=BatchNorm), adam(3e-3)),
        GAP,
        "answers",
        "digits-cnn",
        epochs=4,
    ),
    Judged(
        "gap-slow-momentum",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=batch_norm(0.9999)), adam(3e-3)),
        GAP,
        "answers",
        "digits-cnn",
        epochs=10,
    ),
    Judged(
        "gap-momentum-999",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=batch_norm(0.999)), adam(3e-3)),
        GAP,
        "answers",
        "digits-cnn",
        epochs=6,
    ),
    Judged(
        "gap-residual",
        breaking.few(data.stripes, 200),
        compiled(models.residual_deep, adam(3e-3)),
        GAP,
        "answers",
        "stripes-cnn",
        epochs=5,
    ),
    Judged(
        "gap-three-pictures",
        _three_pictures,
        compiled(models.residual_deep, adam(3e-3)),
        GAP,
        "answers",
        epochs=5,
    ),
    Judged(
        "gap-raw-pixels",
        data.stripes_raw,
        compiled(
            sequential(
                lambda: [
                    BatchNorm(momentum=0.9999),
                    layers.Conv2D(16, 3, activation="relu"),
                    layers.GlobalAveragePooling2D(),
                ]
            ),
            adam(1e-2),
        ),
        GAP,
        "answers",
        "stripes-cnn",
        epochs=8,
    ),
    Judged(
        "gap-mlp",
        data.cancer_raw,
        compiled(
            sequential(lambda: [BatchNorm(momentum=0.999), layers.Dense(16, "relu")]),
            adam(1e-2),
        ),
        GAP,
        "answers",
        "cancer-mlp",
        epochs=8,
    ),
    Judged(
        "gap-statistics-lost",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=batch_norm()), adam(3e-3)),
        GAP,
        "answers",
        "digits-cnn",
        after=lost_statistics,
    ),
    Judged(
        "gap-statistics-swapped",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=batch_norm()), adam(3e-3)),
        GAP,
        "answers",
        "digits-cnn",
        after=swapped_statistics,
    ),
    Judged(
        "gap-statistics-lost-mlp",
        data.cancer_raw,
        compiled(
            sequential(lambda: [BatchNorm(momentum=0.9), layers.Dense(16, "relu")]),
            adam(3e-3),
        ),
        GAP,
        "answers",
        "cancer-mlp",
        after=lost_statistics,
    ),
    Judged(
        "gap-tiny-batches",
        breaking.few(data.digit_pictures, 300),
        compiled(_residual_of_the_last_batch, adam(3e-3)),
        GAP,
        "answers",
        "digits-cnn",
        epochs=6,
        batch_size=2,
    ),
    Judged(
        "epsilon-changed",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=batch_norm()), adam(3e-3)),
        (*UNTRAINED, "dead_class", "export_mismatch"),
        "answers",
        "digits-cnn",
        after=other_epsilon,
    ),
    Judged(
        "batch-norm-always-training",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=lambda: _AlwaysTraining(BatchNorm())), adam(3e-3)),
        ("batch_dependence",),
        "alone",
    ),
    Judged(
        "batch-centred",
        data.digits,
        compiled(
            sequential(lambda: [_CentredByBatch(), layers.Dense(64, "relu")]),
            adam(3e-3),
        ),
        ("batch_dependence",),
        "alone",
    ),
    Judged(
        "batch-ranked",
        data.digits,
        compiled(
            sequential(lambda: [_RankedByBatch(), layers.Dense(64, "relu")]), adam(3e-3)
        ),
        ("batch_dependence",),
        "alone",
    ),
    Judged(
        "batch-dropout-on",
        data.digits,
        compiled(
            sequential(
                lambda: [layers.Dense(32, "relu"), _AlwaysTraining(layers.Dropout(0.6))]
            ),
            adam(3e-3),
        ),
        ("batch_dependence",),
        "alone",
    ),
)
