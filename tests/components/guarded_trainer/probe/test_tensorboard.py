# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer.probe.tensorboard import TensorBoard
from components.records.training import LayerReading, ProbeReading

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = np.arange(40) % 2


def events(folder):
    """Returns (tag, step, value) of all that was written to a folder."""
    found = []
    for path in sorted(folder.glob("events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                number = value.simple_value
                if value.HasField("histo"):
                    number = value.histo
                found.append((value.tag, event.step, number))
    return found


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, "softmax", name="a")], name="m"
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    board = TensorBoard(str(folder), first_step=2)
    for _ in range(2):  # As after a roll-back.
        fit = {"epochs": 1, "validation_data": (X, Y), "verbose": 0}
        history = model.fit(X, Y, callbacks=[board], **fit).history
    reading = ProbeReading(
        num_examples=4,
        inference_loss=0.25,
        layers=(LayerReading(layer="m/a", gradient_norm=1.5, update_ratio=None),),
    )
    board.write_reading(3, reading)
    board.on_train_end()
    return folder, history, model


def test_curves_keep_the_names_of_keras_and_run_on_in_time(logs):
    folder, history, _ = logs
    found = {(tag, step): value for tag, step, value in events(folder / "train")}
    assert found["epoch_loss", 3] == pytest.approx(history["loss"][0])
    assert ("epoch_accuracy", 2) in found
    held_out = {(tag, step): v for tag, step, v in events(folder / "validation")}
    assert held_out["epoch_loss", 3] == pytest.approx(history["val_loss"][0])
    assert {step for _, step in held_out} == {2, 3}


def test_readings_are_written_by_layer_without_what_was_not_measured(logs):
    folder, _, _ = logs
    found = {(tag, step): value for tag, step, value in events(folder / "train")}
    assert found["gradient_norm/m/a", 3] == 1.5
    assert found["probe/inference_loss", 3] == 0.25
    assert ("update_ratio/m/a", 3) not in found
    assert ("probe/training_loss", 3) not in found


def test_histograms_are_written_after_every_doubling_of_epochs(logs):
    folder, _, model = logs
    histograms = [x for x in events(folder / "train") if x[0].startswith("weights/")]
    assert {(tag, step) for tag, step, _ in histograms} == {
        ("weights/m/a/kernel", 3),
        ("weights/m/a/bias", 3),
    }
    (kernel,) = [value for tag, _, value in histograms if tag.endswith("kernel")]
    assert kernel.num == sum(kernel.bucket) == 6
    assert kernel.max == pytest.approx(np.max(model.layers[0].kernel), rel=1e-6)


def test_nothing_is_written_of_nothing(tmp_path):
    board = TensorBoard(str(tmp_path / "logs"))
    board.set_model(keras.Sequential([keras.Input((3,))]))
    board.on_epoch_end(0)
    board.on_train_end()
    assert not (tmp_path / "logs").exists()
