# SPDX-License-Identifier: Apache-2.0
import logging
import math
import os

import keras
import numpy as np
import pytest
from keras import layers

from components.causes import Severity
from components.guarded_trainer import fit, modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import read_head
from components.guarded_trainer.reading.arrays import read_arrays
from components.guarded_trainer.remedies.settings import RemedyConfig
from components.guarded_trainer.schedule.settings import ScheduleConfig

PLAIN = TrainingConfig(epochs=4, patience=None)
UNTOUCHED = RemedyConfig(enabled=False)


@pytest.fixture(scope="module")
def blobs():
    """Two classes of 160 rows that overlap a little, and 40 rows to hold out."""
    random = np.random.default_rng(0)
    y = np.arange(200) % 2
    x = (random.normal(size=(200, 4)) + y[:, None]).astype(np.float32)
    return read_arrays((x[:160], y[:160]), (x[160:], y[160:]), 2)


def network(optimizer, *hidden):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, "relu"),
            *hidden,
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model, data, config=PLAIN, **kwargs):
    inputs, _ = next(iter(data.fitted().batch(8)))
    head, _ = read_head(model, 2, inputs)
    found = modes.adaptive_layers(model, inputs)
    return fit.fit(model, head, data, config, batch_norm_layers=found, **kwargs)


def assert_same(first, second):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def curve(fitted):
    """The epochs without what a clock measured."""
    return [
        [e.loss, e.accuracy, e.held_out_loss, e.held_out_accuracy, e.learning_rate]
        for e in fitted.epochs
    ]


def blocking(fitted):
    return [f.cause for f in fitted.findings if f.severity is Severity.BLOCK]


