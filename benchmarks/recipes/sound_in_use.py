# SPDX-License-Identifier: Apache-2.0
"""Models that are sound in use, however odd some of them look."""

import keras
from keras import layers, losses, optimizers
from recipes import architectures as models
from recipes import breaking
from recipes import populations as data
from recipes.architectures import SPARSE, cnn, compiled, mlp, sequential
from recipes.judged import Judged
from recipes.making import adam, rmsprop, sgd
from recipes.parts import BINARY, batch_norm, stopping
from recipes.sound_numbers import NUMBERS

BatchNorm, LayerNorm = layers.BatchNormalization, layers.LayerNormalization


def _augmented():
    return [layers.RandomTranslation(0.1, 0.1), layers.GaussianNoise(0.05)]


def _pretrained(fine_tuned):
    """Trains a network on the first five digits, then puts a new head on it."""

    def build(task):
        few = task.train.y < 5
        base = mlp(64, 32, units=5)(task)
        base.compile("adam", SPARSE, jit_compile=False)
        base.fit(task.train.x[few], task.train.y[few], epochs=10, verbose=0)
        body = keras.Model(base.inputs, base.layers[-2].output, name="body")
        body.trainable = fine_tuned
        head = layers.Dense(task.num_classes, "softmax")
        model = keras.Sequential([keras.Input(task.shape), body, head])
        model.compile(optimizers.Adam(3e-3), SPARSE)
        return model

    return build


def _frozen_batch_norm(task):
    """A convolutional base with BatchNorm, trained, then frozen below a new head."""
    base = cnn(16, 32, norm=batch_norm())(task)
    base.compile(optimizers.Adam(3e-3), SPARSE, jit_compile=False)
    base.fit(task.train.x, task.train.y, epochs=10, verbose=0)
    body = keras.Model(base.inputs, base.layers[-2].output, name="body")
    body.trainable = False
    model = keras.Sequential(
        [keras.Input(task.shape), body, layers.Dense(task.num_classes, "softmax")]
    )
    model.compile(optimizers.Adam(1e-2), SPARSE)
    return model


def _random_features(task):
    model = mlp(256)(task)
    model.layers[0].trainable = False
    model.compile(optimizers.Adam(3e-3), SPARSE)
    return model


def _two_inputs_in_one(task):
    """Two branches that are added and multiplied; no Sequential model."""
    inputs = keras.Input(task.shape)
    left = layers.Dense(32, "relu")(inputs)
    right = layers.Dense(32, "sigmoid")(inputs)
    x = layers.Concatenate()([left * right, left])
    return keras.Model(inputs, layers.Dense(task.num_classes, "softmax")(x))


def _group_norm():
    return layers.GroupNormalization(groups=4)


def _smoothed(labels, outputs):
    hot = keras.ops.one_hot(
        keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), outputs.shape[-1]
    )
    return losses.categorical_crossentropy(hot, outputs, label_smoothing=0.2)


def _averaged():
    return optimizers.Adam(3e-3, use_ema=True, ema_momentum=0.9)


