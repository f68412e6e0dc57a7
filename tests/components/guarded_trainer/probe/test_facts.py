# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers, optimizers

from components.guarded_trainer import modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.probe.facts import make_facts
from components.guarded_trainer.probe.reading import Probe
from components.guarded_trainer.probe.sample import choose_probe

X = np.random.default_rng(0).normal(0, [1, 10, 3], (90, 3)).astype(np.float32)
Y = np.arange(90) % 2
HEAD = Head(2, 2, logits=True, one_hot=False)
CONFIG = TrainingConfig(epochs=7, batch_size=20)


def sequential(*end, shape=(3,)):
    return keras.Sequential([keras.Input(shape), *end], name="m")


def facts(model, data, *, optimizer="adam"):
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return make_facts(model, HEAD, data, CONFIG)


@pytest.fixture
def rows_in_memory(data):
    return data(X, Y)


def test_model_data_and_plan_are_told(data):
    model = sequential(
        layers.Dense(4, "relu", name="a"),
        layers.BatchNormalization(name="bn", momentum=0.9),
        layers.Dropout(0.5, name="drop"),
        layers.Dense(2, name="b"),
    )
    model.compile(optimizers.SGD(0.25), "mse")
    adaptive = modes.adaptive_layers(model, X)
    rows = data(X, Y)
    inputs, class_ids = choose_probe(rows, 30, 0)
    probe = Probe(model, HEAD, inputs, class_ids, adaptive)
    found = make_facts(model, HEAD, rows, CONFIG, inputs, probe, adaptive)
    assert found.num_classes == 2
    assert found.class_counts == (45, 45)
    assert found.num_examples == 90
    assert found.num_held_out == 0
    assert found.steps_per_epoch == 5
    assert found.planned_epochs == 7
    assert found.batch_size == 20
    assert found.learning_rate == 0.25
    assert found.optimizer == "SGD"
    assert found.num_parameters == 16 + 16 + 10
    assert found.num_trainable == 16 + 8 + 10
    assert [layer.layer for layer in found.layers] == ["m/a", "m/bn", "drop", "m/b"]
    assert [layer.kind for layer in found.layers][1:3] == [
        "BatchNormalization",
        "Dropout",
    ]
    assert [layer.activation for layer in found.layers] == ["relu", None, None, None]
    assert [layer.momentum for layer in found.layers] == [None, 0.9, None, None]
    assert [layer.regularized for layer in found.layers] == [False, False, True, False]
    assert [layer.num_parameters for layer in found.layers] == [16, 16, 0, 10]
    assert [layer.trainable for layer in found.layers] == [True, True, False, True]
    assert found.initial == probe.read()
    assert found.feature_scales[0][0] == "feature 1"
    assert found.input_scale == pytest.approx(np.sqrt(np.square(inputs).mean()))
    assert found.input_range == (inputs.min(), inputs.max())


def test_without_a_probe_the_rest_is_told(rows_in_memory):
    found = facts(sequential(layers.Dense(2)), rows_in_memory)
    assert found.initial is found.input_scale is found.input_range is None
    assert found.feature_scales == ()
    assert len(found.layers) == 1


def test_names_of_features_are_used_where_known(data):
    rows = data(X, Y)
    rows.feature_names = ("a", "b", "c")
    model = sequential(layers.Dense(2))
    found = make_facts(model, HEAD, rows, CONFIG, X)
    assert [name for name, _ in found.feature_scales] == ["b", "c", "a"]


def test_at_most_20_features_are_named(data):
    wide = np.ones((90, 50), np.float32)
    model = sequential(layers.Dense(2), shape=(50,))
    assert (
        len(make_facts(model, HEAD, data(wide, Y), CONFIG, wide).feature_scales) == 20
    )


def test_held_out_rows_are_not_counted_as_fitted(data):
    rows = data(X, Y, counts=[50, 45])
    rows.num_held_out = 5
    rows.held_out = lambda: rows.fitted().filter(lambda x, k: k == 0).take(5)
    assert facts(sequential(layers.Dense(2)), rows).class_counts == (45, 45)


@pytest.mark.parametrize(
    "layer",
    [
        layers.SpatialDropout1D(0.1),
        layers.GaussianNoise(0.1),
        layers.ActivityRegularization(l2=0.1),
        layers.Dense(2, kernel_regularizer="l2"),
        layers.Dense(2, activity_regularizer="l1"),
        layers.LSTM(2, dropout=0.1, return_sequences=True),
        layers.RandomContrast(0.1),
    ],
)
def test_layers_that_regularise_are_known(layer, rows_in_memory):
    found = facts(sequential(layer, layers.Dense(2), shape=(4, 3)), rows_in_memory)
    assert found.layers[0].regularized
    assert found.regularized


@pytest.mark.parametrize("layer", [layers.Dropout(0.0), layers.Dense(2)])
def test_layers_that_do_not_are_known(layer, rows_in_memory):
    found = facts(sequential(layer, layers.Dense(2)), rows_in_memory)
    assert not found.regularized


def test_weight_decay_regularises_what_is_trained(rows_in_memory):
    model = sequential(layers.Flatten(), layers.Dense(2))
    found = facts(model, rows_in_memory, optimizer=optimizers.AdamW())
    assert [layer.regularized for layer in found.layers] == [False, True]


@pytest.mark.parametrize(
    ("optimizer", "name", "rate"),
    [
        (optimizers.Adam(0.5), "Adam", 0.5),
        (optimizers.LossScaleOptimizer(optimizers.SGD(0.5)), "SGD", 0.5),
        (
            optimizers.SGD(optimizers.schedules.PolynomialDecay(0.5, 10)),
            "SGD",
            0.5,
        ),
    ],
)
def test_optimizer_and_rate_of_the_first_step_are_told(
    optimizer, name, rate, rows_in_memory
):
    found = facts(sequential(layers.Dense(2)), rows_in_memory, optimizer=optimizer)
    assert (found.optimizer, found.learning_rate) == (name, rate)


def test_model_without_optimizer_has_no_rate(rows_in_memory):
    found = make_facts(sequential(layers.Dense(2)), HEAD, rows_in_memory, CONFIG)
    assert (found.optimizer, found.learning_rate) == ("", None)


@pytest.mark.parametrize(
    ("layer", "identical"),
    [
        pytest.param(layers.Dense(4), False, id="random"),
        pytest.param(layers.Dense(4, kernel_initializer="zeros"), True, id="zeros"),
        pytest.param(layers.Dense(4, kernel_initializer="ones"), True, id="constant"),
        pytest.param(
            layers.Dense(
                4, kernel_initializer="ones", bias_initializer="random_normal"
            ),
            False,
            id="biases-differ",
        ),
        pytest.param(layers.Dense(1, kernel_initializer="ones"), None, id="one-unit"),
        pytest.param(layers.BatchNormalization(), None, id="no-matrix"),
        pytest.param(layers.Dense(4, trainable=False), None, id="frozen"),
    ],
)
def test_units_that_start_alike_are_seen(layer, identical, rows_in_memory):
    found = facts(sequential(layer, layers.Dense(2)), rows_in_memory)
    assert found.layers[0].identical_units is identical
