# SPDX-License-Identifier: Apache-2.0
# What takes two replicas is tested in tests/end_to_end/test_distributed_training.py.
import keras
import numpy as np
import pytest
import tensorflow as tf

from components.guarded_trainer.device.workers import (
    AverageBatchNorm,
    fittable,
    is_multi_worker,
    least,
)


@pytest.fixture
def model():
    made = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


def test_one_process_has_no_other_workers():
    strategy = tf.distribute.get_strategy()
    assert not is_multi_worker(strategy)
    assert not is_multi_worker(tf.distribute.MirroredStrategy(["CPU:0"]))
    assert least(strategy, 7) == 7


def test_model_of_one_process_is_left_alone(model):
    before = dict(vars(model))
    with fittable(model):
        assert vars(model) == before
    assert vars(model) == before


def test_statistics_of_one_replica_stay_as_they_are(model):
    x, y = np.ones((8, 2), np.float32), np.arange(8) % 2
    seen = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(np.array(model.layers[0].moving_mean))

    average = AverageBatchNorm([model.layers[0]])
    model.fit(
        x,
        y,
        batch_size=8,
        validation_data=(x, y),
        callbacks=[average, See()],
        verbose=0,
    )
    np.testing.assert_array_equal(model.layers[0].moving_mean, seen[-1])
    np.testing.assert_array_equal(seen[-1], [0.5, 0.5])
