# SPDX-License-Identifier: Apache-2.0
"""Watching a training must not change it."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework import config

from components.guarded_trainer import modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.probe.facts import make_facts
from components.guarded_trainer.probe.reading import Probe
from components.guarded_trainer.probe.sample import choose_probe
from components.guarded_trainer.probe.steps import WatchSteps
from components.guarded_trainer.probe.tensorboard import TensorBoard
from components.guarded_trainer.tracing import plain_calls

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(96, 8, 8, 1)).astype(np.float32)
Y = RANDOM.integers(0, 3, 96)
HEAD = Head(3, 3, logits=False, one_hot=False)


class Net(keras.Model):
    """Has all that holds state: BatchNorm, dropout, noise, metrics of its own."""

    def __init__(self):
        super().__init__()
        self.noise = layers.GaussianNoise(0.1)
        self.turn = layers.RandomFlip()
        self.conv = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")
        self.norm = layers.BatchNormalization()
        self.flat = layers.Flatten()
        self.drop = layers.Dropout(0.5)
        self.out = layers.Dense(3, "softmax", activity_regularizer="l2")
        self.seen = keras.metrics.Sum(name="seen")

    def call(self, inputs, training=False):
        x = self.norm(self.conv(self.turn(self.noise(inputs))))
        self.seen.update_state(tf.reduce_sum(x))
        return self.out(self.drop(self.flat(x)))


class Decorated(Net):
    def __init__(self):
        super().__init__()
        # Keras cannot collect losses from within such a method.
        self.out.activity_regularizer = None

    @tf.function
    def call(self, inputs, training=False):
        x = self.conv(self.noise(inputs, training=training))
        x = self.norm(x, training=training)
        return self.out(self.drop(self.flat(x), training=training))


class Look(keras.callbacks.Callback):
    def __init__(self, probe, steps, board):
        super().__init__()
        self.probe, self.steps, self.board = probe, steps, board
        self.readings = []

    def on_epoch_end(self, epoch, logs=None):
        self.readings.append(self.probe.read(self.steps.update_ratios))
        self.board.write_reading(epoch, self.readings[-1])


def train(kind, data, folder=None, **options):
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = kind()
    model(X[:2])
    model.compile("adam", "sparse_categorical_crossentropy", **options)
    callbacks = []
    if folder:
        # Such a method keeps its first trace, so that this must not be it.
        with plain_calls(model):
            adaptive = modes.adaptive_layers(model, tf.constant(X[:4]))
        rows = data(X, Y)
        inputs, class_ids = choose_probe(rows, 40, 0)
        probe = Probe(model, HEAD, inputs, class_ids, adaptive)
        facts = make_facts(model, HEAD, rows, TrainingConfig(), inputs, probe, adaptive)
        assert facts.initial.num_examples == 40
        steps, board = WatchSteps(), TensorBoard(str(folder))
        look = Look(probe, steps, board)
        callbacks = [steps, board, look]
    history = model.fit(X, Y, batch_size=32, epochs=2, callbacks=callbacks, verbose=0)
    if folder:
        assert len(look.readings) == 2
        assert all(x.update_ratio for x in look.readings[-1].layers if x.weight_norm)
    return [np.array(v) for v in model.variables], history.history


# Keras' own, where `call` is under a decorator.
@pytest.mark.filterwarnings("ignore:.build... was called on layer:UserWarning")
@pytest.mark.parametrize(
    ("kind", "eager"), [(Net, False), (Net, True), (Decorated, False)]
)
def test_weights_and_losses_are_the_same_bit_for_bit(kind, eager, data, tmp_path):
    tf.config.experimental.enable_op_determinism()
    try:
        alone, history = train(kind, data, run_eagerly=eager)
        watched, seen = train(kind, data, tmp_path, run_eagerly=eager)
    finally:
        config.disable_op_determinism()
    assert history == seen
    for a, b in zip(alone, watched, strict=True):
        np.testing.assert_array_equal(a, b)


MIRRORED = textwrap.dedent(
    """
    import keras, numpy as np, tensorflow as tf
    from keras import layers
    from components.guarded_trainer import modes
    from components.guarded_trainer.head import Head
    from components.guarded_trainer.probe.reading import Probe
    from components.guarded_trainer.probe.steps import WatchSteps

    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    x = np.random.default_rng(0).normal(size=(32, 5)).astype(np.float32)
    y = np.arange(32) % 3

    def make():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([
            keras.Input((5,)),
            layers.Dense(4, "relu", name="a"),
            layers.BatchNormalization(synchronized=True, name="bn"),
            layers.Dense(3, "softmax", name="b"),
        ])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    def read(model, strategy=None):
        adaptive = modes.adaptive_layers(model, tf.constant(x))
        head = Head(3, 3, logits=False, one_hot=False)
        return Probe(model, head, x, y, adaptive).read()

    tf.config.experimental.enable_op_determinism()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = make()
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    found = read(model)
    for a, b in zip(before, model.variables):
        np.testing.assert_array_equal(a, keras.ops.convert_to_numpy(b))
    alone = read(make())
    with strategy.scope():
        again = read(model)
    for other in (alone, again):
        assert abs(found.training_loss - other.training_loss) < 1e-5, (found, other)
        for a, b in zip(found.layers, other.layers):
            assert abs(a.gradient_norm - b.gradient_norm) < 1e-5, (a, b)
            assert abs((a.mean_shift or 0) - (b.mean_shift or 0)) < 1e-5, (a, b)
    watch = WatchSteps()
    model.fit(x, y, callbacks=[watch], verbose=0)
    assert all(0 < ratio < 1 for ratio in watch.update_ratios.values())
    assert len(watch.update_ratios) == 3
    """
)


@pytest.mark.slow
def test_mirrored_models_are_read_as_those_on_one_device():
    subprocess.run([sys.executable, "-c", MIRRORED], check=True, timeout=300)
