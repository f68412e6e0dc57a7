# SPDX-License-Identifier: Apache-2.0
"""Trainings that must not be blocked, however odd some of them look."""

import keras
from keras import layers, optimizers
from recipes import architectures as models
from recipes import datasets as data
from recipes.architectures import cnn, compiled, mlp, sequential
from recipes.making import adam, rmsprop, sgd
from recipes.recipe import Recipe

BatchNorm, LayerNorm = layers.BatchNormalization, layers.LayerNormalization


def _batch_norm(momentum=0.9):
    return lambda: BatchNorm(momentum=momentum)


def _cosine():
    return optimizers.Adam(optimizers.schedules.CosineDecay(3e-3, 400))


def _augmented():
    return [layers.RandomTranslation(0.1, 0.1), layers.GaussianNoise(0.05)]


def _transferred(make):
    """Trains a network on the first five digits, then freezes it below a new head."""

    def build(task):
        source = data.only_classes(data.digits, 0, 5)(0)
        base = mlp(64, 32)(source)
        base.compile("adam", models.SPARSE)
        base.fit(source.x, source.y, epochs=10, verbose=0)
        body = keras.Model(base.inputs, base.layers[-2].output, name="body")
        body.trainable = make == "tuned"
        head = layers.Dense(task.num_classes, "softmax")
        return keras.Sequential([keras.Input(task.shape), body, head])

    return build


def _random_features(task):
    """A wide random layer that stays as it is, below a trained head."""
    model = mlp(256)(task)
    model.layers[0].trainable = False
    return model


def _custom_loss(labels, outputs):
    chosen = keras.ops.take_along_axis(
        outputs, keras.ops.cast(keras.ops.reshape(labels, (-1, 1)), "int32"), axis=1
    )
    return -keras.ops.log(keras.ops.squeeze(chosen, 1) + 1e-7)


