# SPDX-License-Identifier: Apache-2.0
"""Trains with `fit_guarded` in a process of its own, for tests that kill it.

Arguments: folder of checkpoints, file for the outcome, and where to stop for good:
`never`, `epoch N` (at the end of the N-th epoch) or `save N` (half-way through writing
the N-th checkpoint). There it says so on its standard output and waits.
"""

import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from sklearn import datasets

from components import fit_guarded
from components.guarded_trainer.config import TrainingConfig


def network() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    # So high that the first epochs break, and a remedy is taken.
    optimizer = keras.optimizers.SGD(3e5, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def wait() -> None:
    print("here", flush=True)
    time.sleep(600)


class WaitAfterEpoch(keras.callbacks.Callback):
    """Waits at the end of the N-th epoch in the order of time."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self._left -= 1
        if not self._left:
            wait()


def wait_in_save(number: int) -> None:
    """Makes the N-th checkpoint wait once half of it is written."""
    plain = tf.io.gfile.GFile
    count = 0

    class Slow:
        def __init__(self, path: str, mode: str) -> None:
            nonlocal count
            self._file = plain(path, mode)
            count += "wb" in mode
            self._writes, self._waits = 0, "wb" in mode and count == number

        def write(self, content: bytes) -> None:
            self._file.write(content)
            self._writes += 1
            if self._waits and self._writes == 5:
                self._file.flush()
                wait()

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def __enter__(self) -> "Slow":
            self._file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self._file.__exit__(*error)

    tf.io.gfile.GFile = Slow


def main(checkpoint_dir: str, outcome: str, where: str, number: str = "0") -> None:
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    if where == "save":
        wait_in_save(int(number))
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    model = network()
    record = fit_guarded(
        model,
        (x[:800], y[:800]),
        (x[800:1000], y[800:1000]),
        config=TrainingConfig(epochs=6, patience=None),
        callbacks=[WaitAfterEpoch(int(number))] if where == "epoch" else [],
        checkpoint_dir=checkpoint_dir,
    )
    np.savez(f"{outcome}.npz", *model.get_weights())
    with open(outcome, "w") as file:
        json.dump(record.model_dump(mode="json"), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
