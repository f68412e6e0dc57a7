# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_iris

from components.causes import Severity
from components.errors import InputError
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.fit_guarded import fit_guarded
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

# Without the probe where it is not what a test is about.
QUICK = {"probe_examples": 0, "epochs": 2}


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32), y


def network(units=3, activation="softmax", rate=None, loss=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(16, "relu"),
            layers.Dense(units, activation),
        ]
    )
    if loss:
        model.compile(keras.optimizers.Adam(rate or 0.01), loss, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def trained(iris, tmp_path_factory):
    """One training as a notebook does it: model, record, log folder."""
    folder = tmp_path_factory.mktemp("logs")
    x, y = iris
    model = network(loss="sparse_categorical_crossentropy", rate=0.03)
    record = fit_guarded(
        model,
        (x[::2], y[::2]),
        (x[1::2], y[1::2]),
        class_names=["setosa", "versicolor", "virginica"],
        config=TrainingConfig(patience=None, seed=7),
        epochs=12,
        batch_size=15,
        log_dir=str(folder),
    )
    return model, record, folder


def test_a_model_is_trained_and_the_record_tells(trained, iris):
    model, record, _ = trained
    x, y = iris
    assert record.passed
    assert str(record.verdict).startswith("passed")
    assert np.mean(model.predict(x, verbose=0).argmax(axis=1) == y) > 0.9
    assert record.class_names == ("setosa", "versicolor", "virginica")
    assert (record.num_train_examples, record.num_held_out) == (75, 75)
    assert (record.batch_size, record.steps_per_epoch, record.seed) == (15, 5, 7)
    assert len(record.epochs) == 12
    assert record.epochs[-1].held_out_accuracy > 0.9
    assert record.epochs[-1].probe.num_examples > 0
    assert (record.optimizer, record.loss) == (
        "Adam",
        "sparse_categorical_crossentropy",
    )
    assert record.num_trainable_parameters == record.num_parameters == 80 + 51
    assert record.device.strategy == "one device"
    assert record.data_fingerprints.keys() == {"train", "eval"}
    assert {"keras", "tensorflow"} <= record.versions.keys()


def test_the_record_and_the_logs_are_left_in_the_folder(trained):
    _, record, folder = trained
    read = TrainingRecord.from_json((folder / TRAINING_RECORD_FILE).read_text())
    assert read == record
    assert list((folder / "logs").rglob("events.*"))


def test_nan_is_stopped_and_blocks_or_is_repaired(iris):
    x, y = iris
    model = network(activation=None)
    model.compile(
        keras.optimizers.SGD(1e6),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    record = fit_guarded(model, (x, y), epochs=4)
    assert record.remedies or not record.passed
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_config_may_be_a_dict_and_arguments_come_first(iris):
    record = fit_guarded(
        network(), iris, config={**QUICK, "seed": 3}, epochs=1, batch_size=50
    )
    assert (len(record.epochs), record.seed, record.batch_size) == (1, 3, 50)
    assert record.loss == "sparse_categorical_crossentropy"  # It was not compiled.


def test_few_rows_make_one_batch_unless_a_size_is_asked_for(iris):
    x, y = (part[::10] for part in iris)
    record = fit_guarded(network(), (x, y), config=QUICK)
    assert (record.batch_size, record.num_held_out) == (15, 0)
    for options in ({"batch_size": 16}, {"config": {**QUICK, "batch_size": 16}}):
        with pytest.raises(InputError, match="batch_size: .* .15., but got 16"):
            fit_guarded(network(), (x, y), **options)


class OwnStep(keras.Model):
    """A model with a train step and a loss of its own, for one-hot labels."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, "softmax")
        self.seen = []

    def call(self, inputs):
        return self.dense(inputs)

    def loss_of(self, x, y):
        self.seen.append(y.shape)
        return tf.reduce_mean(keras.losses.categorical_crossentropy(y, self(x)))

    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = self.loss_of(x, y)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_weights, strict=True)
        )
        return self.tracked(loss)

    def test_step(self, data):
        return self.tracked(self.loss_of(*data[:2]))

    def tracked(self, loss):
        self.metrics[0].update_state(loss)  # As Keras' guide does it.
        return {"loss": self.metrics[0].result()}


def test_a_train_step_of_the_users_gets_labels_as_they_are(iris):
    x, y = iris
    model = OwnStep()
    model.compile("adam")
    record = fit_guarded(model, (x, np.eye(3)[y]), epochs=3)
    assert {shape[-1] for shape in model.seen} == {3}
    assert record.loss == "custom"
    assert record.epochs[-1].loss < record.epochs[0].loss
    assert record.epochs[-1].probe.inference_loss > 0


def test_a_loss_of_the_users_that_takes_either_gets_labels_as_they_are(iris):
    x, y = iris

    def squared(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    model = network(loss=squared)
    record = fit_guarded(model, (x, np.eye(3)[y]), config=QUICK)
    assert record.epochs[-1].loss < 1


def test_several_inputs_of_a_functional_model(iris):
    x, y = iris
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    outputs = layers.Dense(3, "softmax")(layers.Concatenate()([a, b]))
    for inputs, given in (
        ({"a": a, "b": b}, {"a": x[:, :2], "b": x[:, 2:]}),
        ([a, b], [x[:, :2], x[:, 2:]]),
    ):
        model = keras.Model(inputs, outputs)
        record = fit_guarded(model, (given, y), epochs=2)
        assert record.epochs[-1].probe.inference_loss > 0
        assert not [f for f in record.findings if f.cause == "check_failed"]


def test_batches_of_several_inputs_with_one_unit_and_weights(iris):
    x, y = iris
    x, y = x[:100], y[:100]
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    unit = layers.Dense(1)(layers.Concatenate()([a, b]))
    model = keras.Model({"a": a, "b": b}, unit)
    data = tf.data.Dataset.from_tensor_slices(
        ({"a": x[:, :2], "b": x[:, 2:]}, y, np.ones(100, np.float32))
    )
    data = data.shuffle(100, seed=0).repeat().batch(20)
    record = fit_guarded(
        model, data, data, epochs=2, steps_per_epoch=5, validation_steps=5
    )
    assert record.loss == "binary_crossentropy"
    assert (record.num_train_examples, record.num_held_out) == (100, 100)
    assert not [f for f in record.findings if f.cause == "check_failed"]


def test_rare_classes_are_not_weighted_unasked_where_the_loss_is_the_users(iris):
    x, y = iris
    keep = np.r_[0:50, 50:60, 100:150]
    model = network(loss="sparse_categorical_crossentropy")
    record = fit_guarded(model, (x[keep], y[keep]), config=QUICK)
    assert record.loss == "sparse_categorical_crossentropy"
    record = fit_guarded(network(), (x[keep], y[keep]), config=QUICK)
    assert record.loss == "balanced_softmax"


def test_pictures_are_augmented_in_the_range_they_are_in():
    random = np.random.default_rng(0)
    y = np.arange(64) % 2
    x = (0.2 + 0.6 * y[:, None, None, None]) * random.random((64, 8, 8, 1))
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    record = fit_guarded(
        model, (x, y), config={**QUICK, "augmentation": {"preset": "light"}}
    )
    assert np.isfinite(record.epochs[-1].loss)


def test_callbacks_of_the_users_are_called(iris):
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(epoch)
    )
    fit_guarded(network(), iris, config=QUICK, callbacks=[callback])
    assert seen == [0, 1]


def test_a_head_that_does_not_fit_its_loss_blocks(iris):
    model = network(activation="softmax", loss="mean_absolute_error")
    record = fit_guarded(model, iris, config=QUICK)
    assert "loss_mismatch" in {finding.cause for finding in record.findings}


def test_a_head_that_cannot_learn_by_its_loss_is_not_trained_to_the_end(iris):
    model = network(activation="linear", loss="sparse_categorical_crossentropy")
    record = fit_guarded(model, iris, config=QUICK)
    assert record.verdict.blocking[0].cause == "loss_mismatch"
    assert len(record.epochs) == 1
    assert "from_logits" in record.stopped_because


def test_sorted_batches_are_told(iris):
    x, y = iris
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(10)
    record = fit_guarded(network(), data, config=QUICK)
    (finding,) = [f for f in record.findings if f.cause == "label_leakage"]
    assert finding.severity is Severity.WARN


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(3)(inputs)])


@pytest.mark.parametrize(
    ("model", "change", "options", "message"),
    [
        pytest.param(
            lambda: 3, None, {}, "a keras.Model .*got a builtins.int", id="no"
        ),
        pytest.param(
            two_outputs, None, {}, "answers a list of 2 outputs", id="outputs"
        ),
        pytest.param(
            lambda: keras.Sequential([layers.Reshape((2, 2))]),
            None,
            {},
            r"answers \(8, 2, 2\)",
            id="rank",
        ),
        pytest.param(
            lambda: network(2),
            None,
            {},
            "train y: expected class ids from 0 to 1",
            id="k",
        ),
        pytest.param(
            network, None, {"epochs": 0}, "a valid `epochs`, but got 0", id="e"
        ),
        pytest.param(
            network,
            None,
            {"config": {"patient": 3}},
            "a valid `patient`",
            id="misspelt",
        ),
        pytest.param(
            network,
            None,
            {"callbacks": [print]},
            "Keras callbacks, but got a",
            id="call",
        ),
        pytest.param(
            network,
            None,
            {"eval": tf.data.Dataset.range(3)},
            "eval: expected the same form",
            id="forms",
        ),
        pytest.param(
            network,
            None,
            {"steps_per_epoch": 99},
            "steps_per_epoch: expected at",
            id="s",
        ),
        pytest.param(
            network,
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(10),
            {"batch_size": 4},
            "batch_size: expected none for a tf.data.Dataset",
            id="size-of-batches",
        ),
        pytest.param(
            network,
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(10).take(0),
            {},
            "train: expected examples, but the data set is empty",
            id="empty-batches",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(iris, model, change, options, message):
    train = change(*iris) if change else iris
    with pytest.raises(InputError, match=message):
        fit_guarded(model(), train, **options)


@pytest.mark.slow
def test_tfx_is_not_imported():
    code = """
        import json, sys
        from components import fit_guarded
        import keras, numpy as np
        model = keras.Sequential([keras.layers.Dense(2, "softmax")])
        x, y = np.random.rand(40, 3), np.arange(40) % 2
        fit_guarded(model, (x, y), epochs=1)
        names = {name.partition(".")[0] for name in sys.modules}
        print(json.dumps(sorted(names & {"tfx", "apache_beam", "ml_metadata", "kfp"})))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
