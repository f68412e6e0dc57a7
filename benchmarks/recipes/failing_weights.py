# SPDX-License-Identifier: Apache-2.0
"""Models that fail in use by what they learnt by heart, their weights or outputs."""

import keras
import numpy as np
from keras import layers, losses
from recipes import architectures as models
from recipes import breaking
from recipes import populations as data
from recipes.accepted import LOGITS, OVERFIT, UNTRAINED
from recipes.architectures import cnn, compiled, mlp, sequential
from recipes.changes import changed
from recipes.judged import Judged
from recipes.making import adam
from recipes.parts import BINARY, batch_norm


def initialized_anew(model, task):
    fresh = keras.models.clone_model(model)
    model.set_weights(fresh.get_weights())
    return model


def last_layer_lost(model, task):
    fresh = keras.models.clone_model(model)
    model.layers[-1].set_weights(fresh.layers[-1].get_weights())
    return model


def first_layer_lost(model, task):
    fresh = keras.models.clone_model(model)
    first = next(i for i, layer in enumerate(model.layers) if layer.weights)
    model.layers[first].set_weights(fresh.layers[first].get_weights())
    return model


def behind(make):
    """Puts layers behind the model, as an export that was written by hand may."""

    def after(model, task):
        inputs = keras.Input(task.shape)
        return keras.Model(inputs, make(model(inputs)))

    return after


def before(make):
    """Puts layers before the model."""

    def after(model, task):
        inputs = keras.Input(task.shape, dtype=model.inputs[0].dtype)
        return keras.Model(inputs, model(make(inputs)))

    return after


def _nan_in_first(weights, random):
    weights[0].flat[0] = np.nan


def _nan_in_last(weights, random):
    weights[-1].flat[-1] = np.nan


def _biased_head(weights, random):
    weights[-1][0] += 1e3


def _zero_head(weights, random):
    weights[-2][:] = 0


def _noise(weights, random):
    for weight in weights:
        weight += random.normal(0, 3 * weight.std() + 1e-3, weight.shape)


