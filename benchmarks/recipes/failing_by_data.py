# SPDX-License-Identifier: Apache-2.0
"""Models that fail in use because of what the two splits hold."""

import numpy as np
from recipes import architectures as models
from recipes import breaking
from recipes import populations as data
from recipes.architectures import cnn, compiled, mlp
from recipes.judged import Judged
from recipes.making import adam

SKEW = ("train_eval_skew",)
TOO_FEW = ("insufficient_evidence",)
COPIES = ("duplicate_leakage", "near_duplicate_leakage")
LEAK = ("label_leakage",)
AT_SITE = ("weak_slice", "collapse", "constant_output", "dead_class", "no_signal")


def _turned(x):
    """Columns in another order."""
    return x[..., np.random.default_rng(5).permutation(x.shape[-1])]


def _upside_down(x):
    return x.reshape(-1, 8, 8)[:, ::-1].reshape(-1, 64)


def _at_site_b(change, *parts):
    """Changes the inputs of the rows of site B."""

    def placed(make):
        def changed(seed):
            task = make(seed)
            done = {}
            for part in parts or ("train", "eval", "use"):
                rows = getattr(task, part)
                x = rows.x.copy()
                x[rows.site == "B"] = change(x[rows.site == "B"])
                done[part] = rows.having(x=x)
            return task.having(**done)

        return changed

    return placed


def _blank_at_b(make):
    return _at_site_b(np.zeros_like, "eval", "use")(make)


def _negative_at_b(make):
    return _at_site_b(lambda x: -x, "eval", "use")(make)


def _blank_everywhere_at_b(make):
    return _at_site_b(np.zeros_like)(make)


def _blurred_at_b(make):
    random = np.random.default_rng(3)
    return _at_site_b(lambda x: x + random.normal(0, 0.5, x.shape).astype("float32"))(
        make
    )


def _turned_at_b(make):
    return _at_site_b(_turned, "eval", "use")(make)


def _pairs_swapped(labels, seed):
    """As where one folder's names were sorted as text and the other's as numbers."""
    return labels ^ 1


def _rolled(labels, seed):
    return (labels + 1) % 10


_sites_digits = breaking.two_sites(data.digits)
_sites_blobs = breaking.two_sites(data.blobs, 0.3)

