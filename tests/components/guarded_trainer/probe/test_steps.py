# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from components.guarded_trainer.probe.steps import WatchSteps

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = np.arange(40) % 2


def make(optimizer="sgd", **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="a", use_bias=False),
            layers.BatchNormalization(name="frozen", trainable=False),
            layers.Dense(2, name="b", kernel_initializer="zeros"),
        ],
        name="m",
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    return model


class Weights(keras.callbacks.Callback):
    """Keeps the weights before each step, and after the last."""

    def on_train_batch_begin(self, batch, logs=None):
        self.before = getattr(self, "before", [])
        self.before.append(self.model.layers[0].get_weights()[0])


def test_ratio_is_that_of_the_step_in_the_middle():
    model, watch, weights = make(keras.optimizers.SGD(0.5)), WatchSteps(), Weights()
    model.fit(X, Y, batch_size=10, callbacks=[watch, weights], shuffle=False, verbose=0)
    before, after = weights.before[2], weights.before[3]
    assert watch.update_ratios["m/a"] == pytest.approx(
        np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-5
    )
    assert watch.update_ratios.keys() == {"m/a", "m/b"}


def test_one_step_is_enough_and_zero_weights_that_move_are_infinitely_far():
    model, watch = make(keras.optimizers.SGD(0.5)), WatchSteps()
    model.fit(X, Y, batch_size=40, callbacks=[watch], verbose=0)
    assert watch.update_ratios["m/b"] == np.inf


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_ratio_of_many_weights_is_that_of_a_sample_of_all_units(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(1000),
            layers.Dense(600, name="a", use_bias=False),
        ],
        name="m",
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(True))
    model.optimizer.learning_rate = 0.1
    before = [np.array(v) for v in model.layers[1].weights]
    watch = WatchSteps()
    model.fit(X, Y, batch_size=40, callbacks=[watch], verbose=0)
    moved = [
        np.array(v) - old
        for v, old in zip(model.layers[1].weights, before, strict=True)
    ]
    exact = np.linalg.norm(moved[0]) / np.linalg.norm(before[0])
    assert watch.update_ratios["m/a"] == pytest.approx(exact, rel=0.1)


def test_weights_that_stay_have_ratio_0():
    model, watch = make(keras.optimizers.SGD(0.0)), WatchSteps()
    model.fit(X, Y, callbacks=[watch], verbose=0)
    assert set(watch.update_ratios.values()) == {0.0}


def test_epochs_that_are_not_due_are_passed():
    seen = []
    watch = WatchSteps(due=lambda epoch: epoch != 1)
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(bool(watch.update_ratios))
    )
    make().fit(X, Y, epochs=3, callbacks=[watch, keep], verbose=0)
    assert seen == [True, False, True]


# Keras' own, where data end before the epoch does.
@pytest.mark.filterwarnings("ignore:.*ran out of data:UserWarning")
def test_length_of_an_epoch_need_not_be_known():
    def batches():
        for _ in range(3):
            yield X[:10], Y[:10]

    watch = WatchSteps()
    make().fit(batches(), steps_per_epoch=5, callbacks=[watch], verbose=0)
    assert watch.update_ratios
    make().fit(batches(), callbacks=[watch], verbose=0)
    assert watch.update_ratios


def test_several_steps_at_once_cannot_be_told_apart():
    watch = WatchSteps()
    model = make(steps_per_execution=2)
    model.fit(X, Y, batch_size=10, callbacks=[watch], verbose=0)
    assert watch.update_ratios == {}


def test_model_without_trained_weights_has_no_ratios():
    model, watch = make(), WatchSteps()
    model.trainable = False
    watch.set_model(model)
    watch.set_params({"steps": 1})
    watch.on_train_begin()
    watch.on_epoch_begin(0)
    watch.on_train_batch_begin(0)
    watch.on_train_batch_end(0)
    assert watch.update_ratios == {}