OVERFITTING = (
    Judged(
        "overfit-digits-40",
        breaking.few(data.digits, 40),
        compiled(mlp(128), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=40,
    ),
    Judged(
        "overfit-digits-cnn-60",
        breaking.few(data.digit_pictures, 60),
        compiled(
            sequential(
                lambda: [
                    layers.Conv2D(16, 3, activation="relu"),
                    layers.Flatten(),
                    layers.Dense(64, "relu"),
                ]
            ),
            adam(3e-3),
        ),
        OVERFIT,
        "gap",
        epochs=40,
    ),
    Judged(
        "overfit-needles",
        breaking.few(data.needles, 50),
        compiled(mlp(64), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=40,
    ),
    Judged(
        "overfit-hard",
        breaking.few(data.hard, 150),
        compiled(mlp(128, 128), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=60,
    ),
    Judged(
        "overfit-overlapping",
        breaking.few(data.overlapping, 150),
        compiled(mlp(128, 128), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=60,
    ),
    Judged(
        "overfit-words",
        breaking.few(
            breaking.noisy_labels(data.words, 0.25, ("train", "eval", "use")), 80
        ),
        compiled(models.embedding, adam(3e-2)),
        OVERFIT,
        "gap",
        epochs=60,
    ),
    Judged(
        "overfit-noisy-labels",
        breaking.noisy_labels(data.blobs, 0.3, ("train", "eval", "use")),
        compiled(mlp(256, 256), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=80,
    ),
    Judged(
        "overfit-noisy-eval-too",
        breaking.noisy_labels(data.digits, 0.25, ("train", "eval", "use")),
        compiled(mlp(256, 256), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=60,
    ),
    Judged(
        "overfit-moons",
        breaking.few(lambda seed: data.moons(seed, 0.6), 60),
        compiled(mlp(256, 256), adam(1e-2)),
        OVERFIT,
        "gap",
        epochs=150,
        batch_size=60,
    ),
    Judged(
        "overfit-stripes",
        breaking.few(data.stripes, 40),
        compiled(
            sequential(lambda: [layers.Flatten(), layers.Dense(64, "relu")]), adam(3e-3)
        ),
        OVERFIT,
        "gap",
        epochs=40,
    ),
    Judged(
        "overfit-batch-norm",
        breaking.few(data.needles, 50),
        compiled(mlp(64, norm=batch_norm(0.8)), adam(3e-3)),
        OVERFIT,
        "gap",
        epochs=40,
    ),
)


WEIGHTS = (
    Judged(
        "nan-first-kernel",
        data.digits,
        compiled(mlp(64, activation="tanh"), adam()),
        ("not_a_number",),
        "answers",
        "digits-mlp",
        after=changed(_nan_in_first),
    ),
    Judged(
        "nan-head",
        data.cancer,
        compiled(mlp(16), adam()),
        ("not_a_number",),
        "answers",
        "cancer-mlp",
        after=changed(_nan_in_last),
    ),
    Judged(
        "nan-for-some",
        data.blobs,
        compiled(mlp(32), adam()),
        ("not_a_number",),
        "answers",
        "blobs-mlp",
        after=before(lambda x: keras.ops.log(x + 0.5)),
    ),
    Judged(
        "constant-head",
        data.digits,
        compiled(mlp(64), adam()),
        ("constant_output",),
        "answers",
        "digits-mlp",
        after=changed(_zero_head),
    ),
    Judged(
        "constant-zero-inputs",
        data.digit_pictures,
        compiled(cnn(16, 32), adam(1e-2)),
        ("constant_output",),
        "answers",
        "digits-cnn",
        after=before(lambda x: x * 0.0),
    ),
    Judged(
        "constant-bias",
        data.blobs,
        compiled(mlp(32), adam(3e-3)),
        ("constant_output", "collapse"),
        "answers",
        "blobs-mlp",
        after=changed(_biased_head),
    ),
    Judged(
        "lost-all-weights",
        data.digits,
        compiled(mlp(64), adam()),
        (*UNTRAINED, "export_mismatch"),
        "answers",
        "digits-mlp",
        after=initialized_anew,
    ),
    Judged(
        "lost-head",
        data.digits,
        compiled(mlp(64), adam()),
        (*UNTRAINED, "export_mismatch"),
        "answers",
        "digits-mlp",
        after=last_layer_lost,
    ),
    Judged(
        "lost-first-layer",
        data.digit_pictures,
        compiled(cnn(16, 32), adam(1e-2)),
        (*UNTRAINED, "export_mismatch"),
        "answers",
        "digits-cnn",
        after=first_layer_lost,
    ),
    Judged(
        "lost-weights-cancer",
        data.cancer,
        compiled(mlp(16, 16), adam()),
        (*UNTRAINED, "export_mismatch"),
        "answers",
        "cancer-mlp",
        after=initialized_anew,
    ),
    Judged(
        "damaged-weights",
        data.many_blobs,
        compiled(mlp(64), adam(3e-3)),
        (*UNTRAINED, "export_mismatch"),
        "answers",
        "many-blobs",
        after=changed(_noise),
    ),
    Judged(
        "scaled-twice",
        data.digits_raw,
        compiled(
            sequential(
                lambda: [layers.Dense(64, "relu")],
                first=(lambda: layers.Rescaling(1 / 16),),
            ),
            adam(3e-3),
        ),
        (*UNTRAINED, "export_mismatch"),
        "answers",
        "digits-mlp",
        after=before(lambda x: x / 255),
    ),
    Judged(
        "inverted-pictures",
        data.digit_pictures,
        compiled(cnn(16, 32), adam(1e-2)),
        (*UNTRAINED, "dead_class", "export_mismatch"),
        "answers",
        "digits-cnn",
        after=before(lambda x: 1 - x),
    ),
)


OUTPUTS = (
    Judged(
        "logits-digits",
        data.digits,
        compiled(
            mlp(64, head="linear"),
            adam(),
            losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
        LOGITS,
        "outputs",
    ),
    Judged(
        "logits-cnn",
        data.stripes,
        compiled(cnn(16, 32, first=()), adam(1e-2)),
        LOGITS,
        "outputs",
        after=behind(lambda p: keras.ops.log(p + 1e-7)),
    ),
    Judged(
        "logits-one-unit",
        data.cancer,
        compiled(
            mlp(16, head="linear", units=1),
            adam(3e-3),
            losses.BinaryCrossentropy(from_logits=True),
        ),
        LOGITS,
        "outputs",
    ),
    Judged(
        "sigmoids-many",
        data.digits,
        compiled(
            mlp(64, head="sigmoid"),
            adam(3e-3),
            lambda y, p: losses.binary_crossentropy(
                keras.ops.one_hot(
                    keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32"), 10
                ),
                p,
            ),
        ),
        LOGITS,
        "outputs",
    ),
    Judged(
        "percent",
        data.blobs,
        compiled(mlp(32), adam(3e-3)),
        LOGITS,
        "outputs",
        after=behind(lambda p: 100 * p),
    ),
    Judged(
        "softmax-one-unit",
        data.cancer,
        compiled(mlp(16, head="softmax", units=1), adam(), BINARY),
        (*LOGITS, "constant_output", "collapse"),
        "answers",
        "cancer-mlp",
    ),
    Judged(
        "squared-one-unit",
        data.cancer,
        compiled(mlp(16, head="linear", units=1), adam(3e-3), "mse"),
        LOGITS,
        "outputs",
    ),
)
