# SPDX-License-Identifier: Apache-2.0
import logging
import math

import keras
import numpy as np
import pytest
from keras import layers

from components.guarded_trainer.callbacks import (
    RecordEpochs,
    StopOnNotFinite,
    describe,
    first_not_finite,
)
from components.records.training import Epoch


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="last")])
    model.stop_training = False
    return model


def attach(callback, model, epochs=10):
    callback.set_model(model)
    callback.set_params({"epochs": epochs})
    return callback


def set_bias(model, value):
    model.get_layer("last").bias.assign([value, 0.0])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_loss_that_is_not_finite_stops(model, loss):
    guard = attach(StopOnNotFinite(), model)
    guard.on_train_begin()
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(0, {"loss": 0.5})
    assert (guard.reason, model.stop_training) == (None, False)
    guard.on_train_batch_end(1, {"loss": loss})
    assert model.stop_training
    assert guard.reason == f"the loss became {loss} in epoch 3"
    guard.on_epoch_end(2)
    assert guard.layer is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weight_that_is_not_finite_stops_although_the_loss_is(model, value):
    guard = attach(StopOnNotFinite(), model)
    guard.on_train_begin()
    guard.on_epoch_begin(0)
    guard.on_epoch_end(0, {"loss": 0.5})
    assert (guard.reason, model.stop_training) == (None, False)
    set_bias(model, value)
    guard.on_epoch_begin(1)
    guard.on_train_batch_end(0, {"loss": 0.5})
    guard.on_epoch_end(1, {"loss": 0.5})
    assert model.stop_training
    assert guard.layer.endswith("last/bias")
    assert guard.reason == f"{guard.layer} was not finite after epoch 2"


def test_logs_without_a_loss_say_nothing(model):
    guard = attach(StopOnNotFinite(), model)
    guard.on_train_begin()
    for logs in (None, {}, {"accuracy": math.nan}):
        guard.on_train_batch_end(0, logs)
    assert guard.reason is None


def test_guard_serves_several_fits(model):
    guard = attach(StopOnNotFinite(), model)
    guard.on_train_begin()
    guard.on_epoch_begin(0)
    set_bias(model, math.nan)
    guard.on_epoch_end(0)
    assert guard.layer
    guard.on_train_begin()
    assert (guard.reason, guard.layer) == (None, None)


@pytest.mark.parametrize("policy", ["float32", "bfloat16", "mixed_float16"])
def test_first_weight_that_is_not_finite(policy):
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dropout(0.5), layers.Dense(2), layers.Dense(2)]
    )
    assert first_not_finite(model) is None
    model.layers[-1].kernel.assign(np.full((2, 2), np.nan))
    assert first_not_finite(model) == model.layers[-1].kernel.path


@pytest.mark.parametrize(
    ("logs", "accuracies"),
    [
        ({"accuracy": 0.5, "val_accuracy": 0.25}, (0.5, 0.25)),
        ({"acc": 0.5, "val_acc": 0.25}, (0.5, 0.25)),
        ({"sparse_categorical_accuracy": 0.5}, (0.5, None)),
        ({"val_binary_accuracy": 0.5}, (None, 0.5)),
        ({"val_categorical_accuracy": 0.25, "categorical_accuracy": 0.5}, (0.5, 0.25)),
        ({"top_k_categorical_accuracy": 0.9, "auc": 0.8}, (None, None)),
        ({}, (None, None)),
        (None, (None, None)),
    ],
)
def test_accuracy_is_recorded_under_any_name(model, logs, accuracies):
    epochs = []
    record = attach(RecordEpochs(epochs.append), model)
    record.on_epoch_begin(0)
    record.on_epoch_end(0, logs)
    (epoch,) = epochs
    assert (epoch.accuracy, epoch.held_out_accuracy) == accuracies
    assert epoch.seconds >= 0
    assert epoch.learning_rate is None


def test_epochs_are_recorded_and_logged(model, caplog):
    caplog.set_level(logging.INFO, "components.guarded_trainer")
    epochs = []
    record = attach(RecordEpochs(epochs.append), model, epochs=5)
    for epoch, loss in enumerate([0.5, math.nan]):
        record.on_epoch_begin(epoch)
        record.on_epoch_end(epoch, {"loss": loss, "val_loss": np.float32(0.25)})
    assert [e.held_out_loss for e in epochs] == [0.25, 0.25]
    assert epochs[0].loss == 0.5
    assert math.isnan(epochs[1].loss)
    assert [r.progress for r in caplog.records[-2:]] == [(1, 5), (2, 5)]
    assert "epoch 1 of 5: loss 0.500, held-out loss 0.250" in caplog.text


@pytest.mark.parametrize(
    ("losses", "first", "worst"),
    [
        ([3.0, 2.0, 1.0], 3.0, 3.0),
        ([1.0, 5.0, 2.0], 1.0, 5.0),
        ([1.0, math.inf, 2.0], 1.0, math.inf),
        ([None], None, None),
        ([], None, None),
    ],
)
def test_first_and_worst_loss_of_each_epoch_are_kept(model, losses, first, worst):
    epochs = []
    record = attach(RecordEpochs(epochs.append), model)
    for _ in range(2):  # The second epoch starts afresh.
        record.on_epoch_begin(0)
        for step, loss in enumerate(losses):
            record.on_train_batch_end(step, {} if loss is None else {"loss": loss})
        record.on_epoch_end(0, {})
    assert [(e.first_loss, e.worst_batch_loss) for e in epochs] == [(first, worst)] * 2
    assert record.num_steps == len(losses)


def test_worst_loss_of_an_epoch_that_breaks_is_nan(model):
    epochs = []
    record = attach(RecordEpochs(epochs.append), model)
    record.on_epoch_begin(0)
    for step, loss in enumerate([1.0, math.nan]):
        record.on_train_batch_end(step, {"loss": loss})
    record.on_epoch_end(0, {})
    assert math.isnan(epochs[0].worst_batch_loss)


def test_rate_of_the_last_step_is_recorded(model):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.1)
    rates = []
    for learning_rate in (0.25, schedule):
        model.compile(keras.optimizers.SGD(learning_rate), "mse")
        record = attach(RecordEpochs(lambda e: rates.append(e.learning_rate)), model)
        record.on_epoch_begin(0)
        record.on_epoch_end(0, {})
    assert rates == [0.25, 0.5]


def test_description_leaves_out_what_was_not_measured():
    assert describe(Epoch()) == ""
    assert describe(Epoch(accuracy=0.5)) == "accuracy 0.500"
