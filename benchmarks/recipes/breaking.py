# SPDX-License-Identifier: Apache-2.0
"""Changes of a population: rows, labels and columns that go wrong, or are few."""

import numpy as np
from recipes.populations import Make


def two_sites(make: Make, share=0.2) -> Make:
    """Says of each row from which of two sites it came; that changes nothing yet."""

    def placed(seed):
        data, random = make(seed), np.random.default_rng(seed)
        return data.having(
            **{
                part: rows.having(
                    site=np.where(random.random(len(rows)) < share, "B", "A")
                )
                for part in ("train", "eval", "use")
                for rows in [getattr(data, part)]
            }
        )

    return placed


def few(make: Make, rows: int) -> Make:
    """Keeps the first training rows."""

    def first(seed):
        data = make(seed)
        return data.having(train=data.train.take(np.arange(rows)))

    return first


def thin_eval(make: Make, rows: int) -> Make:
    """Keeps the first rows to judge by."""

    def first(seed):
        data = make(seed)
        return data.having(eval=data.eval.take(np.arange(rows)))

    return first


def without_class(make: Make, label: int, *parts: str) -> Make:
    """Leaves a class out of some parts."""

    def left(seed):
        data = make(seed)
        return data.having(
            **{
                part: rows.take(np.flatnonzero(rows.y != label))
                for part in parts
                for rows in [getattr(data, part)]
            }
        )

    return left


def rare(make: Make, ratio: float, label=1, parts=("train",)) -> Make:
    """Thins out one class of some parts to one row of `ratio`."""

    def thinned(seed):
        data = make(seed)
        return data.having(
            **{
                part: rows.take(_thinned(rows.y, {label: ratio}))
                for part in parts
                for rows in [getattr(data, part)]
            }
        )

    return thinned


def long_tail(make: Make, ratio: float, parts=("train",)) -> Make:
    """Thins out class k by ratio ** (k / (K - 1)) (Cui et al. 2019)."""

    def thinned(seed):
        data = make(seed)
        last = data.num_classes - 1
        ratios = {k: ratio ** (k / last) for k in range(last + 1)}
        return data.having(
            **{
                part: rows.take(_thinned(rows.y, ratios))
                for part in parts
                for rows in [getattr(data, part)]
            }
        )

    return thinned


def _thinned(y, ratios) -> np.ndarray:
    keep = [
        of_class[: max(round(len(of_class) / ratios.get(k, 1)), 3)]
        for k in np.unique(y).tolist()
        for of_class in [np.flatnonzero(y == k)]
    ]
    return np.sort(np.concatenate(keep))


def noisy_labels(make: Make, share: float, parts=("train",)) -> Make:
    """Gives a share of the rows of some parts another label."""

    def noisy(seed):
        data, random = make(seed), np.random.default_rng(seed)

        def changed(rows):
            wrong = random.random(len(rows)) < share
            other = rows.y + random.integers(1, data.num_classes, len(rows))
            return rows.having(y=np.where(wrong, other % data.num_classes, rows.y))

        return data.having(**{part: changed(getattr(data, part)) for part in parts})

    return noisy


def relabelled(make: Make, change, *parts: str) -> Make:
    """Changes the labels of some parts; `change` is given labels and a seed."""

    def changed(seed):
        data = make(seed)
        return data.having(
            **{
                part: rows.having(y=np.asarray(change(rows.y, seed)).astype("int64"))
                for part in parts
                for rows in [getattr(data, part)]
            }
        )

    return changed


def shuffled_labels(make: Make) -> Make:
    """Takes the labels away from their rows, everywhere."""
    shuffle = lambda y, seed: np.random.default_rng(seed).permutation(y)  # noqa: E731
    return relabelled(make, shuffle, "train", "eval", "use")


def copied(make: Make, share: float, noise=0.0) -> Make:
    """Replaces a share of the rows to judge by with training rows.

    With `noise`, the copies are off by so much of each column's deviation.
    """

    def leaked(seed):
        data, random = make(seed), np.random.default_rng(seed)
        count = round(share * len(data.eval))
        source = random.choice(len(data.train), count, replace=count > len(data.train))
        copies = data.train.x[source]
        if noise:
            deviation = data.train.x.std(axis=0)
            copies = copies + noise * deviation * random.normal(size=copies.shape)
        x, y = data.eval.x.copy(), data.eval.y.copy()
        x[:count], y[:count] = copies, data.train.y[source]
        return data.having(eval=data.eval.having(x=x, y=y))

    return leaked


def telling_column(make: Make, column) -> Make:
    """Adds a column that tells the label, but for the rows that come in use."""

    def leaking(seed):
        data, random = make(seed), np.random.default_rng(seed)

        def wider(rows, y):
            extra = column(y, random).astype("float32")[:, None]
            return rows.having(x=np.concatenate([rows.x, extra], axis=1))

        in_use = random.integers(0, data.num_classes, len(data.use))
        return data.having(
            train=wider(data.train, data.train.y),
            eval=wider(data.eval, data.eval.y),
            use=wider(data.use, in_use),
        )

    return leaking