def test_guarded_training_is_that_of_keras(blobs):
    def make():
        keras.utils.set_random_seed(2)
        hidden = layers.BatchNormalization(momentum=0.5), layers.Dropout(0.3)
        return network(keras.optimizers.Adam(0.01), *hidden)

    guarded, plain = make(), make()
    config = PLAIN.model_copy(update={"recalibrate_batch_norm": False})
    fitted = train(guarded, blobs, config)
    assert fitted.best_epoch == 3, "the comparison is with the last weights"
    head, _ = read_head(plain, 2, np.zeros((2, 4), np.float32))
    batches = blobs.fit_batches(head, 32, 0)
    plain.fit(batches, epochs=4, steps_per_epoch=5, verbose=0)
    for a, b in zip(guarded.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_that_breaks_is_rolled_back_and_repaired(blobs, caplog):
    caplog.set_level(logging.WARNING, "components.guarded_trainer")
    model = network(keras.optimizers.SGD(1e6))
    fitted = train(model, blobs, PLAIN.model_copy(update={"epochs": 10}))
    first = fitted.remedies[0]
    assert (first.action, first.epoch) == ("lower_learning_rate", 0)
    assert (first.back_to_epoch, first.before) == (-1, 1e6)
    assert first.after < 100
    assert fitted.remedies[-1].helped is True
    assert first.message in caplog.text
    assert "rolled back to the initial weights" in first.message
    assert fitted.epochs[0].attempt == 0
    assert fitted.epochs[-1].attempt == len(fitted.remedies)
    assert fitted.epochs[-1].accuracy > 0.7
    assert fitted.best_epoch > first.epoch
    assert blocking(fitted) == []
    assert all(np.isfinite(v).all() for v in model.get_weights())


def test_broken_training_is_left_alone_where_remedies_are_off(blobs):
    model = network(keras.optimizers.SGD(1e30))
    fitted = train(model, blobs, PLAIN.model_copy(update={"remedies": UNTOUCHED}))
    assert (fitted.remedies, blocking(fitted)) == ((), ["not_a_number"])
    assert float(model.optimizer.learning_rate) == np.float32(1e30)


def test_training_that_must_fail_is_stopped_after_one_epoch(blobs):
    config = PLAIN.model_copy(update={"epochs": 6, "patience": None})
    fitted = train(network("adam"), blobs, config, hopeless="nothing fits")
    assert len(fitted.epochs) == 1
    assert fitted.stopped_because == "nothing fits"


@pytest.mark.parametrize("off", [{"stop_early": False}, {"enabled": False}])
def test_training_that_must_fail_goes_on_where_remedies_are_told_so(blobs, off):
    config = PLAIN.model_copy(
        update={"epochs": 2, "patience": None, "remedies": RemedyConfig(**off)}
    )
    fitted = train(network("adam"), blobs, config, hopeless="nothing fits")
    assert len(fitted.epochs) == 2


def test_rolled_back_epochs_are_bounded(blobs):
    class Break(keras.callbacks.Callback):
        """Loses the weights in the last step of each epoch."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 4:
                self.model.layers[0].bias.assign(np.full(8, np.nan))

    config = PLAIN.model_copy(update={"epochs": 10})
    fitted = train(network("adam"), blobs, config, extra_callbacks=[Break()])
    assert len(fitted.epochs) <= 13
    assert len(fitted.remedies) <= config.remedies.max_remedies
    assert blocking(fitted) == ["not_a_number"]
    assert all(remedy.helped is False for remedy in fitted.remedies)


def test_weights_and_optimizer_go_back_together(blobs):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model = self.model
            seen.append(
                (
                    epoch,
                    [v.numpy().copy() for v in (*model.variables,)],
                    int(model.optimizer.iterations),
                )
            )

        def on_train_batch_begin(self, batch, logs=None):
            if len(seen) == 3 and batch == 2:
                self.model.layers[0].bias.assign(np.full(8, np.nan))

    model = network("adam", layers.Dropout(0.5))
    fitted = train(model, blobs, extra_callbacks=[Watch()])
    assert fitted.remedies[0].back_to_epoch == 1
    assert [epoch for epoch, *_ in seen] == [0, 1, 2, 2, 3]
    broken, again = seen[2], seen[3]
    assert broken[2] == again[2] == 10
    for a, b in zip(broken[1], again[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(fitted.epochs) == 5


def test_stalled_rate_is_raised(blobs):
    model = network(keras.optimizers.Adam(1e-8))
    fitted = train(model, blobs, PLAIN.model_copy(update={"epochs": 10}))
    (remedy,) = fitted.remedies
    assert (remedy.action, remedy.epoch) == ("raise_learning_rate", 2)
    assert (remedy.back_to_epoch, remedy.helped) == (None, True)
    assert fitted.epochs[3].learning_rate == pytest.approx(remedy.after)
    # What was lost is made up for.
    assert len(fitted.epochs) == 13


@pytest.mark.slow
def test_momentum_is_the_users_own_again_in_the_end(blobs):
    norm = layers.BatchNormalization(momentum=0.9999)
    model = network(keras.optimizers.Adam(0.05), norm)
    fitted = train(model, blobs, PLAIN.model_copy(update={"epochs": 30}))
    actions = [remedy.action for remedy in fitted.remedies]
    assert actions in ([], ["lower_batch_norm_momentum"])
    assert norm.momentum == 0.9999


def test_model_without_trainable_weights_is_stopped_at_once(blobs):
    model = network("adam")
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        fitted = train(model, blobs)
    assert len(fitted.epochs) == 1
    assert "no trainable weights" in fitted.stopped_because


def test_callback_of_the_user_may_stop_the_training(blobs):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    fitted = train(network("adam"), blobs, extra_callbacks=[Stop()])
    assert len(fitted.epochs) == 2
    assert fitted.stopped_because == "a callback stopped the training"


def test_weights_that_broke_are_never_the_best(blobs):
    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # A weight that no answer depends on any more.
            self.model.layers[-1].kernel.assign(np.full((8, 2), np.inf))

    config = PLAIN.model_copy(update={"remedies": UNTOUCHED})
    fitted = train(network("adam"), blobs, config, extra_callbacks=[Break()])
    assert fitted.best_epoch is None


def test_range_test_sets_the_rate_before_the_first_step(blobs):
    model = network(keras.optimizers.SGD(1e-9))
    schedule = ScheduleConfig(range_test=True)
    fitted = train(model, blobs, PLAIN.model_copy(update={"schedule": schedule}))
    assert fitted.epochs[0].learning_rate > 1e-4
    assert fitted.notes[0].startswith("A range test of")
    assert fitted.remedies == ()


def test_schedule_that_cannot_be_followed_is_noted(blobs):
    decay = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    fitted = train(network(keras.optimizers.Adam(decay)), blobs)
    assert any("schedule" in note for note in fitted.notes)


class Kill(keras.callbacks.Callback):
    """Dies at the end of an epoch in the order of time, or in the middle of it."""

    def __init__(self, at, batch=None):
        super().__init__()
        self._at, self._batch, self._seen = at, batch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self._seen += 1

    def on_train_batch_end(self, batch, logs=None):
        if self._seen == self._at and batch == self._batch:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if self._seen == self._at and self._batch is None:
            raise KeyboardInterrupt


def adam():
    keras.utils.set_random_seed(1)  # That of the dropout is drawn when it is made.
    return network(
        keras.optimizers.Adam(0.01), layers.BatchNormalization(), layers.Dropout(0.5)
    )


def breaking():
    keras.utils.set_random_seed(1)  # That of the dropout is drawn when it is made.
    return network(keras.optimizers.SGD(1e6, momentum=0.9), layers.Dropout(0.5))


def decaying():
    decay = keras.optimizers.schedules.ExponentialDecay(1e6, 100, 0.9)
    return network(keras.optimizers.SGD(decay))


@pytest.mark.parametrize(
    ("make", "kills"),
    [
        pytest.param(adam, [(2, None)], id="after an epoch", marks=pytest.mark.slow),
        pytest.param(breaking, [(1, 2)], id="after a remedy"),
        *(
            pytest.param(make, kills, id=id_, marks=pytest.mark.slow)
            for make, kills, id_ in [
                (adam, [(0, 1)], "in the first epoch"),
                (adam, [(1, 3), (2, None)], "twice"),
                (breaking, [(5, None)], "long after a remedy"),
                (decaying, [(4, None)], "with a schedule that was scaled"),
            ]
        ),
    ],
)
def test_interrupted_training_ends_as_an_undisturbed_one(blobs, tmp_path, make, kills):
    config = TrainingConfig(
        epochs=8,
        patience=None,
        schedule=ScheduleConfig(plateau_patience=1, plateau_factor=0.7),
        checkpoint_dir=str(tmp_path / "checkpoints"),
    )
    whole = make()
    expected = train(whole, blobs, config)
    for at, batch in kills:
        with pytest.raises(KeyboardInterrupt):
            train(make(), blobs, config, extra_callbacks=[Kill(at, batch)])
    model = make()
    for variable in model.variables:
        # The initial weights are taken from the checkpoint, too.
        if variable.trainable:
            variable.assign(variable + 1.0)
    fitted = train(model, blobs, config)
    assert len(fitted.resumed_at) == len(kills)
    assert np.allclose(curve(fitted), curve(expected), rtol=1e-5, equal_nan=True)
    assert fitted.best_epoch == expected.best_epoch
    assert [r.message for r in fitted.remedies] == [
        r.message for r in expected.remedies
    ]
    assert [f.cause for f in fitted.findings] == [f.cause for f in expected.findings]
    assert_same(model, whole)
    assert not os.path.exists(config.checkpoint_dir)


@pytest.mark.slow
def test_checkpoints_of_another_configuration_are_not_taken_up(blobs, tmp_path):
    config = PLAIN.model_copy(update={"checkpoint_dir": str(tmp_path)})
    with pytest.raises(KeyboardInterrupt):
        train(adam(), blobs, config, extra_callbacks=[Kill(2)])
    other = config.model_copy(update={"seed": 1})
    fitted = train(adam(), blobs, other)
    assert (fitted.resumed_at, len(fitted.epochs)) == ((), 4)


def test_checkpoints_of_another_model_are_not_taken_up(blobs, tmp_path):
    config = PLAIN.model_copy(update={"checkpoint_dir": str(tmp_path)})
    with pytest.raises(KeyboardInterrupt):
        train(adam(), blobs, config, extra_callbacks=[Kill(2)])
    fitted = train(network("adam", layers.Dense(3)), blobs, config)
    assert fitted.resumed_at == ()


def test_failing_probe_blocks_and_training_goes_on(blobs, monkeypatch):
    from components.guarded_trainer.probe.reading import Probe

    def fail(self, ratios=None):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(Probe, "read", fail)
    fitted = train(network("adam"), blobs)
    assert len(fitted.epochs) == 4
    assert "check_failed" in blocking(fitted)


def test_without_a_probe_training_is_still_guarded(blobs):
    config = PLAIN.model_copy(update={"probe_examples": 0, "epochs": 10})
    fitted = train(network(keras.optimizers.SGD(1e6)), blobs, config)
    assert all(epoch.probe is None for epoch in fitted.epochs)
    assert fitted.remedies
    assert math.isfinite(fitted.epochs[-1].loss)