HEALTHY = (
    # Digits, dense.
    Recipe("digits-mlp-adam", data.digits, mlp(64)),
    Recipe("digits-mlp-default-head", data.digits, mlp(64, head=None)),
    Recipe(
        "digits-mlp-sgd-momentum", data.digits, compiled(mlp(64, 32), sgd(0.1, 0.9))
    ),
    Recipe("digits-mlp-plain-sgd", data.digits, compiled(mlp(64), sgd(0.3, 0.0))),
    Recipe(
        "digits-mlp-rmsprop",
        data.digits,
        compiled(mlp(64), rmsprop()),
    ),
    Recipe(
        "digits-mlp-adamw", data.digits, compiled(mlp(64), lambda: optimizers.AdamW())
    ),
    Recipe("digits-mlp-cosine", data.digits, compiled(mlp(64), _cosine)),
    Recipe(
        "digits-deep-he",
        data.digits,
        compiled(mlp(*[64] * 8, kernel_initializer="he_normal"), adam()),
    ),
    Recipe("digits-deep-tanh", data.digits, mlp(*[64] * 5, activation="tanh")),
    Recipe(
        "digits-selu",
        data.digits,
        mlp(*[64] * 6, activation="selu", kernel_initializer="lecun_normal"),
    ),
    Recipe(
        "digits-sigmoid",
        data.digits,
        compiled(mlp(64, activation="sigmoid"), adam(3e-3)),
    ),
    Recipe(
        "digits-gelu-layer-norm",
        data.digits,
        mlp(64, 64, activation="gelu", norm=LayerNorm),
    ),
    Recipe("digits-leaky-relu", data.digits, mlp(64, 64, activation=layers.LeakyReLU)),
    Recipe(
        "digits-dropout-heavy",
        data.digits,
        mlp(256, 256, dropout=0.7),
        config={"epochs": 30},
    ),
    Recipe(
        "digits-dropout-and-batch-norm",
        data.digits,
        mlp(128, dropout=0.5, norm=_batch_norm()),
    ),
    Recipe(
        "digits-small-batch",
        data.few(data.digits, 400),
        mlp(64),
        config={"batch_size": 4, "epochs": 12},
    ),
    Recipe(
        "digits-small-batch-norm",
        data.few(data.digits, 400),
        mlp(64, norm=_batch_norm()),
        config={"batch_size": 4, "epochs": 12},
    ),
    Recipe("digits-high-momentum", data.digits, compiled(mlp(64), sgd(0.01, 0.99))),
    Recipe(
        "digits-weight-penalty",
        data.digits,
        mlp(64, kernel_regularizer="l2"),
    ),
    Recipe("digits-noisy-labels", data.noisy_labels(data.digits, 0.3), mlp(64)),
    Recipe(
        "digits-tiny",
        data.few(data.digits, 100),
        mlp(32),
        config={"batch_size": 16, "epochs": 60},
    ),
    Recipe(
        "digits-long-tail",
        data.long_tail(data.digits, 10),
        mlp(64),
        config={"epochs": 40},
    ),
    Recipe("digits-sorted", data.sorted_by_class(data.digits), mlp(64)),
    Recipe("digits-raw-pixels", data.digits_raw, mlp(64)),
    Recipe(
        "digits-many-epochs",
        data.few(data.digits, 300),
        mlp(128),
        config={"epochs": 120, "patience": None},
    ),
    Recipe("digits-squared-error", data.digits, compiled(mlp(64), adam(3e-3), "mse")),
    Recipe(
        "digits-independent-units",
        data.digits,
        compiled(mlp(64, head="sigmoid"), adam(3e-3), "binary_crossentropy"),
    ),
    Recipe(
        "digits-one-hot",
        data.digits,
        compiled(mlp(64), adam(), "categorical_crossentropy"),
    ),
    Recipe(
        "digits-custom-loss",
        data.digits,
        compiled(mlp(64), adam(), _custom_loss),
    ),
    Recipe("digits-subclassed", data.digits, models.subclassed),
    Recipe(
        "digits-transfer-frozen",
        data.only_classes(data.digits, 5, 10),
        _transferred("frozen"),
        config={"epochs": 40},
    ),
    Recipe(
        "digits-transfer-tuned",
        data.only_classes(data.digits, 5, 10),
        _transferred("tuned"),
    ),
    Recipe(
        "digits-random-features", data.digits, _random_features, config={"epochs": 40}
    ),
    # Digits, as pictures and sequences.
    Recipe(
        "digits-cnn-default-rate",
        data.digit_pictures,
        compiled(cnn(16, 32), adam()),
        config={"epochs": 30},
    ),
    Recipe(
        "digits-cnn",
        data.digit_pictures,
        compiled(cnn(16, 32), adam(3e-3)),
        config={"epochs": 30},
    ),
    Recipe(
        "digits-cnn-batch-norm", data.digit_pictures, cnn(16, 32, norm=_batch_norm())
    ),
    Recipe(
        "digits-cnn-default-momentum",
        data.digit_pictures,
        compiled(cnn(16, 32, norm=BatchNorm), adam(3e-3)),
    ),
    Recipe(
        "digits-cnn-few-steps",
        data.few(data.digit_pictures, 300),
        compiled(cnn(32, 32, norm=_batch_norm(0.5)), adam(3e-3)),
        config={"epochs": 4},
    ),
    Recipe(
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
    ),
    Recipe(
        "digits-residual", data.digit_pictures, compiled(models.residual, adam(3e-3))
    ),
    Recipe(
        "digits-lstm",
        data.digit_rows,
        compiled(models.recurrent(lambda: layers.LSTM(32)), adam(5e-3)),
    ),
    Recipe(
        "digits-gru",
        data.digit_rows,
        compiled(models.recurrent(lambda: layers.GRU(32)), adam(5e-3)),
    ),
    Recipe(
        "digits-attention",
        data.digit_rows,
        compiled(models.attention, adam(5e-3)),
        config={"epochs": 30},
    ),
    # Pictures, words.
    Recipe("stripes-cnn", data.stripes_scaled, compiled(cnn(16, 32), adam(3e-3))),
    Recipe(
        "stripes-cnn-rescaling",
        data.stripes,
        compiled(cnn(16, 32, first=(lambda: layers.Rescaling(1 / 255),)), adam(3e-3)),
    ),
    Recipe(
        "stripes-cnn-raw-pixels-norm", data.stripes, cnn(16, 32, norm=_batch_norm())
    ),
    Recipe("words-embedding", data.words, compiled(models.embedding, adam(1e-2))),
    # Numbers.
    Recipe("cancer-mlp", data.cancer, mlp(32, 16)),
    Recipe("cancer-single-unit", data.cancer, mlp(32, head="sigmoid", units=1)),
    Recipe(
        "cancer-logistic",
        data.cancer,
        compiled(mlp(head="sigmoid", units=1), adam(1e-2), "binary_crossentropy"),
    ),
    Recipe("cancer-normalization", data.cancer_raw, models.normalized(mlp(32))),
    Recipe(
        "cancer-raw-batch-norm-first",
        data.cancer_raw,
        sequential(lambda: [BatchNorm(momentum=0.9), layers.Dense(32, "relu")]),
    ),
    Recipe(
        "cancer-uneven",
        data.rare(data.cancer, 20, label=0),
        mlp(32, 16),
        config={"epochs": 40},
    ),
    Recipe("wine-mlp", data.wine, mlp(32), config={"epochs": 40}),
    Recipe(
        "wine-tiny",
        data.few(data.wine, 30),
        mlp(16),
        config={"epochs": 60, "batch_size": 8},
    ),
    Recipe("iris-mlp", data.iris, mlp(16), config={"epochs": 60, "batch_size": 16}),
    Recipe("blobs-mlp", data.blobs, mlp(32)),
    Recipe(
        "blobs-zero-start",
        data.blobs,
        compiled(mlp(kernel_initializer="zeros"), sgd(0.1, 0.9)),
    ),
    Recipe("many-blobs", data.many_blobs, mlp(64)),
    Recipe(
        "circles-mlp",
        data.circles,
        compiled(mlp(32, 32), adam(5e-3)),
        config={"epochs": 40},
    ),
    Recipe(
        "moons-mlp",
        data.moons,
        compiled(mlp(32, 32), adam(5e-3)),
        config={"epochs": 40},
    ),
    Recipe(
        "xor-tanh",
        data.xor,
        compiled(mlp(32, activation="tanh"), adam(2e-2)),
        config={"epochs": 40},
    ),
    Recipe("hard-mlp", data.hard, mlp(16)),
    Recipe("hard-logistic", data.hard, mlp(head="sigmoid", units=1)),
    Recipe("hard-large", data.hard, mlp(128, 128)),
    Recipe(
        "hard-dropout-noise", data.noisy_labels(data.blobs, 0.4), mlp(64, dropout=0.5)
    ),
    Recipe(
        "moons-uneven",
        data.rare(data.moons, 20),
        compiled(mlp(32, 32), adam(5e-3)),
        config={"epochs": 40},
    ),
)
