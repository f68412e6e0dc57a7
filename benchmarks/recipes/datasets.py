# SPDX-License-Identifier: Apache-2.0
"""Small data sets, real and made up; each is a function of a seed."""

import numpy as np
from recipes.recipe import Data
from sklearn import datasets as sets
from sklearn.model_selection import train_test_split


def _split(x, y, seed, size=600):
    x_train, x_eval, y_train, y_eval = train_test_split(
        x.astype("float32"), y, test_size=0.3, random_state=seed, stratify=y
    )
    return Data(x_train[:size], y_train[:size], x_eval, y_eval)


def _standardized(data: Data) -> Data:
    mean, std = data.x.mean(axis=0), data.x.std(axis=0) + 1e-6
    return Data((data.x - mean) / std, data.y, (data.x_eval - mean) / std, data.y_eval)


def scaled_by(make, factor):
    def scaled(seed):
        data = make(seed)
        return Data(data.x * factor, data.y, data.x_eval * factor, data.y_eval)

    return scaled


def digits_raw(seed):
    """Pixels from 0 to 16, as a vector."""
    return _split(*sets.load_digits(return_X_y=True), seed, size=900)


def digits(seed):
    data = digits_raw(seed)
    return Data(data.x / 16, data.y, data.x_eval / 16, data.y_eval)


def digit_pictures(seed):
    data = digits(seed)
    return Data(
        data.x.reshape(-1, 8, 8, 1),
        data.y,
        data.x_eval.reshape(-1, 8, 8, 1),
        data.y_eval,
    )


def digit_rows(seed):
    """Each picture as a sequence of eight rows of pixels."""
    data = digits(seed)
    return Data(
        data.x.reshape(-1, 8, 8), data.y, data.x_eval.reshape(-1, 8, 8), data.y_eval
    )


def few(make, rows):
    def first(seed):
        data = make(seed)
        return Data(data.x[:rows], data.y[:rows], data.x_eval, data.y_eval)

    return first


def only_classes(make, low, high):
    """Keeps the classes low to high - 1, numbered from 0."""

    def chosen(seed):
        data = make(seed)
        train = (data.y >= low) & (data.y < high)
        judge = (data.y_eval >= low) & (data.y_eval < high)
        return Data(
            data.x[train],
            data.y[train] - low,
            data.x_eval[judge],
            data.y_eval[judge] - low,
        )

    return chosen


def cancer_raw(seed):
    return _split(*sets.load_breast_cancer(return_X_y=True), seed)


def cancer(seed):
    return _standardized(cancer_raw(seed))


def wine_raw(seed):
    return _split(*sets.load_wine(return_X_y=True), seed)


def wine(seed):
    return _standardized(wine_raw(seed))


def iris(seed):
    return _standardized(_split(*sets.load_iris(return_X_y=True), seed))


def blobs(seed, classes=4, spread=1.0):
    x, y = sets.make_blobs(
        900, n_features=8, centers=classes, cluster_std=spread, random_state=seed
    )
    return _standardized(_split(x, y, seed))


def many_blobs(seed):
    return blobs(seed, classes=20)


def circles(seed):
    x, y = sets.make_circles(900, noise=0.08, factor=0.5, random_state=seed)
    return _split(x, y, seed)


def moons(seed):
    x, y = sets.make_moons(900, noise=0.2, random_state=seed)
    return _split(x, y, seed)


def xor(seed):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (900, 2))
    return _split(x, (x[:, 0] * x[:, 1] > 0).astype(int), seed)


