# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.guarded_trainer import job
from components.guarded_trainer.config import ImageInput, InputConfig, TrainingConfig
from components.guarded_trainer.transfer import backbones
from components.guarded_trainer.transfer.backbones import Backbone
from components.guarded_trainer.transfer.settings import TransferConfig

SCHEMA = """
    feature { name: "image" type: BYTES }
    feature { name: "label" type: INT }
"""
TINY = {"backbone": "Tiny"}


def construct(weights, include_top, input_shape):
    """A base that learns in a few epochs what the large ones take days for."""
    layers = keras.layers
    inputs = x = keras.Input(input_shape)
    for i, strides in enumerate((4, 2, 2)):
        x = layers.Conv2D(16, 4, strides, padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"bn{i}")(x)
        x = layers.Activation("relu")(x)
    return keras.Model(inputs, x, name="tiny")


@pytest.fixture
def train(digits, example, tmp_path, monkeypatch):
    """Trains on PNGs of some digits, as the pipeline does."""
    tiny = Backbone("Tiny", construct, keras.applications.xception.preprocess_input)
    monkeypatch.setattr(backbones, "find", lambda name: tiny)

    def run(transfer, classes, name, epochs, rate):
        pictures, class_ids = digits
        rows = np.flatnonzero(np.isin(class_ids, classes))[:600]
        path = str(tmp_path / f"{name}.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for row in rows:
                pixels = tf.cast(pictures[row][..., None], tf.uint8)
                image = tf.io.encode_png(pixels).numpy()
                label = classes.index(class_ids[row])
                writer.write(example(image=image, label=label))
        return job.train(
            job.Job(
                files=(path,),
                schema=text_format.Parse(SCHEMA, schema_pb2.Schema()),
                classes=None,
                inputs=InputConfig(
                    label_key="label", image=ImageInput(height=32, width=32)
                ),
                config=TrainingConfig(
                    epochs=epochs,
                    learning_rate=rate,
                    held_out_share=0.2,
                    probe_examples=0,
                ),
                build_model=None,
                transfer=transfer,
                serving_dir=str(tmp_path / name / "serving"),
                judging_dir=str(tmp_path / name / "judging"),
                log_dir=str(tmp_path / name / "logs"),
                checkpoint_dir=str(tmp_path / name / "checkpoints"),
            )
        )

    return run


@pytest.mark.slow
def test_what_was_learnt_on_some_digits_serves_others(train, tmp_path, monkeypatch):
    models = []
    make_plan = job.transfer_plan.make_plan

    def keeping(*args):
        models.append(make_plan(*args))
        return models[-1]

    monkeypatch.setattr(job.transfer_plan, "make_plan", keeping)
    scratch = train(
        TransferConfig(**TINY, weights="none"),
        (3, 4, 5, 6, 7, 8, 9),
        "source",
        epochs=6,
        rate=1e-3,
    )
    assert scratch.transfer.weights == "none"
    assert {epoch.phase for epoch in scratch.epochs} == {"training"}
    assert scratch.recalibration is not None
    path = str(tmp_path / "base.keras")
    models[0].model.save(path)
    statistics = {w.path: np.array(w) for w in models[0].base.non_trainable_weights}

    record = train(
        TransferConfig(**TINY, weights=path, unfreeze=1),
        (0, 1, 2),
        "target",
        epochs=6,
        rate=1e-2,
    )
    assert record.transfer.weights == path
    assert record.transfer.head_held_out_accuracy > 0.7
    assert [epoch.phase for epoch in record.epochs][:: len(record.epochs) - 1] == [
        "head",
        "fine_tuning",
    ]
    assert record.passed
    # The statistics of the base went through both phases unchanged, bit for bit.
    for weight in models[1].base.weights:
        if weight.path in statistics:
            np.testing.assert_array_equal(weight, statistics[weight.path])
    # What is served is what was trained, preprocessing included.
    assert record.export_max_difference < 1e-4
    serving = tf.saved_model.load(str(tmp_path / "target" / "serving"))
    assert serving.signatures
