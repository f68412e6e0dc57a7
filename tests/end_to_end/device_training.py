# SPDX-License-Identifier: Apache-2.0
"""Trains on digits with `fit_guarded`, as a process of its own: see the test beside.

Usage: device_training.py FOLDER CASE...

Writes FOLDER/CASE.json for each case, with the weights in FOLDER/CASE.npz; a worker
puts its number before `.json`. A case is a model and a device, such as `plain-xla`.
"""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from components import fit_guarded
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.device.roles import read_role
from components.guarded_trainer.device.settings import DeviceConfig
from components.guarded_trainer.device.setup import set_up

CONFIG = TrainingConfig(epochs=4, batch_size=32, learning_rate=0.01, patience=None)
DEVICES = {
    "one": {},
    "mirrored": {"distribution": "mirrored"},
    "workers": {},
    "killed": {},
    "resumed": {},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "float16": {"precision": "mixed_float16"},
    "xla": {"xla": "on"},
}


class Killed(keras.callbacks.Callback):
    """Ends the process without notice in the third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 5):
            os.kill(os.getpid(), signal.SIGKILL)


def build(kind):
    norm = [keras.layers.BatchNormalization(momentum=0.8)] * (kind == "norm")
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(32, activation="relu"),
            *norm,
            keras.layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )


def train(folder, case, device):
    kind, name = case.split("-")
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    keras.utils.set_random_seed(0)
    with device.scope():
        model = build(kind)
        model.compile(
            keras.optimizers.Adam(0.01),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            **device.compile_options(),
        )
    record = fit_guarded(
        model,
        # 12.5 batches: the last one of an epoch is a half.
        (x[:400], y[:400]),
        (x[400:800], y[400:800]),
        config=CONFIG.model_copy(update={"device": device.config}),
        log_dir=str(folder / f"{case}-logs"),
        checkpoint_dir=(
            str(folder / f"{kind}-checkpoints")
            if name in ("killed", "resumed")
            else None
        ),
        callbacks=[Killed()] * (name == "killed"),
    )
    worker = f".{device_index()}" if name in ("workers", "resumed") else ""
    (folder / f"{case}{worker}.json").write_text(record.to_json())
    np.savez(folder / f"{case}{worker}.npz", *model.get_weights())


def device_index():
    return read_role(os.environ.get("TF_CONFIG")).index


def main(folder, *cases):
    if "TF_CONFIG" not in os.environ:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    # Before anything else uses TensorFlow, and once per process for workers.
    devices = {
        name: set_up(DeviceConfig(**DEVICES[name]), batch_size=CONFIG.batch_size)
        for name in dict.fromkeys(case.split("-")[1] for case in cases)
    }
    for case in cases:
        train(Path(folder), case, devices[case.split("-")[1]])


if __name__ == "__main__":
    main(*sys.argv[1:])
