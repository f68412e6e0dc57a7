# SPDX-License-Identifier: Apache-2.0
"""Data sets in three parts: to train on, to judge by, and what comes in use.

Each is a function of a seed. The third part is what a gate never sees, and tells
whether a model fails in use.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets as sets
from sklearn.model_selection import train_test_split


@dataclasses.dataclass(frozen=True)
class Rows:
    """Inputs, class ids, and where rows come from if that matters."""

    x: Any
    y: np.ndarray
    site: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, keep) -> "Rows":
        site = None if self.site is None else self.site[keep]
        return Rows(self.x[keep], self.y[keep], site)

    def having(self, **changes) -> "Rows":
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Population:
    """Three samples of one population, as long as nothing breaks that."""

    train: Rows
    eval: Rows
    use: Rows
    num_classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.train.x.shape[1:]

    @property
    def x(self) -> Any:
        """Rows to adapt a layer on."""
        return self.train.x

    def having(self, **changes) -> "Population":
        return dataclasses.replace(self, **changes)

    def mapped(self, change: Callable[[Any], Any], *parts: str) -> "Population":
        """Changes the inputs of some parts, by default of all."""
        return self.having(
            **{
                part: getattr(self, part).having(x=change(getattr(self, part).x))
                for part in parts or ("train", "eval", "use")
            }
        )


Make = Callable[[int], Population]


def _split(x, y, seed, sizes=(0.5, 0.25), dtype="float32") -> Population:
    x = np.asarray(x).astype(dtype)
    y = np.asarray(y).astype("int64")
    x_train, x, y_train, rest = train_test_split(
        x, y, train_size=sizes[0], random_state=seed, stratify=y
    )
    x_eval, x_use, y_eval, y_use = train_test_split(
        x,
        rest,
        train_size=sizes[1] / (1 - sizes[0]) if sizes[1] < 1 else sizes[1],
        random_state=seed,
        stratify=rest,
    )
    return Population(
        Rows(x_train, y_train),
        Rows(x_eval, y_eval),
        Rows(x_use, y_use),
        int(y.max()) + 1,
    )


def standardized(make: Make) -> Make:
    """Scales by mean and deviation of the training rows."""

    def scaled(seed):
        data = make(seed)
        mean, std = data.train.x.mean(axis=0), data.train.x.std(axis=0) + 1e-6
        return data.mapped(lambda x: ((x - mean) / std).astype("float32"))

    return scaled


def raw_after_training(make: Make) -> Make:
    """Scales the training rows, and leaves the others as they were measured."""

    def raw(seed):
        data = make(seed)
        return data.having(train=standardized(make)(seed).train)

    return raw


def mapped(make: Make, change, *parts: str) -> Make:
    """Changes the inputs of some parts, by default of all."""
    return lambda seed: make(seed).mapped(change, *parts)


def digits_raw(seed):
    """8 x 8 pixels from 0 to 16, as a vector."""
    return _split(*sets.load_digits(return_X_y=True), seed, (900, 400))


digits = mapped(digits_raw, lambda x: x / 16)
digit_pictures = mapped(digits, lambda x: x.reshape(-1, 8, 8, 1))
digit_rows = mapped(digits, lambda x: x.reshape(-1, 8, 8))


def cancer_raw(seed):
    return _split(*sets.load_breast_cancer(return_X_y=True), seed)


def wine_raw(seed):
    return _split(*sets.load_wine(return_X_y=True), seed)


cancer, wine = standardized(cancer_raw), standardized(wine_raw)


def _synthetic(x, y, seed, train=800):
    return _split(x, y, seed, (train, 400))


def blobs(seed, classes=4, spread=1.0, features=8, rows=2200, train=800):
    x, y = sets.make_blobs(
        rows, features, centers=classes, cluster_std=spread, random_state=seed
    )
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return _synthetic(x, y, seed, train)


def many_blobs(seed):
    return blobs(seed, classes=20)


def hundred_blobs(seed):
    """A hundred classes, 40 training rows of each."""
    x, y = sets.make_blobs(8000, 16, centers=100, cluster_std=1.0, random_state=seed)
    return _split((x - x.mean(axis=0)) / x.std(axis=0), y, seed, (4000, 2000))


def overlapping(seed):
    """Four classes of which nobody tells more than about 70 % apart."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 4, 4000)
    centers = 1.7 * np.eye(4, 6)
    x = centers[y] + random.normal(size=(4000, 6))
    return _split(x, y, seed, (1500, 800))


def hard(seed):
    """Two classes of which nobody tells more than about 69 % apart."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 4000)
    x = random.normal(size=(4000, 6))
    x[:, 0] += y
    return _split(x, y, seed, (1500, 800))


def circles(seed):
    x, y = sets.make_circles(2200, noise=0.08, factor=0.5, random_state=seed)
    return _synthetic(x, y, seed)


def moons(seed, noise=0.2):
    x, y = sets.make_moons(2200, noise=noise, random_state=seed)
    return _synthetic(x, y, seed)


def xor(seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (2200, 2))
    return _synthetic(x, x[:, 0] * x[:, 1] > 0, seed)


def needles(seed, noise_features=60):
    """Two telling features among many that are noise."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 2200)
    x = random.normal(size=(2200, 2 + noise_features))
    x[:, :2] += 1.5 * (2 * y - 1)[:, None]
    return _synthetic(x, y, seed)


def words(seed):
    """Sequences of word numbers; the class is that of its most frequent words."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 2200)
    x = random.integers(0, 30, (2200, 10))
    marked = random.random((2200, 10)) < 0.4
    x = np.where(marked, 30 + 5 * y[:, None] + random.integers(0, 5, (2200, 10)), x)
    return _split(x, y, seed, (800, 400), "int32")


def stripes_raw(seed, rows=1400, size=12):
    """Pictures of whole numbers from 0 to 255: stripes in one of three directions."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    grid = np.arange(size)
    phase = random.uniform(0, 2 * np.pi, rows)[:, None, None]
    across = np.stack([np.outer(np.ones(size), grid), np.outer(grid, np.ones(size))])
    direction = np.stack([across[0], across[1], (across[0] + across[1]) / 1.4])
    waves = np.sin(direction[y] * 1.3 + phase)
    x = 127 + 80 * waves[..., None] + random.normal(0, 40, (rows, size, size, 3))
    return _split(np.clip(x, 0, 255).astype("uint8"), y, seed, (500, 400), "uint8")


stripes = mapped(stripes_raw, lambda x: x.astype("float32") / 255)


def colors(seed, rows=1400):
    """Pictures of 8 x 8 pixels in [0, 1] whose class is their strongest channel."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    x = random.integers(40, 160, (rows, 8, 8, 3)) + 70 * np.eye(3)[y][:, None, None]
    return _split(x / 255, y, seed, (500, 400))


def patches(seed, size=16):
    """Patches of two photographs, side by side; the photograph is the class.

    None overlaps another: rows that do would be near-duplicates in both splits.
    """
    cut, labels = [], []
    for label, picture in enumerate(sets.load_sample_images().images):
        picture = picture[::2, ::2]
        places = np.ndindex(picture.shape[0] // size, picture.shape[1] // size)
        cut += [
            picture[size * i : size * (i + 1), size * j : size * (j + 1)]
            for i, j in places
        ]
        labels += [label] * (len(cut) - len(labels))
    return _split(np.stack(cut) / 255, labels, seed, (250, 130))