BY_DATA = (
    Judged(
        "columns-cancer",
        data.mapped(data.cancer_raw, _turned, "eval", "use"),
        compiled(models.normalized(mlp(16)), adam(3e-3)),
        SKEW,
        "answers",
        "cancer-mlp",
    ),
    Judged(
        "columns-wine",
        data.mapped(data.wine, _turned, "eval", "use"),
        compiled(mlp(16), adam(1e-2)),
        SKEW,
        "answers",
        "wine-mlp",
        epochs=25,
    ),
    Judged(
        "columns-digits",
        data.mapped(data.digits, _turned, "eval", "use"),
        compiled(mlp(64), adam()),
        SKEW,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "pictures-upside-down",
        data.mapped(data.digits, _upside_down, "eval", "use"),
        compiled(mlp(64), adam()),
        SKEW,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "unscaled-eval-digits",
        data.mapped(data.digits, lambda x: 16 * x, "eval", "use"),
        compiled(mlp(64, activation="tanh"), adam(1e-2)),
        SKEW,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "unscaled-eval-cancer",
        data.raw_after_training(data.cancer_raw),
        compiled(mlp(16), adam(3e-3)),
        SKEW,
        "answers",
        "cancer-mlp",
    ),
    Judged(
        "unscaled-eval-wine",
        data.raw_after_training(data.wine_raw),
        compiled(mlp(16), adam(1e-2)),
        SKEW,
        "answers",
        "wine-mlp",
        epochs=25,
    ),
    Judged(
        "unscaled-eval-stripes",
        data.mapped(data.stripes, lambda x: x * 255, "eval", "use"),
        compiled(cnn(16, 32, activation="tanh"), adam(1e-2)),
        SKEW,
        "answers",
        "stripes-cnn",
    ),
    Judged(
        "dark-eval",
        data.mapped(data.digits, lambda x: x / 255, "eval", "use"),
        compiled(mlp(64), adam()),
        SKEW,
        "answers",
        "digits-mlp",
    ),
    Judged(
        "channels-turned",
        data.mapped(data.colors, lambda x: x[..., ::-1], "eval", "use"),
        compiled(cnn(8), adam(1e-2)),
        SKEW,
        "answers",
        "colors-cnn",
    ),
    Judged(
        "shifted-eval",
        data.mapped(data.blobs, lambda x: x + 2, "eval", "use"),
        compiled(mlp(32), adam(3e-3)),
        SKEW,
        "answers",
        "blobs-mlp",
    ),
    Judged(
        "column-zero",
        data.mapped(
            data.needles,
            lambda x: np.where(np.arange(62) < 2, 0, x).astype("float32"),
            "eval",
            "use",
        ),
        compiled(mlp(16), adam(3e-3)),
        SKEW,
        "answers",
        "needles-penalty",
        epochs=6,
    ),
    Judged(
        "labels-rolled-in-training",
        breaking.relabelled(data.digits, _rolled, "train"),
        compiled(mlp(64), adam()),
        (*SKEW, "conflicting_labels", "no_signal"),
        "answers",
        "digits-mlp",
    ),
    Judged(
        "labels-swapped-in-training",
        breaking.relabelled(data.blobs, _pairs_swapped, "train"),
        compiled(mlp(32), adam(3e-3)),
        (*SKEW, "conflicting_labels", "no_signal"),
        "answers",
        "blobs-mlp",
    ),
    Judged(
        "eval-of-five",
        breaking.thin_eval(data.digits, 5),
        compiled(mlp(64), adam()),
        TOO_FEW,
        "evidence",
    ),
    Judged(
        "eval-of-twelve",
        breaking.thin_eval(data.cancer, 12),
        compiled(mlp(16), adam()),
        TOO_FEW,
        "evidence",
    ),
    Judged(
        "eval-of-twenty-nine",
        breaking.thin_eval(data.blobs, 29),
        compiled(mlp(32), adam(3e-3)),
        TOO_FEW,
        "evidence",
    ),
    Judged(
        "eval-without-class",
        breaking.without_class(data.digits, 4, "eval"),
        compiled(mlp(64), adam()),
        ("missing_class", *TOO_FEW),
        "evidence",
    ),
    Judged(
        "eval-of-one-class",
        breaking.without_class(data.moons, 1, "eval"),
        compiled(mlp(32), adam(1e-2)),
        ("missing_class", *TOO_FEW),
        "evidence",
    ),
    Judged(
        "copies-hard",
        breaking.copied(breaking.few(data.hard, 300), 0.6),
        compiled(mlp(256, 256), adam(3e-3)),
        COPIES,
        "promise",
        epochs=80,
    ),
    Judged(
        "copies-all",
        breaking.copied(breaking.few(lambda seed: data.moons(seed, 0.6), 150), 1.0),
        compiled(mlp(256, 256), adam(1e-2)),
        COPIES,
        "promise",
        epochs=150,
        batch_size=64,
    ),
    Judged(
        "copies-noisy-labels",
        breaking.copied(breaking.noisy_labels(data.digits, 0.3), 0.9),
        compiled(mlp(512), adam(5e-3)),
        COPIES,
        "promise",
        epochs=80,
    ),
    Judged(
        "near-copies",
        breaking.copied(breaking.few(data.overlapping, 300), 0.6, 1e-3),
        compiled(mlp(256, 256), adam(3e-3)),
        COPIES,
        "promise",
        epochs=80,
    ),
    Judged(
        "leak-exact",
        breaking.telling_column(data.overlapping, lambda y, random: y),
        compiled(mlp(16), adam(3e-3)),
        LEAK,
        "promise",
    ),
    Judged(
        "leak-noisy",
        breaking.telling_column(
            data.hard, lambda y, random: y + random.normal(0, 0.02, len(y))
        ),
        compiled(mlp(16), adam(1e-2)),
        LEAK,
        "promise",
    ),
    Judged(
        "leak-coded",
        breaking.telling_column(
            data.overlapping,
            lambda y, random: 10 * ((3 * y + 1) % 4) + random.integers(0, 3, len(y)),
        ),
        compiled(mlp(32), adam(1e-2)),
        LEAK,
        "promise",
    ),
    # One site is lost.
    Judged(
        "site-blank",
        _blank_at_b(_sites_digits),
        compiled(mlp(64), adam()),
        (*AT_SITE, *SKEW),
        "slice",
        sliced=True,
    ),
    Judged(
        "site-blank-everywhere",
        _blank_everywhere_at_b(_sites_digits),
        compiled(mlp(64), adam()),
        AT_SITE,
        "slice",
        sliced=True,
    ),
    Judged(
        "site-negative",
        _negative_at_b(_sites_blobs),
        compiled(mlp(32), adam(3e-3)),
        (*AT_SITE, *SKEW),
        "slice",
        sliced=True,
    ),
    Judged(
        "site-blank-blobs",
        _blank_everywhere_at_b(_sites_blobs),
        compiled(mlp(32), adam(3e-3)),
        AT_SITE,
        "slice",
        sliced=True,
    ),
    Judged(
        "site-noise",
        _blurred_at_b(_sites_digits),
        compiled(mlp(64), adam()),
        AT_SITE,
        "slice",
        sliced=True,
    ),
    Judged(
        "site-columns",
        _turned_at_b(_sites_digits),
        compiled(mlp(64), adam()),
        (*AT_SITE, *SKEW),
        "slice",
        sliced=True,
    ),
)
