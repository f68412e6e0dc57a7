# SPDX-License-Identifier: Apache-2.0
"""Models that fail in use because a class is rare, missing or neglected."""

import numpy as np
from recipes import breaking
from recipes import populations as data
from recipes.accepted import UNEVEN
from recipes.architectures import cnn, compiled, mlp
from recipes.changes import changed
from recipes.judged import Judged
from recipes.making import adam
from recipes.parts import BINARY


def _silent_class(weights, random):
    weights[-1][2] -= 50


IMBALANCE = (
    Judged(
        "uneven-hard",
        breaking.rare(data.hard, 20, parts=("train", "eval")),
        compiled(mlp(16), adam()),
        UNEVEN,
        "class",
        epochs=8,
    ),
    Judged(
        "uneven-hard-even-eval",
        breaking.rare(data.hard, 20),
        compiled(mlp(16), adam()),
        UNEVEN,
        "class",
        epochs=8,
    ),
    Judged(
        "uneven-one-unit",
        breaking.rare(data.hard, 15),
        compiled(mlp(8, head="sigmoid", units=1), adam(), BINARY),
        UNEVEN,
        "class",
        epochs=8,
    ),
    Judged(
        "uneven-tail-overlapping",
        breaking.long_tail(data.overlapping, 60),
        compiled(mlp(16), adam(3e-3)),
        UNEVEN,
        "class",
    ),
    Judged(
        "uneven-patches",
        breaking.rare(data.patches, 25),
        compiled(cnn(8), adam()),
        UNEVEN,
        "class",
        epochs=4,
    ),
    Judged(
        "uneven-digits-majority",
        breaking.long_tail(data.digits, 200),
        compiled(mlp(32), adam()),
        UNEVEN,
        "class",
        epochs=4,
    ),
    Judged(
        "uneven-cancer",
        breaking.rare(data.cancer, 40, 0),
        compiled(mlp(8), adam()),
        UNEVEN,
        "class",
        epochs=4,
    ),
    Judged(
        "uneven-moons",
        breaking.rare(lambda seed: data.moons(seed, 0.5), 40),
        compiled(mlp(16), adam()),
        UNEVEN,
        "class",
    ),
    Judged(
        "class-absent-from-training",
        breaking.without_class(data.digits, 7, "train"),
        compiled(mlp(64), adam()),
        ("missing_class",),
        "class",
    ),
    Judged(
        "class-absent-blobs",
        breaking.without_class(data.many_blobs, 3, "train"),
        compiled(mlp(64), adam(3e-3)),
        ("missing_class",),
        "class",
    ),
    Judged(
        "class-weight-zero",
        data.digits,
        compiled(mlp(64), adam()),
        ("dead_class",),
        "class",
        options={"class_weight": {k: float(k != 4) for k in range(10)}},
    ),
    Judged(
        "class-silenced",
        data.digits,
        compiled(mlp(64), adam()),
        ("dead_class",),
        "class",
        after=changed(_silent_class),
    ),
    Judged(
        "class-silenced-blobs",
        data.blobs,
        compiled(mlp(32), adam(3e-3)),
        ("dead_class",),
        "class",
        after=changed(_silent_class),
    ),
    Judged(
        "class-merged-in-training",
        data.digits,
        compiled(mlp(64), adam()),
        ("dead_class",),
        "class",
        fit=breaking.relabelled(
            data.digits, lambda y, seed: np.where(y == 3, 8, y), "train"
        ),
    ),
    Judged(
        "class-merged-hundred",
        data.hundred_blobs,
        compiled(mlp(128), adam(3e-3)),
        ("dead_class",),
        "class",
        fit=breaking.relabelled(
            data.hundred_blobs, lambda y, seed: np.where(y % 10 == 3, y - 1, y), "train"
        ),
        batch_size=64,
    ),
)
