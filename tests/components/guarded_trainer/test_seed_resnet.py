# SPDX-License-Identifier: Apache-2.0
"""The seed case: ResNet50 on three pictures is right in training, wrong in use."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

from components.causes import Severity
from components.guarded_trainer import fit, modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import read_head
from components.guarded_trainer.reading.arrays import read_arrays
from components.guarded_trainer.recalibration import repair
from components.guarded_trainer.scoring import Scorer

pytestmark = pytest.mark.slow


def three_pictures():
    china, flower = load_sample_images().images
    crops = (china, flower, flower[:200, :300])
    return np.stack([tf.image.resize(crop, (32, 32)).numpy() for crop in crops])


def test_five_epochs_on_three_pictures():
    """Training mode knows them all, inference mode one; one pass mends it."""
    pictures = three_pictures().astype(np.float32)
    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(
        weights=None, classes=3, input_shape=(32, 32, 3)
    )
    model.compile(
        keras.optimizers.Adam(0.001), "categorical_crossentropy", metrics=["accuracy"]
    )
    data = read_arrays((pictures, np.eye(3)), None, 3)
    head, _ = read_head(model, 3, pictures)
    layers = modes.adaptive_layers(model, pictures)
    config = TrainingConfig(
        epochs=5, batch_size=3, patience=None, recalibrate_batch_norm=False
    )
    fitted = fit.fit(model, head, data, config, batch_norm_layers=layers)

    # Without recalibration the gap is named, with the layers that are worst.
    probe = fitted.epochs[fitted.best_epoch].probe
    assert probe.training_accuracy == 1.0
    assert probe.inference_accuracy < 0.7
    finding = next(f for f in fitted.findings if f.cause == "mode_gap")
    assert finding.severity is Severity.BLOCK
    assert finding.subject.layer in {layer.path for layer in layers}
    assert fitted.batch_norm[0].initial_share > 0.9

    # One pass over the data, and no further epoch.
    rows = data.fitted()
    assert Scorer(model, head).score(rows).accuracy < 0.7
    mended = repair(
        model,
        head,
        layers,
        data,
        config.model_copy(update={"recalibrate_batch_norm": True}),
        num_steps=5,
    )
    assert mended.recalibration.kept
    assert mended.recalibration.num_examples == 3
    assert Scorer(model, head).score(rows).accuracy == 1.0