DIGITS = (
    Judged("digits-mlp", data.digits, compiled(mlp(64), adam())),
    Judged("digits-mlp-sgd", data.digits, compiled(mlp(64, 32), sgd(0.1, 0.9))),
    Judged("digits-mlp-rmsprop", data.digits, compiled(mlp(64), rmsprop())),
    Judged("digits-mlp-averaged", data.digits, compiled(mlp(64), _averaged)),
    Judged("digits-logistic", data.digits, compiled(mlp(), adam(1e-2))),
    Judged(
        "digits-raw-rescaled",
        data.digits_raw,
        compiled(
            sequential(
                lambda: [layers.Dense(64, "relu")],
                first=(lambda: layers.Rescaling(1 / 16),),
            ),
            adam(3e-3),
        ),
    ),
    Judged(
        "digits-raw-batch-norm",
        data.digits_raw,
        compiled(
            sequential(lambda: [BatchNorm(momentum=0.9), layers.Dense(64, "relu")]),
            adam(3e-3),
        ),
    ),
    Judged(
        "digits-dropout-heavy",
        data.digits,
        compiled(mlp(256, 256, dropout=0.7), adam(3e-3)),
        epochs=25,
    ),
    Judged(
        "digits-dropout-on-inputs",
        data.digits,
        compiled(
            sequential(lambda: [layers.Dropout(0.5), layers.Dense(128, "relu")]),
            adam(3e-3),
        ),
        epochs=25,
    ),
    Judged(
        "digits-dropout-batch-norm",
        data.digits,
        compiled(mlp(128, dropout=0.5, norm=batch_norm()), adam(3e-3)),
    ),
    Judged(
        "digits-noise",
        data.digits,
        compiled(
            sequential(lambda: [layers.GaussianNoise(0.3), layers.Dense(64, "relu")]),
            adam(3e-3),
        ),
    ),
    Judged(
        "digits-small-batch",
        data.digits,
        compiled(mlp(64), adam()),
        epochs=5,
        batch_size=4,
    ),
    Judged(
        "digits-small-batch-norm",
        data.digits,
        compiled(mlp(64, norm=batch_norm()), adam()),
        epochs=6,
        batch_size=8,
    ),
    Judged(
        "digits-large-batch",
        data.digits,
        compiled(mlp(64), adam(1e-2)),
        epochs=40,
        batch_size=300,
    ),
    Judged(
        "digits-layer-norm",
        data.digits,
        compiled(mlp(64, 64, activation="gelu", norm=LayerNorm), adam()),
    ),
    Judged(
        "digits-tanh-deep",
        data.digits,
        compiled(mlp(*[64] * 5, activation="tanh"), adam()),
    ),
    Judged(
        "digits-sigmoid",
        data.digits,
        compiled(mlp(64, activation="sigmoid"), adam(1e-2)),
    ),
    Judged(
        "digits-selu",
        data.digits,
        compiled(
            mlp(64, 64, 64, activation="selu", kernel_initializer="lecun_normal"),
            adam(),
        ),
    ),
    Judged("digits-tiny", data.digits, compiled(mlp(12), adam(1e-2)), epochs=25),
    Judged(
        "digits-smoothed-labels",
        data.digits,
        compiled(mlp(64), adam(3e-3), _smoothed),
    ),
    Judged(
        "digits-long-tail",
        breaking.long_tail(data.digits, 8),
        compiled(mlp(64), adam(3e-3)),
        epochs=25,
    ),
    Judged(
        "digits-noisy-labels",
        breaking.noisy_labels(data.digits, 0.1, ("train", "eval", "use")),
        compiled(mlp(24, dropout=0.3), adam(3e-3)),
        epochs=30,
        options=stopping(),
    ),
    Judged("digits-random-features", data.digits, _random_features, epochs=20),
    Judged("digits-frozen-base", data.digits, _pretrained(False), epochs=25),
    Judged("digits-fine-tuned", data.digits, _pretrained(True), epochs=15),
    Judged(
        "digits-logits-named",
        data.digits,
        compiled(
            mlp(64, head="linear"),
            adam(),
            losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
        judging={"from_logits": True},
    ),
    Judged("digits-branches", data.digits, compiled(_two_inputs_in_one, adam(3e-3))),
)

PICTURES = (
    Judged("digits-cnn", data.digit_pictures, compiled(cnn(16, 32), adam(1e-2))),
    Judged(
        "digits-cnn-batch-norm",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=batch_norm()), adam(3e-3)),
    ),
    Judged(
        "digits-cnn-default-momentum",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=BatchNorm), adam(3e-3)),
        epochs=25,
    ),
    Judged(
        "digits-cnn-group-norm",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=_group_norm), adam(3e-3)),
    ),
    Judged(
        "digits-cnn-layer-norm",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=LayerNorm), adam(1e-2)),
    ),
    Judged(
        "digits-cnn-few-rows-low-momentum",
        breaking.few(data.digit_pictures, 400),
        compiled(cnn(32, 32, norm=batch_norm(0.5)), adam(1e-2)),
        epochs=10,
    ),
    Judged(
        "digits-cnn-augmented",
        data.digit_pictures,
        compiled(
            sequential(
                lambda: [
                    *_augmented(),
                    layers.Conv2D(16, 3, activation="relu"),
                    layers.Flatten(),
                ]
            ),
            adam(3e-3),
        ),
        epochs=20,
    ),
    Judged(
        "digits-residual",
        data.digit_pictures,
        compiled(models.residual, adam(3e-3)),
    ),
    Judged("digits-cnn-frozen-norm", data.digit_pictures, _frozen_batch_norm),
    Judged("stripes-cnn", data.stripes, compiled(cnn(16, 32), adam(1e-2))),
    Judged(
        "stripes-cnn-rescaling",
        data.stripes_raw,
        compiled(cnn(16, 32, first=(lambda: layers.Rescaling(1 / 255),)), adam(1e-2)),
    ),
    Judged(
        "stripes-cnn-norm-first",
        data.stripes_raw,
        compiled(cnn(16, 32, norm=batch_norm()), adam(3e-3)),
    ),
    Judged(
        "stripes-few",
        breaking.few(data.stripes, 200),
        compiled(cnn(16, 32), adam(1e-2)),
    ),
    Judged("colors-cnn", data.colors, compiled(cnn(8), adam(1e-2))),
    Judged(
        "colors-cnn-batch-norm",
        data.colors,
        compiled(cnn(8, norm=batch_norm()), adam(1e-2)),
    ),
    Judged("patches-cnn", data.patches, compiled(cnn(16, 32), adam(1e-2))),
    Judged(
        "patches-cnn-one-unit",
        data.patches,
        compiled(
            sequential(
                lambda: [
                    layers.Conv2D(16, 3, 2, activation="relu"),
                    layers.GlobalAveragePooling2D(),
                ],
                activation="sigmoid",
                units=1,
            ),
            adam(1e-2),
            BINARY,
        ),
    ),
    Judged(
        "patches-cnn-batch-norm",
        data.patches,
        compiled(cnn(16, norm=batch_norm()), adam(3e-3)),
        epochs=20,
    ),
)

SEQUENCES = (
    Judged(
        "digits-gru",
        data.digit_rows,
        compiled(models.recurrent(lambda: layers.GRU(24)), adam(1e-2)),
        epochs=12,
    ),
    Judged(
        "digits-attention",
        data.digit_rows,
        compiled(models.attention, adam(1e-2)),
        epochs=20,
    ),
    Judged("words-embedding", data.words, compiled(models.embedding, adam(1e-2))),
)

SOUND = (*DIGITS, *PICTURES, *SEQUENCES, *NUMBERS)
