# SPDX-License-Identifier: Apache-2.0
"""What repairs cost: recalibration against an epoch, repaired against healthy runs.

    python benchmarks/repair_cost.py [--repeats 5] [--epochs 20]

Healthy and repaired runs alternate on the same data with the same number of epochs, so
that a slow machine slows both; medians are compared. Aims: recalibration takes no
longer than an epoch, and a repaired run at most 1.3 times as long as a healthy one.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits

from components.guarded_trainer import batch_norm, fit, modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import read_head
from components.guarded_trainer.reading.arrays import read_arrays

BATCH = 32


def digits(copies: int):
    x, y = load_digits(return_X_y=True)
    x = np.tile((x / 16).astype(np.float32).reshape(-1, 8, 8, 1), (copies, 1, 1, 1))
    x += np.random.default_rng(0).normal(0, 0.05, x.shape).astype(np.float32)
    return read_arrays((x, np.tile(y, copies)), None, 10)


def network(optimizer):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def recalibration_against_an_epoch(repeats: int) -> float:
    """Returns the time of a pass of recalibration over that of an epoch."""
    data = digits(copies=4)
    model = network(keras.optimizers.Adam(0.001))
    inputs, _ = next(iter(data.fitted().batch(BATCH)))
    head, _ = read_head(model, 10, inputs)
    layers = modes.adaptive_layers(model, inputs)
    steps = data.steps_per_epoch(BATCH)

    def epoch() -> None:
        model.fit(
            data.fit_batches(head, BATCH, 0), epochs=1, steps_per_epoch=steps, verbose=0
        )

    def recalibrate() -> None:
        batches = data.train_batches(BATCH, 0).take(steps)
        batch_norm.assign(
            layers, batch_norm.measure(model, layers, (x for x, _ in batches))
        )

    epoch()  # Traced now; recalibration is traced anew each time, as in use.
    times: dict[str, list[float]] = {"epoch": [], "recalibration": []}
    for _ in range(repeats):
        for name, run in (("epoch", epoch), ("recalibration", recalibrate)):
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["recalibration"] / medians["epoch"]
    print(
        f"epoch of {steps} steps {medians['epoch']:.2f} s, recalibration over it "
        f"{medians['recalibration']:.2f} s with tracing: {ratio:.2f}"
    )
    return ratio


RECIPES = {
    "NaN (SGD at 1e6)": lambda: keras.optimizers.SGD(1e6),
    "diverged (Adam at 10)": lambda: keras.optimizers.Adam(10.0),
    "stalled (Adam at 1e-7)": lambda: keras.optimizers.Adam(1e-7),
}


def train(data, optimizer, epochs: int):
    model = network(optimizer)
    inputs, _ = next(iter(data.fitted().batch(BATCH)))
    head, _ = read_head(model, 10, inputs)
    config = TrainingConfig(epochs=epochs, patience=None)
    layers = modes.adaptive_layers(model, inputs)
    started = time.perf_counter()
    fitted = fit.fit(model, head, data, config, batch_norm_layers=layers)
    return time.perf_counter() - started, fitted


def repaired_against_healthy(repeats: int, epochs: int) -> dict[str, float]:
    """Returns the time of a repaired run over that of a healthy one, by fault."""
    data = digits(copies=2)
    train(data, keras.optimizers.Adam(0.001), 1)  # Warms up.
    times: dict[str, list[float]] = {"healthy": [], **{name: [] for name in RECIPES}}
    for _ in range(repeats):
        for name, make in {
            "healthy": lambda: keras.optimizers.Adam(0.001),
            **RECIPES,
        }.items():
            seconds, fitted = train(data, make(), epochs)
            times[name].append(seconds)
            last = fitted.epochs[-1]
            print(
                f"  {name}: {seconds:.1f} s, {len(fitted.epochs)} epochs, "
                f"{len(fitted.remedies)} remedies, held-out accuracy "
                f"{last.held_out_accuracy:.3f}",
                flush=True,
            )
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {name: medians[name] / medians["healthy"] for name in RECIPES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    recalibration_against_an_epoch(arguments.repeats)
    ratios = repaired_against_healthy(arguments.repeats, arguments.epochs)
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times as long as a healthy run")


if __name__ == "__main__":
    main()
