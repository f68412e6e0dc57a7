# SPDX-License-Identifier: Apache-2.0
import dataclasses
import functools

import numpy as np
import pytest

SIZE = 32
SMALL = {"backbone": "MobileNet", "options": {"alpha": 0.25}}
"""The smallest backbone that is built in no time: 86 layers, 0.2 million weights."""


@pytest.fixture(scope="session")
def digits():
    """Scikit-learn's digits as pictures of 32x32, float32 in [0, 255], and classes."""
    from sklearn.datasets import load_digits

    pictures, class_ids = load_digits(return_X_y=True)
    pictures = pictures.reshape(-1, 8, 8) * (255 / 16)
    large = np.kron(pictures, np.ones((1, SIZE // 8, SIZE // 8)))
    return large.astype(np.float32), class_ids.astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures in memory, a `TrainingData`."""

    inputs: np.ndarray
    class_ids: np.ndarray
    held_inputs: np.ndarray
    held_ids: np.ndarray
    num_classes: int
    augment: object = None

    @functools.cached_property
    def arrays(self):
        from components.guarded_trainer.reading.arrays import read_arrays

        held = (self.held_inputs, self.held_ids) if len(self.held_ids) else None
        return read_arrays(
            (self.inputs, self.class_ids),
            held,
            self.num_classes,
            held_out_share=0.0,
            augment=self.augment,
        )


@pytest.fixture(scope="session")
def pictures(digits):
    """Makes training data of some digits: RGB or grey, so many to fit and hold out."""

    def make(classes=(0, 1, 2), fitted=60, held_out=30, channels=3, augment=None):
        inputs, class_ids = digits
        chosen = np.flatnonzero(np.isin(class_ids, classes))[: fitted + held_out]
        inputs = np.repeat(inputs[chosen, ..., None], channels, axis=-1)
        ids = np.searchsorted(classes, class_ids[chosen])
        return Pictures(
            inputs[:fitted],
            ids[:fitted],
            inputs[fitted:],
            ids[fitted:],
            len(classes),
            augment,
        ).arrays

    return make


@pytest.fixture
def make_plan():
    """Makes the plan of a small backbone with random weights, of a fixed seed."""
    import keras

    from components.guarded_trainer.transfer import plan
    from components.guarded_trainer.transfer.settings import TransferConfig

    def make(shape=(SIZE, SIZE, 3), num_classes=3, seed=0, **changes):
        keras.utils.set_random_seed(seed)
        config = TransferConfig(**{**SMALL, "weights": "none", **changes})
        return plan.make_plan(config, shape, num_classes)

    return make


@pytest.fixture
def tiny_plan(tmp_path):
    """Makes the plan of a base of three small stages, which was trained on nothing.

    Its BatchNorm statistics are those of some digits, so that it tells them apart.
    """
    import keras

    from components.guarded_trainer.transfer import plan
    from components.guarded_trainer.transfer.settings import TransferConfig

    def make(digits, num_classes=3, seed=0, **changes):
        keras.utils.set_random_seed(seed)
        weights = tmp_path / "some.weights.h5"
        weights.touch()
        config = TransferConfig(
            **{
                "backbone": "MobileNet",
                "weights": str(weights),
                "dropout": 0.0,
                **changes,
            }
        )
        made = plan.assemble(
            config, _tiny_base(digits), lambda x: x / 255, (SIZE, SIZE, 3), num_classes
        )
        made.base.trainable = False
        return made

    return make


def _tiny_base(digits):
    import keras

    layers = keras.layers
    inputs = x = keras.Input((SIZE, SIZE, 3))
    for i in range(3):
        x = layers.Conv2D(
            16, 4, strides=4 if not i else 2, padding="same", name=f"conv{i}"
        )(x)
        x = layers.BatchNormalization(name=f"bn{i}", momentum=0.0)(x)
        x = layers.Activation("relu")(x)
    base = keras.Model(inputs, x, name="tiny")
    pictures, _ = digits
    base(np.repeat(pictures[:200, ..., None], 3, -1) / 255, training=True)
    return base
