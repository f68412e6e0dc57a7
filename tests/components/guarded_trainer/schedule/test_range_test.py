# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from sklearn import datasets

from components.errors import InputError
from components.guarded_trainer.schedule import rate
from components.guarded_trainer.schedule.range_test import find_learning_rate, propose

RATES = np.geomspace(1e-7, 10, 100)


def descent(at, *, height=1.0, noise=0.0, seed=0):
    """A curve that falls around a rate, and rises a hundred times above it."""
    x = np.log10(RATES / at)
    losses = 2.0 - height / (1 + np.exp(-4 * x)) + np.exp(4 * (x - 2.3))
    return losses + noise * np.random.default_rng(seed).normal(size=len(x))


@pytest.mark.parametrize("at", [1e-5, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_rate_of_the_steepest_descent_is_proposed(at, noise):
    proposal = propose(RATES, descent(at, noise=noise))
    assert at / 5 < proposal < at * 5


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(np.full(100, 2.0), id="level"),
        pytest.param(np.linspace(2.0, 3.0, 100), id="rising"),
        pytest.param(descent(1e-3, height=0.02), id="hardly-falling"),
        pytest.param(np.full(100, np.nan), id="never-finite"),
        pytest.param([2.0] + [np.nan] * 99, id="one-step"),
    ],
)
def test_nothing_is_proposed_where_the_loss_falls_at_no_rate(losses):
    assert propose(RATES, losses) is None


def test_early_dip_of_a_noisy_loss_is_not_the_descent():
    losses = descent(1e-2)
    losses[3:6] -= 1.5
    assert propose(RATES, losses) > 1e-3


@pytest.mark.parametrize("end", [np.nan, np.inf, 1e30])
def test_loss_that_explodes_ends_the_curve(end):
    losses = descent(1e-3)
    losses[80:] = end
    assert propose(RATES, losses) == pytest.approx(propose(RATES, descent(1e-3)), 2)


@given(st.lists(st.floats(0, 1e30) | st.just(np.nan), min_size=2, max_size=100))
def test_proposal_is_one_of_the_rates_or_below(losses):
    proposal = propose(RATES[: len(losses)], losses)
    assert proposal is None or 0 < proposal <= RATES[len(losses) - 1]


@pytest.fixture(scope="module")
def batches():
    x, y = datasets.load_digits(return_X_y=True)
    rows = tf.data.Dataset.from_tensor_slices(((x / 16).astype(np.float32), y))
    return rows.take(600).batch(30)


def compiled(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(32, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def everything(model):
    return [
        keras.ops.convert_to_numpy(variable)
        for variable in [*model.variables, *model.optimizer.variables]
    ]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: keras.optimizers.Adam(1e-3), id="adam"),
        pytest.param(
            lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
            id="scaled",
        ),
    ],
)
def test_everything_is_afterwards_as_it_was(batches, make):
    tested, untouched = compiled(make()), compiled(make())
    for model in (tested, untouched):
        model.fit(batches.take(3), verbose=0)
    before = everything(tested)
    seen = find_learning_rate(tested, batches, num_steps=40)
    assert seen.losses[0] < 3
    assert seen.rates == tuple(sorted(seen.rates))
    for old, new in zip(before, everything(tested), strict=True):
        np.testing.assert_array_equal(old, new)
    for model in (tested, untouched):
        model.fit(batches.take(3), verbose=0)
    for a, b in zip(everything(tested), everything(untouched), strict=True):
        np.testing.assert_array_equal(a, b)


def test_proposal_trains(batches):
    model = compiled(keras.optimizers.Adam(1e-7))
    seen = find_learning_rate(model, batches, class_weight={k: 1.0 for k in range(10)})
    assert 1e-4 < seen.proposal < 5e-2
    rate.put(model.optimizer, seen.proposal)
    assert model.fit(batches, epochs=3, verbose=0).history["accuracy"][-1] > 0.8


def test_unused_optimizer_is_left_fresh(batches):
    model = compiled(keras.optimizers.Adam(1e-3))
    weights = model.get_weights()
    find_learning_rate(model, batches.take(2), num_steps=20)
    assert int(model.optimizer.iterations) == 0
    assert rate.get(model.optimizer) == pytest.approx(1e-3)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_test_ends_where_the_loss_diverges(batches):
    model = compiled(keras.optimizers.SGD(0.1))
    seen = find_learning_rate(model, batches, num_steps=60, largest=1e9)
    assert len(seen.rates) == len(seen.losses) < 60


def test_optimizer_with_a_schedule_is_refused(batches):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    with pytest.raises(InputError, match="schedule.range_test: .* follows a schedule"):
        find_learning_rate(compiled(keras.optimizers.SGD(schedule)), batches)


def test_model_of_a_strategy_is_tested(batches):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = keras.Sequential([keras.Input((64,)), layers.Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    assert len(find_learning_rate(model, batches, num_steps=20).rates) > 2
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