def hard(seed):
    """Two classes that overlap so much that nobody gets above about 0.69."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 1500)
    x = random.normal(size=(1500, 6))
    x[:, 0] += y
    return _split(x, y, seed, size=1000)


def rare(make, ratio, label=1):
    """Thins out one class of the training rows."""

    def thinned(seed):
        data = make(seed)
        of_class = np.flatnonzero(data.y == label)
        others = np.flatnonzero(data.y != label)
        count = max(round(len(of_class) / ratio), 3)
        keep = np.sort(np.concatenate([of_class[:count], others]))
        return Data(data.x[keep], data.y[keep], data.x_eval, data.y_eval)

    return thinned


def long_tail(make, ratio):
    """Thins out class k by ratio ** (k / (K - 1)) (Cui et al. 2019)."""

    def thinned(seed):
        data = make(seed)
        last = data.num_classes - 1
        keep = [
            rows[: max(round(len(rows) / ratio ** (k / last)), 3)]
            for k in range(last + 1)
            for rows in [np.flatnonzero(data.y == k)]
        ]
        keep = np.sort(np.concatenate(keep))
        return Data(data.x[keep], data.y[keep], data.x_eval, data.y_eval)

    return thinned


def noisy_labels(make, share):
    """Gives a share of the training rows another label; judges by true ones."""

    def noisy(seed):
        data = make(seed)
        random = np.random.default_rng(seed)
        wrong = random.random(len(data.y)) < share
        other = (
            data.y + random.integers(1, data.num_classes, len(data.y))
        ) % data.num_classes
        y = np.where(wrong, other, data.y)
        return Data(data.x, y, data.x_eval, data.y_eval)

    return noisy


def shuffled_labels(make):
    """Takes the labels away from their rows, in both splits."""

    def shuffled(seed):
        data, random = make(seed), np.random.default_rng(seed)
        return Data(
            data.x,
            random.permutation(data.y),
            data.x_eval,
            random.permutation(data.y_eval),
        )

    return shuffled


def sorted_by_class(make):
    def in_order(seed):
        data = make(seed)
        order = np.argsort(data.y, kind="stable")
        return Data(data.x[order], data.y[order], data.x_eval, data.y_eval)

    return in_order


def with_nan(make):
    def broken(seed):
        data = make(seed)
        x = data.x.copy()
        x[3, 0] = np.nan
        return Data(x, data.y, data.x_eval, data.y_eval)

    return broken


def constant_inputs(make):
    """Every row is the same."""

    def constant(seed):
        data = make(seed)
        return Data(
            np.ones_like(data.x) * 0.5,
            data.y,
            np.ones_like(data.x_eval) * 0.5,
            data.y_eval,
        )

    return constant


def one_large_feature(make, factor):
    """Leaves one column in other units."""

    def enlarged(seed):
        data = make(seed)
        factors = np.ones(data.shape[-1], "float32")
        factors[-1] = factor
        return Data(data.x * factors, data.y, data.x_eval * factors, data.y_eval)

    return enlarged


def relabelled(make, change):
    def changed(seed):
        data = make(seed)
        return Data(data.x, change(data.y), data.x_eval, change(data.y_eval))

    return changed


def stripes(seed, rows=400):
    """Pictures of 12 x 12 pixels in [0, 255]: stripes in one of three directions."""
    random = np.random.default_rng(seed)
    total = rows + 300
    y = np.arange(total) % 3
    grid = np.arange(12)
    phase = random.uniform(0, 2 * np.pi, total)[:, None, None]
    across = np.stack([np.outer(np.ones(12), grid), np.outer(grid, np.ones(12))])
    direction = np.stack([across[0], across[1], (across[0] + across[1]) / 1.4])
    waves = np.sin(direction[y] * 1.3 + phase)
    x = 127 + 80 * waves[..., None] + random.normal(0, 40, (total, 12, 12, 3))
    x = np.clip(x, 0, 255).astype("float32")
    return Data(x[:rows], y[:rows], x[rows:], y[rows:])


def stripes_scaled(seed):
    data = stripes(seed)
    return Data(data.x / 255, data.y, data.x_eval / 255, data.y_eval)


def words(seed):
    """Sequences of word numbers; the class is that of its most frequent words."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 900)
    x = random.integers(0, 30, (900, 10))
    marked = random.random((900, 10)) < 0.4
    x = np.where(marked, 30 + 5 * y[:, None] + random.integers(0, 5, (900, 10)), x)
    return _split(x, y, seed)
