# SPDX-License-Identifier: Apache-2.0
"""Small models and data to judge, and a split that needs no files."""

import dataclasses

import numpy as np
import pytest


def make_blobs(count, seed):
    """Points around three corners; the class is the corner."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    points = 2 * np.eye(3)[labels] + rng.normal(size=(count, 3))
    return points.astype(np.float32), labels


@pytest.fixture(scope="session")
def blobs():
    """Training and evaluation examples, `(x, y)` each."""
    return make_blobs(240, seed=1), make_blobs(150, seed=2)


@pytest.fixture(scope="session")
def corners():
    """A Keras model that answers the nearest corner, so that it needs no training."""
    import keras

    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, activation="softmax")]
    )
    model.layers[0].set_weights([2 * np.eye(3), np.zeros(3)])
    return model


@pytest.fixture(scope="session")
def lagging():
    """The same, behind BatchNorm whose moving statistics are far from the data's."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[0].moving_mean.assign([4.0, 0.0, -4.0])
    model.layers[-1].set_weights([4 * np.eye(3), np.zeros(3)])
    return model


@dataclasses.dataclass
class Split:
    """A `JudgedSplit` of arrays, whose serialized rows are their positions."""

    name: str
    x: np.ndarray
    class_ids: np.ndarray
    values: dict = dataclasses.field(default_factory=dict)
    texts: list = None

    def __post_init__(self):
        self.texts = self.texts or [str(i).encode() for i in range(len(self.x))]
        rng = np.random.default_rng(5)
        self.hashes = np.sort(rng.integers(0, 2**62, len(self.x)) * 2)
        rng.shuffle(self.hashes)

    def serialized(self, positions):
        return [self.texts[i] for i in positions]

    def inputs(self, positions):
        return self.x[positions]

    def slice_values(self, feature):
        from components.errors import InputError
        from components.judging.data.source import NoCategory

        if feature not in self.values:
            raise InputError(f"there is no {feature!r}")
        if self.values[feature] is None:
            raise NoCategory(f"{feature!r} holds fractions")
        return self.values[feature]


@pytest.fixture(scope="session")
def make_split():
    return Split


@dataclasses.dataclass
class Answering:
    """An `AskedModel` of functions by mode; each takes the rows it is given."""

    functions: dict
    num_classes: int = 3
    modes_missing_because: str = ""
    has_no_modes: bool = False
    rounding: float = 1e-3
    labels: tuple = ()
    batch_size: int = None
    layers: tuple = ()

    @property
    def spec(self):
        from components.judging.spec import ModelSpec

        return ModelSpec((), False, self.num_classes)

    @property
    def modes(self):
        return tuple(name for name in self.functions if name != "candidate")

    def takes_examples(self, mode):
        return False

    def ask(self, mode, inputs):
        return self.functions[mode](inputs)

    def drift(self, batches):
        list(batches)
        return self.layers

    def entering(self, inputs):
        return None


@pytest.fixture(scope="session")
def make_model():
    return Answering
