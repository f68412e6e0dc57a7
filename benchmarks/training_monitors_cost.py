# SPDX-License-Identifier: Apache-2.0
"""What watching a training costs, against plain `model.fit` on the same batches.

For a small CNN on 8 x 8 and on 32 x 32 pictures, and for ResNet50 at 64 x 64, plain
and watched pieces of training alternate in one process. Prints, as medians: what the
callbacks cost per step; what one reading of the probe takes, in steps; what both come
to for epochs of several lengths, with the readings that the schedule asks for; the
seconds that are spent once, on tracing; and the peak of memory, plain and watched in
processes of their own:

    .venv/bin/python benchmarks/training_monitors_cost.py --case cnn-8 cnn-32 resnet50

`--clock cpu` counts processor time of all threads, for a machine that is shared.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from components.guarded_trainer import modes
from components.guarded_trainer.callbacks import RecordEpochs, StopOnNotFinite
from components.guarded_trainer.head import Head
from components.guarded_trainer.probe.reading import Probe
from components.guarded_trainer.probe.schedule import ProbeSchedule
from components.guarded_trainer.probe.steps import WatchSteps

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BATCH, PROBE, CLASSES, EPOCHS = 32, 128, 10, 50
STEPS = {"cnn-8": 400, "cnn-32": 60, "resnet50": 5}
"""Steps of a piece of training: about two seconds."""


def make_cnn(size, channels):
    blocks = [
        layer
        for filters in (32, 64)
        for layer in (
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
        )
    ]
    end = [layers.Flatten(), layers.Dropout(0.3), layers.Dense(64, "relu")]
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            *blocks,
            *end,
            layers.Dense(CLASSES, "softmax"),
        ]
    )


MODELS = {
    "cnn-8": lambda: make_cnn(8, 1),
    "cnn-32": lambda: make_cnn(32, 3),
    "resnet50": lambda: keras.applications.ResNet50(
        weights=None, input_shape=(64, 64, 3), classes=CLASSES
    ),
}


class Case:
    def __init__(self, name, clock=time.perf_counter):
        self.clock = clock
        keras.utils.set_random_seed(0)
        self.model = MODELS[name]()
        self.model.compile(
            "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        random = np.random.default_rng(0)
        shape = (4 * PROBE, *self.model.input_shape[1:])
        self.x = random.random(shape, np.float32)
        self.y = random.integers(0, CLASSES, len(self.x))
        rows = tf.data.Dataset.from_tensor_slices((self.x, self.y)).cache()
        self.batches = rows.repeat().shuffle(len(self.x)).batch(BATCH).prefetch(2)

    def train(self, steps, callbacks=()):
        start = self.clock()
        self.model.fit(
            self.batches, steps_per_epoch=steps, callbacks=list(callbacks), verbose=0
        )
        return self.clock() - start

    def watch(self):
        x, y = self.x[:PROBE], self.y[:PROBE]
        adaptive = modes.adaptive_layers(self.model, tf.constant(x[:4]))
        head = Head(CLASSES, CLASSES, logits=False, one_hot=False)
        return Probe(self.model, head, x, y, adaptive, batch_size=BATCH)


def make_callbacks():
    return [StopOnNotFinite(), WatchSteps(), RecordEpochs(lambda epoch: None)]


def time_callbacks(model, clock, rounds):
    """Returns the time they take of each step, and of each epoch beyond that."""
    callbacks = keras.callbacks.CallbackList(make_callbacks(), model=model, steps=2)
    none = keras.callbacks.CallbackList([], model=model, steps=2)
    logs = {"accuracy": 0.5, "loss": 0.5}
    steps, epochs = [], []

    def thousand_steps(callbacks):
        start = clock()
        for _ in range(1000):
            callbacks.on_train_batch_begin(0)
            callbacks.on_train_batch_end(0, logs)
        return clock() - start

    callbacks.on_train_begin()
    for _ in range(rounds):
        start = clock()
        callbacks.on_epoch_begin(0)
        callbacks.on_train_batch_begin(1)  # The step that is measured.
        callbacks.on_train_batch_end(1, logs)
        callbacks.on_epoch_end(0, logs)
        epochs.append(clock() - start)
        steps.append((thousand_steps(callbacks) - thousand_steps(none)) / 1000)
    return statistics.median(steps), statistics.median(epochs)


def measure(name, rounds, clock):
    case, steps = Case(name, clock), STEPS[name]
    first_step = case.train(1)
    start = clock()
    probe = case.watch()
    probe.read()
    once = clock() - start
    callbacks = make_callbacks()
    case.train(steps, callbacks)
    plain, watched, reading = [], [], []
    for i in range(rounds):
        order = (plain, watched) if i % 2 else (watched, plain)
        for times in order:
            hooks = callbacks if times is watched else ()
            times.append(case.train(steps, hooks) / steps)
        start = clock()
        probe.read()
        reading.append(clock() - start)
    step, read = statistics.median(plain), statistics.median(reading)
    per_step, per_epoch = time_callbacks(case.model, clock, rounds)
    ratios = sorted(b / a - 1 for a, b in zip(plain, watched, strict=True))
    print(
        f"{name}: a step takes {1e3 * step:.2f} ms, one reading of {PROBE} examples "
        f"{1e3 * read:.1f} ms = {read / step:.2f} steps\n"
        f"  callbacks: {1e6 * per_step:.1f} us of each step, {1e3 * per_epoch:.2f} ms "
        f"= {per_epoch / step:.2f} steps of each epoch\n"
        f"  epochs of {steps} steps with them, against without: "
        f"{statistics.median(ratios):+.2%} ({ratios[0]:+.2%} to {ratios[-1]:+.2%})\n"
        f"  once: {once:.1f} s for the probe, beside {first_step:.1f} s for the first "
        "step of fit",
        flush=True,
    )
    for length in (36, 50, 100, 500):
        schedule = ProbeSchedule(length, PROBE, BATCH)
        readings = 1 + sum(map(schedule.due, range(EPOCHS)))
        trained = EPOCHS * length * step
        hooks = EPOCHS * (length * per_step + per_epoch)
        always = (EPOCHS + 1) * read
        print(
            f"  {EPOCHS} epochs of {length} steps: {readings} readings; with the "
            f"callbacks {(readings * read + hooks) / trained:.2%} of the steps' time "
            f"({(always + hooks) / trained:.2%}, were there one after each epoch)",
            flush=True,
        )


def run_once(name, watched):
    """Trains in this process, and prints the peak of its memory in MiB."""
    case = Case(name)
    steps = max(STEPS[name] // 4, 4)
    probe = case.watch() if watched else None
    if probe:
        probe.read()
    for _ in range(3):
        case.train(steps, make_callbacks() if probe else ())
        if probe:
            probe.read()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure_memory(name, rounds):
    if not rounds:
        return
    peaks: dict[str, list[float]] = {"plain": [], "watched": []}
    for _ in range(rounds):
        for kind, found in peaks.items():
            command = [sys.executable, __file__, "--case", name, "--once", kind]
            output = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(float(output.stdout.split()[-1]))
    plain, watched = (statistics.median(found) for found in peaks.values())
    print(
        f"{name}: peak of memory {plain:.0f} MiB plain, {watched:.0f} MiB watched, "
        f"{watched / plain - 1:+.1%}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--memory-rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--once", choices=("plain", "watched"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name in arguments.case:
        if arguments.once:
            run_once(name, arguments.once == "watched")
        else:
            measure(name, arguments.rounds, CLOCKS[arguments.clock])
            measure_memory(name, arguments.memory_rounds)


if __name__ == "__main__":
    main()
