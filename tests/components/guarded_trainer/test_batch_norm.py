# SPDX-License-Identifier: Apache-2.0
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from components.guarded_trainer import batch_norm, modes
from components.guarded_trainer.batch_norm import Statistics

ROWS = np.random.default_rng(0).normal([1, -2, 0], [1, 5, 0.1], (37, 3))
ROWS = ROWS.astype(np.float32)


def sequential(*end, shape=(3,)):
    return keras.Sequential([keras.Input(shape), *end])


def cut(rows, at):
    return [part for part in np.split(rows, sorted(at)) if len(part)]


def measure(model, batches):
    found = modes.adaptive_layers(model, batches[0])
    return found, batch_norm.measure(model, found, batches)


ONE_LAYER = sequential(layers.BatchNormalization())


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 36), max_size=4, unique=True))
def test_first_layer_is_measured_exactly_however_the_data_are_cut(at):
    _, (found,) = measure(ONE_LAYER, cut(ROWS, at))
    exact = ROWS.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.variance, exact.var(axis=0), rtol=1e-5)


def test_small_last_batch_does_not_count_as_a_whole_one():
    rows = np.concatenate([np.zeros((32, 3)), 100 * np.ones((1, 3))]).astype(np.float32)
    _, (found,) = measure(ONE_LAYER, [rows[:32], rows[32:]])
    np.testing.assert_allclose(found.mean, 100 / 33, rtol=1e-6)
    np.testing.assert_allclose(found.variance, rows.var(axis=0), rtol=1e-5)


def test_images_are_measured_per_channel():
    images = np.random.default_rng(1).normal(3, 2, (9, 4, 5, 3)).astype(np.float32)
    model = sequential(layers.BatchNormalization(), shape=(4, 5, 3))
    _, (found,) = measure(model, [images[:4], images[4:]])
    np.testing.assert_allclose(found.mean, images.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.variance, images.var((0, 1, 2)), rtol=1e-4)


def test_deeper_layers_see_batch_statistics_below_and_no_dropout():
    keras.utils.set_random_seed(0)
    model = sequential(
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(4, "relu"),
        layers.BatchNormalization(),
    )
    _, (_, found) = measure(model, [ROWS])
    first, dense = model.layers[0], model.layers[2]
    normal = (ROWS - ROWS.mean(0)) / np.sqrt(ROWS.var(0) + first.epsilon)
    hidden = np.maximum(normal @ np.asarray(dense.kernel), 0)
    np.testing.assert_allclose(found.mean, hidden.mean(0), atol=1e-5)
    np.testing.assert_allclose(found.variance, hidden.var(0), atol=1e-5)


def test_shared_layer_is_measured_over_all_its_uses():
    norm = layers.BatchNormalization()
    model = sequential(norm, layers.Rescaling(3.0, offset=5.0), norm)
    _, (found,) = measure(model, [ROWS])
    first = ROWS.astype(np.float64)
    scale = np.sqrt(first.var(0) + norm.epsilon)
    second = 3 * (first - first.mean(0)) / scale + 5
    pooled = np.concatenate([first, second])
    np.testing.assert_allclose(found.mean, pooled.mean(0), atol=1e-5)
    np.testing.assert_allclose(found.variance, pooled.var(0), rtol=1e-4)


def test_layers_of_one_name_are_not_mixed_up():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = layers.BatchNormalization(name="norm")
            self.wide = layers.Dense(5, "relu")
            self.b = layers.BatchNormalization(name="norm")

        def call(self, inputs, training=False):
            return self.b(
                self.wide(self.a(inputs, training=training)), training=training
            )

    model = Twins()
    model(ROWS)
    found, measured = measure(model, [ROWS])
    assert found == (model.a, model.b)
    assert [len(one.mean) for one in measured] == [3, 5]
    batch_norm.assign(found, measured)
    np.testing.assert_allclose(model.a.moving_mean, ROWS.mean(0), atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_measuring_changes_nothing(policy):
    keras.config.set_dtype_policy(policy)
    model = sequential(
        layers.GaussianNoise(1.0),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(2),
        layers.BatchNormalization(momentum=0.5),
    )
    before = [np.array(v) for v in model.variables]
    found, measured = measure(model, [ROWS, ROWS[:5]])
    assert len(measured) == 2
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, np.array(variable))
    assert [layer.momentum for layer in found] == [0.99, 0.5]
    assert all("call" not in vars(layer) for layer in found)


