# SPDX-License-Identifier: Apache-2.0
"""Sound models of tables of numbers; see `sound_in_use`."""

import keras
from keras import layers
from recipes import architectures as models
from recipes import breaking
from recipes import populations as data
from recipes.architectures import compiled, mlp, sequential
from recipes.judged import Judged
from recipes.making import adam
from recipes.parts import batch_norm, one_unit, stopping

BatchNorm = layers.BatchNormalization

NUMBERS = (
    Judged("cancer-mlp", data.cancer, compiled(mlp(16), adam(3e-3))),
    Judged("cancer-one-unit", data.cancer, one_unit(16)),
    Judged("cancer-logistic", data.cancer, one_unit(rate=1e-2)),
    Judged(
        "cancer-normalization",
        data.cancer_raw,
        compiled(models.normalized(mlp(16)), adam(3e-3)),
    ),
    Judged(
        "cancer-batch-norm-first",
        data.cancer_raw,
        compiled(
            sequential(lambda: [BatchNorm(momentum=0.9), layers.Dense(16, "relu")]),
            adam(3e-3),
        ),
    ),
    Judged(
        "cancer-uneven",
        breaking.rare(data.cancer, 6, 0),
        compiled(mlp(16), adam(3e-3)),
        epochs=30,
    ),
    Judged("wine-mlp", data.wine, compiled(mlp(16), adam(1e-2)), epochs=25),
    Judged(
        "wine-dropout", data.wine, compiled(mlp(32, dropout=0.5), adam(1e-2)), epochs=30
    ),
    Judged("blobs-mlp", data.blobs, compiled(mlp(32), adam(3e-3))),
    Judged(
        "blobs-tiny-train",
        breaking.few(data.blobs, 60),
        compiled(mlp(16), adam(1e-2)),
        epochs=25,
        batch_size=8,
    ),
    Judged(
        "blobs-uneven",
        breaking.long_tail(data.blobs, 30, ("train", "eval", "use")),
        compiled(mlp(32), adam(3e-3)),
        epochs=25,
    ),
    Judged("many-blobs", data.many_blobs, compiled(mlp(64), adam(3e-3)), epochs=20),
    Judged(
        "hundred-blobs",
        data.hundred_blobs,
        compiled(mlp(128), adam(3e-3)),
        batch_size=64,
    ),
    Judged("circles-mlp", data.circles, compiled(mlp(32, 32), adam(1e-2)), epochs=20),
    Judged("moons-mlp", data.moons, compiled(mlp(32), adam(1e-2)), epochs=20),
    Judged(
        "moons-uneven",
        breaking.rare(data.moons, 15, parts=("train", "eval", "use")),
        compiled(mlp(32, 32), adam(1e-2)),
        epochs=40,
    ),
    Judged(
        "xor-tanh",
        data.xor,
        compiled(mlp(32, activation="tanh"), adam(2e-2)),
        epochs=30,
    ),
    Judged(
        "needles-penalty",
        data.needles,
        compiled(mlp(16, kernel_regularizer=keras.regularizers.L2(0.02)), adam(3e-3)),
        epochs=12,
    ),
    # Honest and hard: nobody does better.
    Judged("hard-mlp", data.hard, compiled(mlp(8), adam(3e-3)), epochs=10),
    Judged("hard-one-unit", data.hard, one_unit(8), epochs=10),
    Judged("hard-logistic", data.hard, one_unit(rate=1e-2), epochs=10),
    Judged(
        "hard-dropout", data.hard, compiled(mlp(64, dropout=0.6), adam(3e-3)), epochs=10
    ),
    Judged(
        "hard-batch-norm",
        data.hard,
        compiled(mlp(16, norm=batch_norm()), adam(3e-3)),
        epochs=10,
    ),
    Judged(
        "overlapping-mlp", data.overlapping, compiled(mlp(16), adam(3e-3)), epochs=12
    ),
    Judged(
        "overlapping-dropout",
        data.overlapping,
        compiled(mlp(64, dropout=0.5), adam(3e-3)),
        epochs=12,
    ),
    Judged(
        "overlapping-batch-norm",
        data.overlapping,
        compiled(mlp(16, norm=batch_norm()), adam(3e-3)),
        epochs=12,
    ),
    Judged(
        "moons-overlapping",
        lambda seed: data.moons(seed, 0.5),
        compiled(mlp(16), adam(1e-2)),
        epochs=12,
    ),
    Judged(
        "blobs-noisy-labels",
        breaking.noisy_labels(data.blobs, 0.2, ("train", "eval", "use")),
        compiled(mlp(16), adam(3e-3)),
        epochs=20,
        options=stopping(),
    ),
    # Two sites of which none is worse.
    Judged(
        "sites-blobs",
        breaking.two_sites(data.blobs),
        compiled(mlp(32), adam(3e-3)),
        sliced=True,
    ),
    Judged(
        "sites-digits",
        breaking.two_sites(data.digits),
        compiled(mlp(64), adam(3e-3)),
        sliced=True,
    ),
    Judged(
        "sites-overlapping",
        breaking.two_sites(data.overlapping),
        compiled(mlp(16), adam(3e-3)),
        epochs=12,
        sliced=True,
    ),
)
