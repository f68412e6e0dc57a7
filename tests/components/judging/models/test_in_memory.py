# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from components.errors import InputError
from components.judging.models.in_memory import KerasModel, arranged
from components.judging.spec import InputSpec
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
)


@pytest.fixture(scope="module")
def x(blobs):
    return blobs[0][0]


def opened(model, inputs, **options):
    return KerasModel(model, inputs[:8], where="m", **options)


def test_answers_are_those_of_the_model_in_each_mode(lagging, x):
    model = opened(lagging, x)
    np.testing.assert_allclose(
        model.ask(CANDIDATE, x), lagging(x, training=False), atol=1e-6
    )
    norm, _, dense = lagging.layers
    with_statistics = dense(norm(x, training=True))
    norm.moving_mean.assign([4.0, 0.0, -4.0])
    norm.moving_variance.assign(np.ones(3))
    got = model.ask(BATCH_STATISTICS_MODE, x)
    np.testing.assert_allclose(got, with_statistics, atol=1e-6)
    # Dropout besides.
    assert np.abs(model.ask(TRAINING_MODE, x) - got).max() > 0.01
    assert model.spec.num_classes == 3
    assert model.spec.inputs[0].shape == (3,)


def test_asking_changes_nothing_and_gives_the_same_each_time(lagging, x):
    before = [np.array(v) for v in lagging.variables]
    model = opened(lagging, x)
    for mode in (CANDIDATE, *model.modes):
        first = model.ask(mode, x)
        np.testing.assert_array_equal(first, model.ask(mode, x))
    model.drift([x[:32], x[32:]])
    for variable, value in zip(lagging.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_drift_names_the_layer(lagging, x):
    (drift,) = opened(lagging, x).drift([x[:100], x[100:]])
    assert drift.layer.endswith("norm")
    assert drift.mean_shift > 1
    assert np.isnan(drift.initial_share)


def test_there_is_no_drift_without_batch_norm_or_batches(corners, lagging, x):
    assert opened(corners, x).drift([x]) == ()
    assert opened(lagging, x).drift([]) == ()


def test_what_enters_is_measured_behind_the_layers_that_scale():
    large = np.random.default_rng(0).normal(1000, 1, (64, 3)).astype("float32")
    normalization = keras.layers.Normalization()
    normalization.adapt(large)
    dense = keras.layers.Dense(2, "softmax")
    plain = keras.Sequential([keras.Input((3,)), dense])
    scaled = keras.Sequential([keras.Input((3,)), normalization, dense])
    assert opened(plain, large).entering(large).largest == pytest.approx(1000, rel=0.01)
    assert opened(scaled, large).entering(large).overall == pytest.approx(1, rel=0.1)


def test_nothing_is_known_of_what_enters_where_nothing_is_trained(x):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    model.trainable = False
    assert opened(model, x).entering(x) is None


def test_a_model_without_inputs_is_built(x):
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    assert opened(model, x).spec.num_classes == 2
    assert opened(model, x).ask(CANDIDATE, x).shape == (len(x), 2)


def test_logits_are_made_probabilities_where_it_is_said(x):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    raw = opened(model, x).ask(CANDIDATE, x)
    assert raw.min() < 0
    np.testing.assert_allclose(raw, model(x), atol=1e-6)
    assert np.allclose(
        opened(model, x, from_logits=True).ask(CANDIDATE, x).sum(axis=1), 1
    )


def test_several_outputs_need_probabilities_among_them(x):
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(3, activation="softmax")(inputs)
    named = keras.Model(inputs, {"probabilities": dense, "raw": inputs})
    assert opened(named, x).spec.num_classes == 3
    with pytest.raises(InputError, match="m: expected one output"):
        opened(keras.Model(inputs, [dense, inputs]), x)


@pytest.mark.parametrize("structure", ["list", "dict", "one"])
def test_inputs_by_name_reach_a_model_of_any_structure(structure):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    outputs = keras.layers.Dense(1, activation="sigmoid")
    if structure == "one":
        model, data = keras.Model(a, outputs(a)), {"any": np.ones((4, 3))}
    else:
        joined = outputs(keras.layers.Concatenate()([a, b]))
        given = [b, a] if structure == "list" else {"a": a, "b": b}
        model = keras.Model(given, joined)
        data = {"a": np.ones((4, 3)), "b": np.zeros((4, 2))}
    assert KerasModel(model, data, where="m").ask(CANDIDATE, data).shape == (4, 2)


def test_inputs_of_other_names_are_refused():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], keras.layers.Concatenate()([a, b]))
    with pytest.raises(InputError, match="expected the inputs a, b, but the data have"):
        arranged(model, {"a": np.ones((4, 3)), "c": np.ones((4, 2))})


def test_inputs_of_another_shape_are_refused(corners):
    with pytest.raises(InputError, match="m: expected a model that takes the data"):
        opened(corners, np.ones((8, 5)))


def test_a_fault_in_the_code_of_a_model_is_told(x):
    class Broken(keras.Model):
        def call(self, inputs):
            return self.no_such_layer(inputs)

    with pytest.raises(InputError, match="m: expected.*no_such_layer"):
        opened(Broken(), x)


def test_outputs_for_each_step_of_a_sequence_are_refused():
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.Dense(4)])
    with pytest.raises(InputError, match=r"m: expected outputs of shape.*\(8, 5, 4\)"):
        opened(model, np.ones((8, 5, 3)))


def test_texts_reach_the_model():
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    inputs = keras.Input((1,), dtype="string")
    outputs = keras.layers.Softmax()(keras.ops.cast(lookup(inputs), "float32"))
    model = keras.Model(inputs, outputs)
    x = np.array([["a"], ["b"]], object)
    asked = KerasModel(model, x, where="m")
    assert asked.ask(CANDIDATE, x).argmax(axis=1).tolist() == [1, 2]
    assert asked.spec.inputs == (InputSpec(inputs.name, (1,), "string"),)


def test_a_model_that_runs_eagerly_is_not_traced(x):
    class Eager(keras.Model):
        def call(self, inputs):
            return keras.ops.softmax(inputs * float(inputs.numpy().max()))

    model = Eager()
    model.compile(run_eagerly=True)
    assert opened(model, x).ask(CANDIDATE, x).shape == (len(x), 3)
