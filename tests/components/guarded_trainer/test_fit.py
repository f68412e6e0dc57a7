# SPDX-License-Identifier: Apache-2.0
import contextlib
import math
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.causes import Severity
from components.errors import InputError
from components.guarded_trainer import batch_norm, fit, modes
from components.guarded_trainer.batch_norm import Statistics
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import read_head
from components.guarded_trainer.losses.compiling import compile_for
from components.guarded_trainer.remedies.settings import RemedyConfig
from components.guarded_trainer.scoring import Scorer
from components.guarded_trainer.user_code import blame

CONFIG = TrainingConfig(epochs=3, batch_size=32)
UNTOUCHED = RemedyConfig(enabled=False)


class BreakAt(layers.Layer):
    """Answers NaN from some training step on."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def build(self, shape):
        self.seen = self.add_weight(shape=(), dtype="int64", trainable=False)
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs, training=False):
        if not training:
            return inputs * self.scale
        broken = tf.where(self.seen.value >= self.step, np.float32("nan"), 1.0)
        self.seen.assign(self.seen.value + 1)
        return inputs * self.scale * broken


def network(*hidden, units=2, activation="softmax"):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Rescaling([0.0, 1.0, 1.0]),  # Hides the running number.
            *hidden,
            layers.Dense(units, activation),
        ]
    )


def train(model, split, config=CONFIG, compile=True, **kwargs):
    """Trains as the executor does; returns what came of it and the head."""
    inputs, _ = next(iter(split.fitted().batch(32)))
    head, _ = read_head(model, len(split.classes.labels), inputs)
    if compile and not model.compiled:
        compile_for(model, head, split.classes, config)
    found = modes.adaptive_layers(model, inputs)
    return fit.fit(model, head, split, config, batch_norm_layers=found, **kwargs), head


def causes(fitted, *severities):
    """Causes of the findings, by default of those that block or warn."""
    wanted = severities or (Severity.BLOCK, Severity.WARN)
    return [f.cause for f in fitted.findings if f.severity in wanted]


@pytest.fixture(scope="module")
def easy(rows, split):
    return split(rows(120, 120).serialized, held_out_share=0.25)


def test_training_learns_and_is_recorded(easy):
    fitted, head = train(
        network(), easy, CONFIG.model_copy(update={"learning_rate": 0.3})
    )
    assert len(fitted.epochs) == 3
    assert fitted.epochs[-1].held_out_accuracy > 0.8
    assert fitted.epochs[-1].loss < fitted.epochs[0].loss
    assert fitted.steps_per_epoch == math.ceil(easy.num_fitted / 32)
    assert fitted.stopped_because == "all 3 epochs were trained"
    assert (fitted.batch_norm, fitted.recalibration) == ((), None)
    assert (causes(fitted), fitted.remedies, fitted.resumed_at) == ([], (), ())
    assert fitted.seconds > 0


def test_nothing_is_held_out_where_nothing_can_be(rows, split):
    made = split(rows(20, 20).serialized)
    fitted, _ = train(network(), made)
    assert all(epoch.held_out_loss is None for epoch in fitted.epochs)
    losses = [epoch.loss for epoch in fitted.epochs]
    assert fitted.best_epoch == losses.index(min(losses))


def test_best_weights_are_restored(rows, split):
    made = split(rows(100, 100, spread=8.0).serialized, held_out_share=0.25)
    model = network(layers.Dense(16, "relu"))
    config = TrainingConfig(epochs=30, batch_size=8, learning_rate=0.03, patience=2)
    fitted, head = train(model, made, config)
    assert len(fitted.epochs) < 30
    assert fitted.stopped_because == "no better held-out loss in 2 epochs"
    losses = [epoch.held_out_loss for epoch in fitted.epochs]
    assert fitted.best_epoch == losses.index(min(losses)) == len(losses) - 3
    scored = Scorer(model, head).score(made.held_out())
    assert scored.loss == pytest.approx(min(losses), rel=1e-4)
    best = fitted.epochs[fitted.best_epoch]
    assert scored.accuracy == pytest.approx(best.held_out_accuracy)


def test_without_patience_all_epochs_are_trained_and_the_best_kept(rows, split):
    made = split(rows(100, 100, spread=8.0).serialized, held_out_share=0.25)
    model = network(layers.Dense(16, "relu"))
    config = TrainingConfig(epochs=6, batch_size=8, learning_rate=0.03, patience=None)
    fitted, head = train(model, made, config)
    losses = [epoch.held_out_loss for epoch in fitted.epochs]
    assert len(losses) == 6
    assert fitted.best_epoch == losses.index(min(losses))
    assert Scorer(model, head).score(made.held_out()).loss == pytest.approx(
        min(losses), rel=1e-4
    )


def test_same_seed_trains_the_same_model(easy):
    weights, losses = [], []
    for _ in range(2):
        keras.utils.set_random_seed(0)  # That of the dropout is drawn when it is made.
        model = network(layers.Dense(8, "relu"), layers.Dropout(0.5))
        fitted, _ = train(model, easy)
        weights.append(model.get_weights())
        losses.append([epoch.loss for epoch in fitted.epochs])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for first, second in zip(*weights, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-7)


def test_nan_in_the_first_epoch_blocks(easy):
    model = network(BreakAt(step=0))
    fitted, _ = train(model, easy)
    assert len(fitted.epochs) == 1
    assert causes(fitted, Severity.BLOCK) == ["not_a_number"]
    message = fitted.findings[0].message
    assert "the loss became nan in epoch 1; no good weights are left" in message
    assert (fitted.best_epoch, fitted.remedies) == (None, ())
    assert "not finite before the first step" in fitted.stopped_because


def test_nan_after_a_good_epoch_warns_and_goes_back(easy):
    steps = math.ceil(easy.num_fitted / 32)
    model = network(BreakAt(step=2 * steps))
    config = TrainingConfig(epochs=9, batch_size=32, remedies=UNTOUCHED)
    fitted, head = train(model, easy, config)
    assert (len(fitted.epochs), fitted.remedies) == (3, ())
    finding = fitted.findings[0]
    assert (finding.cause, finding.severity) == ("not_a_number", Severity.WARN)
    assert "epoch 3; the weights of epoch 2 were restored" in finding.message
    assert fitted.best_epoch == 1
    assert all(np.isfinite(v).all() for v in model.get_weights())
    scored = Scorer(model, head).score(easy.held_out())
    assert scored.loss == pytest.approx(fitted.epochs[1].held_out_loss, rel=1e-4)


def test_weights_lost_behind_a_finite_loss_are_found(easy):
    class Hidden(layers.Layer):
        """Loses a weight that no longer takes part in the answer."""

        def build(self, shape):
            self.lost = self.add_weight(shape=(), trainable=False, name="lost")

        def call(self, inputs, training=False):
            if training:
                self.lost.assign(np.float32("inf"))
            return inputs

    config = CONFIG.model_copy(update={"remedies": UNTOUCHED})
    fitted, _ = train(network(Hidden(name="hidden")), easy, config)
    assert causes(fitted, Severity.BLOCK) == ["not_a_number"]
    finding = fitted.findings[0]
    assert finding.subject.layer.endswith("hidden/lost")
    assert "was not finite after epoch 1" in finding.message


def test_huge_learning_rate_never_leaves_broken_weights_unsaid(easy):
    model = network(layers.Dense(8))
    model.compile(keras.optimizers.SGD(1e30), "sparse_categorical_crossentropy")
    config = TrainingConfig(epochs=5, batch_size=16, remedies=UNTOUCHED)
    fitted, _ = train(model, easy, config)
    assert causes(fitted)[0] == "not_a_number"
    broken = not all(np.isfinite(v).all() for v in model.get_weights())
    assert fitted.findings[0].blocks is (broken or fitted.best_epoch is None)


def expected_loss(model, head, rows_, weights):
    inputs, class_ids = map(np.array, zip(*rows_.as_numpy_iterator(), strict=True))
    chosen = head.probabilities(modes.call(model, inputs, training=False)).numpy()
    chosen = chosen[np.arange(len(class_ids)), class_ids]
    return np.mean(np.array(weights)[class_ids] * -np.log(chosen))


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, "softmax", "categorical_crossentropy"),
        (1, "sigmoid", "binary_crossentropy"),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True)),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),
)
@pytest.mark.parametrize("used", [True, False])
def test_class_weights_reach_both_losses(
    rows, split, class_table, units, activation, loss, used
):
    weights = (0.5, 3.0) if used else (1.0, 1.0)
    classes = class_table(0, 1, counts=(60, 20))
    made = split(rows(60, 20).serialized, classes, held_out_share=0.25)
    model = network(units=units, activation=activation)
    model.compile(keras.optimizers.SGD(0.0), loss)
    fitted, head = train(
        model,
        made,
        TrainingConfig(epochs=1, batch_size=16),
        class_weight=dict(enumerate(weights)) if used else None,
    )
    (epoch,) = fitted.epochs
    assert epoch.loss == pytest.approx(
        expected_loss(model, head, made.fitted(), weights), rel=1e-4
    )
    assert epoch.held_out_loss == pytest.approx(
        expected_loss(model, head, made.held_out(), weights), rel=1e-4
    )


def test_class_that_never_occurs_does_not_make_weights(rows, split, class_table):
    classes = class_table(0, 1, 2, counts=(20, 20, 0), weights=(1.0, 1.0, 0.0))
    made = split(rows(20, 20).serialized, classes)
    fitted, _ = train(network(units=3), made, TrainingConfig(epochs=1))
    assert math.isfinite(fitted.epochs[0].loss)


def test_compiled_model_keeps_its_own_metrics(easy):
    model = network()
    model.compile(
        "adam",
        "sparse_categorical_crossentropy",
        metrics=[
            keras.metrics.SparseTopKCategoricalAccuracy(1, name="top"),
            "sparse_top_k_categorical_accuracy",
        ],
    )
    fitted, _ = train(model, easy, TrainingConfig(epochs=1))
    assert {
        "top",
        "sparse_top_k_categorical_accuracy",
    } <= model.get_metrics_result().keys()
    assert fitted.epochs[0].accuracy is None
    assert fitted.epochs[0].held_out_accuracy is None


def test_model_compiled_without_metrics_is_trained(easy):
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    fitted, _ = train(model, easy, TrainingConfig(epochs=1))
    assert fitted.epochs[0].accuracy is None
    assert fitted.epochs[0].held_out_loss > 0


def test_metric_that_does_not_fit_is_blamed(easy):
    model = network()
    metrics = [keras.metrics.AUC()]  # Wants one-hot labels.
    model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics)

    def blaming():
        return blame.blaming(Path("model.py"), "training the model")

    with pytest.raises(
        InputError,
        match=r"model\.py: training the model failed with InvalidArgumentError: "
        r"data\.shape = \[32\] does not start with segment_ids\.shape = \[64\]; mend",
    ):
        train(model, easy, blaming=blaming)


def slow_to_adapt(trainable=True):
    """Its moving statistics hardly move in a few steps, as in the seed case."""
    return network(
        layers.Dense(8),
        layers.BatchNormalization(momentum=0.9999, trainable=trainable),
        layers.ReLU(),
    )


@pytest.fixture(scope="module")
def far(rows, split, class_table):
    classes = class_table(1, 2)
    serialized = rows(0, 150, 150, spread=0.4).serialized
    return lambda share: split(serialized, classes, share)


QUICK = TrainingConfig(
    epochs=6, batch_size=32, learning_rate=0.02, patience=None, remedies=UNTOUCHED
)


def test_recalibration_is_kept_where_it_helps(far):
    made = far(0.25)
    model = slow_to_adapt()
    fitted, head = train(model, made, QUICK)
    (drift,) = fitted.batch_norm
    assert drift.mean_shift > 0.5
    assert drift.initial_share > 0.99
    record = fitted.recalibration
    assert record.kept
    assert record.num_held_out == made.num_held_out
    assert record.num_examples == made.num_fitted
    assert record.loss_after < record.loss_before
    assert record.accuracy_after > record.accuracy_before + 0.2
    assert causes(fitted, Severity.BLOCK) == []
    finding = next(f for f in fitted.findings if f.cause == "mode_gap")
    assert "recalibrated on" in finding.message
    assert f"{made.num_held_out} held-out rows" in finding.message
    assert (finding.limit, finding.measured) == (
        record.accuracy_before,
        record.accuracy_after,
    )
    assert Scorer(model, head).score(made.held_out()).loss == record.loss_after


def test_recalibration_says_that_no_rows_were_held_out(far):
    fitted, _ = train(slow_to_adapt(), far(0.0), QUICK)
    assert fitted.recalibration.num_held_out == 0
    assert fitted.recalibration.kept
    messages = [f.message for f in fitted.findings]
    assert any("training rows (none were held out)" in m for m in messages)


def test_recalibration_that_harms_is_undone(far, monkeypatch):
    made = far(0.25)
    model = network(layers.BatchNormalization(momentum=0.5), layers.Dense(8))
    wrong = Statistics(np.array([0.0, -9.0, 9.0]), np.full(3, 99.0))
    monkeypatch.setattr(batch_norm, "measure", lambda *_: (wrong,))
    fitted, head = train(model, made, QUICK)
    record = fitted.recalibration
    assert not record.kept
    assert record.loss_after > record.loss_before
    assert causes(fitted) == []
    assert np.abs(model.layers[1].moving_mean).max() < 9
    assert Scorer(model, head).score(made.held_out()).loss == pytest.approx(
        record.loss_before
    )


def test_recalibration_can_be_switched_off(far):
    model = slow_to_adapt()
    off = QUICK.model_copy(update={"recalibrate_batch_norm": False, "epochs": 1})
    fitted, _ = train(model, far(0.25), off)
    assert fitted.recalibration is None
    assert len(fitted.batch_norm) == 1
    assert np.abs(model.layers[2].moving_mean).max() < 0.1


def test_frozen_batch_norm_is_not_recalibrated(far):
    fitted, _ = train(slow_to_adapt(trainable=False), far(0.25), CONFIG)
    assert (fitted.batch_norm, fitted.recalibration) == ((), None)


def test_recalibration_uses_as_many_examples_as_asked_for(far):
    few = QUICK.model_copy(update={"recalibration_examples": 70, "epochs": 1})
    fitted, _ = train(slow_to_adapt(), far(0.25), few)
    assert fitted.recalibration.num_examples == 64


def test_recalibration_that_cannot_run_blocks_and_changes_nothing(far, monkeypatch):
    model = slow_to_adapt()

    def fail(*_):
        model.layers[2].moving_mean.assign(np.full(8, 99.0))
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(batch_norm, "measure", fail)
    fitted, _ = train(model, far(0.25), QUICK.model_copy(update={"epochs": 1}))
    finding = next(f for f in fitted.findings if f.cause == "check_failed")
    assert finding.blocks
    assert "no such kernel" in finding.message
    assert np.abs(model.layers[2].moving_mean).max() < 9


def test_broken_model_with_batch_norm_blocks(far):
    model = network(layers.BatchNormalization(), BreakAt(step=0))
    fitted, _ = train(model, far(0.25), CONFIG)
    assert causes(fitted, Severity.BLOCK) == ["not_a_number"]
    assert not fitted.recalibration.kept


def test_subclassed_model_is_trained(easy):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization()
            self.end = layers.Dense(2)

        def call(self, inputs, training=False):
            return self.end(self.norm(inputs, training=training))

    fitted, head = train(Model(), easy, CONFIG)
    assert head.logits
    assert len(fitted.epochs) == 3
    assert len(fitted.batch_norm) == 1


def test_extra_callbacks_are_called_and_errors_are_blamed(easy):
    class Fail(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("disk full")

    @contextlib.contextmanager
    def blaming():
        try:
            yield
        except OSError as error:
            raise InputError(f"blamed: {error}") from error

    with pytest.raises(InputError, match="blamed: disk full"):
        train(network(), easy, extra_callbacks=[Fail()], blaming=blaming)
