# SPDX-License-Identifier: Apache-2.0
import pytest

from components.guarded_trainer.rules.facts import LayerFacts, TrainingFacts
from components.records.training import Epoch, LayerReading, ProbeReading


def _layer(name="first", **fields):
    healthy = {
        "gradient_norm": 0.5,
        "gradient_mean": 0.01,
        "weight_norm": 5.0,
        "update_ratio": 1e-3,
        "output_mean": 0.0,
        "output_std": 1.0,
    }
    return LayerReading(layer=name, **(healthy | fields))


def _probe(*layers, **fields):
    """A healthy reading of a model of two classes."""
    healthy = {
        "num_examples": 128,
        "training_loss": 0.2,
        "training_accuracy": 0.93,
        "inference_loss": 0.2,
        "inference_accuracy": 0.93,
        "predicted_shares": (0.5, 0.5),
        "true_shares": (0.5, 0.5),
        "recalls": (0.93, 0.93),
        "output_spread": 0.4,
        "layers": layers or (_layer("first"), _layer("last")),
    }
    return ProbeReading(**(healthy | fields))


def _guessing(*layers, **fields):
    """A reading of a model that knows nothing."""
    nothing = {
        "training_loss": 0.693,
        "training_accuracy": 0.5,
        "inference_loss": 0.693,
        "inference_accuracy": 0.5,
        "recalls": (0.5, 0.5),
    }
    return _probe(*layers, **(nothing | fields))


@pytest.fixture(scope="session")
def layer():
    """Makes a layer's reading, healthy but for the fields given."""
    return _layer


@pytest.fixture(scope="session")
def probe():
    """Makes a reading of a model that has learnt, but for the fields given."""
    return _probe


@pytest.fixture(scope="session")
def guessing():
    """Makes a reading of a model that has learnt nothing."""
    return _guessing


@pytest.fixture(scope="session")
def facts():
    """Makes the facts of a healthy training of two classes."""

    def make(**fields):
        healthy = {
            "num_classes": 2,
            "class_counts": (500, 500),
            "num_examples": 1000,
            "num_held_out": 200,
            "steps_per_epoch": 32,
            "planned_epochs": 20,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "optimizer": "Adam",
            "num_parameters": 2000,
            "num_trainable": 2000,
            "layers": (
                LayerFacts("first", "Dense", "relu", 1900, trainable=True),
                LayerFacts("last", "Dense", "softmax", 100, trainable=True),
            ),
            "input_scale": 1.0,
            "input_range": (-3.0, 3.0),
            "feature_scales": (("a", 1.1), ("b", 1.0)),
            "initial": _guessing(),
        }
        return TrainingFacts(**(healthy | fields))

    return make


@pytest.fixture(scope="session")
def learning():
    """Makes the epochs of a training that learns."""

    def make(count=8, **fields):
        return [
            Epoch(
                **(
                    {
                        "loss": 0.7 * 0.7**i,
                        "accuracy": 0.95 - 0.4 * 0.5**i,
                        "held_out_loss": 0.7 * 0.75**i,
                        "held_out_accuracy": 0.94 - 0.4 * 0.5**i,
                        "seconds": 1.0,
                        "learning_rate": 1e-3,
                        "first_loss": 0.7 * 0.7 ** (i - 1) if i else 0.7,
                        "worst_batch_loss": 0.75 * 0.7**i,
                        "probe": _probe(),
                    }
                    | fields
                )
            )
            for i in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def failing():
    """Makes the epochs of a training that learns nothing."""

    def make(count=8, **fields):
        return [
            Epoch(
                **(
                    {
                        "loss": 0.694,
                        "accuracy": 0.5,
                        "held_out_loss": 0.694,
                        "held_out_accuracy": 0.5,
                        "seconds": 1.0,
                        "learning_rate": 1e-3,
                        "first_loss": 0.7,
                        "worst_batch_loss": 0.71,
                        "probe": _guessing(),
                    }
                    | fields
                )
            )
            for _ in range(count)
        ]

    return make
