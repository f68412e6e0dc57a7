# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from components.guarded_trainer.probe import summary
from components.guarded_trainer.probe.layers import watched_layers

VALUES = np.random.default_rng(0).normal(5, 2, (30, 4))
VALUES[:, 0] = -1
VALUES[3:, 1] = -2


def entry(layer=None):
    model = keras.Sequential([keras.Input((2,)), layer or layers.Dense(4, "relu")])
    return watched_layers(model)[0]


DENSE = entry()


def piece(rows, name=DENSE.name):
    numbers = {
        (name, "outputs"): [np.array([rows.size, rows.mean(), rows.var()])],
        (name, "largest"): [rows.max(axis=0)],
        (name, "flat"): [(np.abs(rows) >= 3).mean(axis=0)],
    }
    return len(rows), numbers


def read(*pieces, **options):
    (found,) = summary.of_layers([options.pop("entry", DENSE)], [], pieces, {})
    return found


@settings(deadline=None)
@given(st.lists(st.integers(1, 29), max_size=4, unique=True))
def test_reading_does_not_depend_on_how_the_probe_is_cut(at):
    found = read(*(piece(rows) for rows in np.split(VALUES, sorted(at))))
    assert found.output_mean == pytest.approx(VALUES.mean())
    assert found.output_std == pytest.approx(VALUES.std())
    assert found.dead_share == 0.25
    expected = ((np.abs(VALUES) >= 3).mean(axis=0) >= 0.95).mean()
    assert found.saturated_share == expected


@pytest.mark.parametrize(
    ("flat", "saturated"),
    [
        pytest.param(0.95, 1.0, id="exactly-at-the-limit"),
        pytest.param(0.9499, 0.0, id="just-below"),
    ],
)
def test_unit_is_saturated_from_the_limit_on(flat, saturated):
    found = read((20, {(DENSE.name, "flat"): [np.array([flat])]}))
    assert found.saturated_share == saturated


@pytest.mark.parametrize(
    ("largest", "dead"),
    [
        pytest.param(0.0, 1.0, id="zero"),
        pytest.param(1e-30, 0.0, id="just-above"),
        pytest.param(np.nan, 0.0, id="nan"),
    ],
)
def test_unit_is_dead_at_zero(largest, dead):
    found = read((20, {(DENSE.name, "largest"): [np.array([largest])]}))
    assert found.dead_share == dead


def test_what_was_not_measured_is_none():
    found = read((20, {})).model_dump(exclude_none=True)
    assert found == {"layer": DENSE.name, "not_finite": ()}


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("gradient", [np.inf, 1.0], ()),
        ("gradient", [1.0, np.inf], ("gradients",)),
        ("gradient", [1.0, np.nan], ("gradients",)),
        ("outputs", [8, np.nan, 1.0], ("outputs",)),
        ("outputs", [8, 1.0, np.inf], ()),
        ("trainable", np.inf, ()),
    ],
)
def test_only_what_surely_is_not_finite_is_named(part, value, named):
    found = read((20, {(DENSE.name, part): [np.array(value)]}))
    assert found.not_finite == named


def test_layers_without_weights_or_activation_have_no_reading():
    plain = entry(layers.Dropout(0.5))
    assert summary.of_layers([plain], [], [(20, {})], {}) == ()


def test_rows_with_nan_are_given_no_class():
    probabilities = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])
    found = summary.of_predictions(probabilities, np.array([0, 0, 0]))
    assert found["inference_accuracy"] == pytest.approx(1 / 3)
    assert found["predicted_shares"] == pytest.approx((1 / 3, 1 / 3))
    assert found["recalls"] == (pytest.approx(1 / 3), None)
    assert np.isnan(found["output_spread"])