@pytest.fixture
def eager():
    """Without graphs, whose optimizer takes 0 * x for 0 whatever x is."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_broken_moving_statistics_do_not_spoil_the_measurement(broken):
    model = sequential(layers.BatchNormalization(), layers.Dense(2))
    (norm,) = modes.adaptive_layers(model, ROWS)
    norm.moving_mean.assign([broken] * 3)
    norm.moving_variance.assign([broken] * 3)
    _, (found,) = measure(model, [ROWS])
    np.testing.assert_allclose(found.mean, ROWS.mean(0), atol=1e-5)
    (drift,) = batch_norm.drift([norm], [found], 1)
    assert not math.isfinite(drift.mean_shift)


def test_frozen_layers_are_left_alone():
    frozen = layers.BatchNormalization(trainable=False)
    model = sequential(frozen, layers.BatchNormalization())
    found, measured = measure(model, [ROWS])
    assert frozen not in found
    batch_norm.assign(found, measured)
    np.testing.assert_array_equal(frozen.moving_mean, np.zeros(3))


def test_nothing_is_measured_without_batches_or_layers():
    layer = modes.adaptive_layers(ONE_LAYER, ROWS)
    assert batch_norm.measure(ONE_LAYER, layer, []) == ()
    assert batch_norm.measure(ONE_LAYER, (), [ROWS]) == ()


def test_assigned_statistics_have_no_drift():
    model = sequential(layers.BatchNormalization(), layers.Dense(2, "relu"))
    found, measured = measure(model, [ROWS])
    (before,) = batch_norm.drift(found, measured, 10)
    assert before.mean_shift > 0.1
    assert before.log_variance_ratio > 0.1
    batch_norm.assign(found, measured)
    (after,) = batch_norm.drift(found, measured, 10)
    assert after.mean_shift == pytest.approx(0, abs=1e-6)
    assert after.log_variance_ratio == pytest.approx(0, abs=1e-6)


def test_assigned_statistics_make_both_modes_agree():
    model = sequential(layers.BatchNormalization(), layers.Dense(2))
    found, measured = measure(model, [ROWS])
    batch_norm.assign(found, measured)
    np.testing.assert_allclose(
        modes.forward(model, ROWS, training=False),
        modes.forward(model, ROWS, training=True),
        atol=1e-5,
    )


def test_former_statistics_can_be_restored():
    model = sequential(layers.BatchNormalization())
    found, measured = measure(model, [ROWS])
    before, weights = batch_norm.current(found), model.get_weights()
    batch_norm.assign(found, measured)
    batch_norm.assign(found, before)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_drift_by_its_definition():
    norm = layers.BatchNormalization(epsilon=1.0, momentum=0.9)
    model = sequential(norm)
    norm.moving_mean.assign([3.0, 0.0, 0.0])
    norm.moving_variance.assign([7.0, 1.0, 1.0])
    data = Statistics(np.array([0.0, 0.0, 0.0]), np.array([3.0, 1.0, 1.0]))
    (drift,) = batch_norm.drift([norm], [data], num_steps=2)
    assert drift.layer == norm.path
    assert drift.mean_shift == pytest.approx(math.sqrt((3 / 2) ** 2 / 3))
    assert drift.log_variance_ratio == pytest.approx(math.sqrt(math.log(2) ** 2 / 3))
    assert drift.initial_share == pytest.approx(0.81)
    assert model.built


def test_most_drifted_layer_stands_first_and_nan_before_it():
    norms = [layers.BatchNormalization(name=name) for name in ("near", "far", "nan")]
    for norm, mean in zip(norms, [0.1, 5.0, math.nan], strict=True):
        norm.build((None, 1))
        norm.moving_mean.assign([mean])
    data = Statistics(np.zeros(1), np.ones(1))
    drifts = batch_norm.drift(norms, [data] * 3, num_steps=1)
    assert [drift.layer for drift in drifts] == ["nan", "far", "near"]


def test_models_with_several_inputs_are_measured():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    norm = layers.BatchNormalization()
    model = keras.Model(
        {"left": left, "right": right}, norm(layers.Concatenate()([left, right]))
    )
    batches = [{"left": part, "right": -part} for part in cut(ROWS, [10, 30])]
    _, (found,) = measure(model, batches)
    both = np.concatenate([ROWS, -ROWS], axis=1).astype(np.float64)
    np.testing.assert_allclose(found.mean, both.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.variance, both.var(axis=0), rtol=1e-5)


def test_synchronized_layer_is_measured_as_any_other_and_stays_synchronized():
    norm = layers.BatchNormalization(synchronized=True, momentum=0.8)
    _, (found,) = measure(sequential(norm), cut(ROWS, [20]))
    exact = ROWS.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.variance, exact.var(axis=0), rtol=1e-5)
    assert (norm.synchronized, norm.momentum) == (True, 0.8)


MIRRORED = """
import keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from components.guarded_trainer import batch_norm, fit, modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import read_head
from components.guarded_trainer.reading.arrays import read_arrays

random = np.random.default_rng(0)
y = np.arange(240) % 2
x = (random.normal(2, 3, (240, 4)) + 4 * y[:, None]).astype(np.float32)
data = read_arrays((x[:200], y[:200]), (x[200:], y[200:]), 2)
keras.utils.set_random_seed(0)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    first = keras.layers.BatchNormalization(synchronized=True, momentum=0.999)
    shared = keras.layers.BatchNormalization(momentum=0.999)
    inputs = keras.Input((4,))
    half = keras.layers.Dense(4, activation="relu")(first(inputs))
    both = keras.layers.Concatenate()([shared(half), shared(2.0 * half)])
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(both))
    # So high that a roll-back is needed.
    model.compile(
        keras.optimizers.SGD(1e8), "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
head, _ = read_head(model, 2, x[:4])
found = modes.adaptive_layers(model, x[:4])
assert len(found) == 2
config = TrainingConfig(epochs=6, batch_size=40, patience=None)
fitted = fit.fit(model, head, data, config, batch_norm_layers=found)
assert fitted.remedies and fitted.remedies[0].back_to_epoch == -1, fitted.remedies
assert fitted.remedies[-1].helped, fitted.remedies
assert fitted.recalibration is not None
(exact, pooled) = batch_norm.measure(model, found, [x[:120], x[120:200]])
np.testing.assert_allclose(exact.mean, x[:200].mean(axis=0), rtol=1e-4)
batch_norm.assign(found, [exact, pooled])
for replica in (0, 1):
    value = first.moving_mean.value
    local = getattr(value, "values", [value] * 2)[replica]
    np.testing.assert_allclose(local.numpy(), exact.mean, rtol=1e-5)
assert first.synchronized
print("done")
"""


@pytest.mark.slow
def test_training_over_two_replicas_is_repaired_and_recalibrated():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MIRRORED],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.stdout.endswith("done\n"), run.stderr[-3000:]
