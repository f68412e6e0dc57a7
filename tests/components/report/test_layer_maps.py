# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from components.records.training import Epoch, LayerReading
from components.report import layer_maps
from components.report.course import MAX_COLUMNS
from components.report.layer_maps import MAX_ROWS, layer_map

ALL = (
    layer_maps.GRADIENTS,
    layer_maps.UPDATES,
    layer_maps.IDLE_UNITS,
    layer_maps.BATCH_NORM,
)


@pytest.fixture
def watched(good_run, probe):
    """Returns a record whose probes saw the given layers, epoch by epoch."""

    def watched(*epochs):
        return good_run.training.model_copy(
            update={
                "epochs": tuple(
                    Epoch(probe=None if layers is None else probe(layers=tuple(layers)))
                    for layers in epochs
                ),
                "best_epoch": None,
            }
        )

    return watched


def reading(layer="dense", **changes):
    return LayerReading(layer=layer, **changes)


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.id)
def test_nothing_measured_is_not_drawn(watched, good_run, quantity):
    assert layer_map(good_run.training, quantity) is None
    assert layer_map(watched(), quantity) is None
    assert layer_map(watched(None, ()), quantity) is None
    assert layer_map(watched([reading()]), quantity) is None


def test_each_quantity_has_the_layers_that_it_is_measured_for(repaired_run):
    made = {q.id: layer_map(repaired_run.training, q) for q in ALL}
    rows = {
        name: {label.split("/")[1] for label in m.labels} for name, m in made.items()
    }
    assert rows == {
        "layers-gradients": {"dense", "batch_norm"},
        "layers-updates": {"dense", "batch_norm"},
        "layers-idle": {"relu"},
        "layers-batchnorm": {"batch_norm"},
    }
    for chart in made.values():
        assert len(chart.values) == len(chart.labels)
        assert {len(row) for row in chart.values} == {16}
        assert chart.course.rolled_back == (2, 3)


def test_layers_stand_in_the_order_of_the_model_under_short_names(watched):
    names = ["net/conv", "net/block/conv", "net/head"]
    training = watched([reading(name, gradient_norm=1.0) for name in names])
    chart = layer_map(training, layer_maps.GRADIENTS)
    assert chart.labels == ("conv", "block/conv", "head")


@pytest.mark.parametrize(
    ("norm", "value"),
    [(1e-6, -6.0), (1.0, 0.0), (1e3, 3.0), (None, None)],
)
def test_norms_are_shown_by_their_power_of_ten(watched, norm, value):
    training = watched([reading(gradient_norm=norm), reading("b", gradient_norm=1.0)])
    chart = layer_map(training, layer_maps.GRADIENTS)
    row = dict(zip(chart.labels, chart.values, strict=True)).get("dense", (None,))
    assert row == ((None,) if value is None else (pytest.approx(value),))


def test_a_gradient_of_zero_lies_below_the_scale(watched):
    chart = layer_map(watched([reading(gradient_norm=0.0)]), layer_maps.GRADIENTS)
    assert chart.values[0][0] < chart.scale.low
    assert "from 0 (dense) to 0 (dense)" in chart.alt


def test_what_is_not_finite_is_no_number_whatever_was_measured(watched):
    training = watched(
        [reading(gradient_norm=1.0)],
        [reading(gradient_norm=2.0, not_finite=("weights",))],
        [reading(gradient_norm=math.inf)],
    )
    chart = layer_map(training, layer_maps.GRADIENTS)
    assert [math.isfinite(v) for v in chart.values[0]] == [True, False, False]
    assert chart.alt.endswith(
        "after epoch 1 from 1 (dense) to 1 (dense); not finite in 1 layer."
    )


def test_idle_units_are_dead_or_saturated(watched):
    training = watched(
        [reading("a", dead_share=0.25), reading("b", saturated_share=0.5)]
    )
    chart = layer_map(training, layer_maps.IDLE_UNITS)
    assert chart.values == ((0.25,), (0.5,))


@pytest.mark.parametrize(
    ("shift", "ratio", "drift"),
    [
        (0.5, 2.0, 2.0),
        (-3.0, 1.0, 3.0),
        (None, -1.5, 1.5),
        (math.nan, 1.0, math.nan),
        (1.0, math.inf, math.inf),
    ],
)
def test_drift_is_the_larger_of_both_distances(watched, shift, ratio, drift):
    layer = reading(mean_shift=shift, log_variance_ratio=ratio)
    chart = layer_map(watched([layer]), layer_maps.BATCH_NORM)
    assert chart.values[0][0] == pytest.approx(drift, nan_ok=True)


@pytest.mark.parametrize(
    ("layers", "rows"),
    [(MAX_ROWS, MAX_ROWS), (MAX_ROWS + 1, MAX_ROWS), (200, MAX_ROWS)],
    ids=["exactly-at-the-limit", "just-beyond", "many"],
)
def test_neighbouring_layers_share_a_row_that_shows_the_worst(watched, layers, rows):
    readings = [reading(f"relu{k}", dead_share=0.1) for k in range(layers)]
    readings[17] = reading("relu17", dead_share=0.9)
    chart = layer_map(watched(readings), layer_maps.IDLE_UNITS)
    assert len(chart.labels) == rows
    row = dict(zip(chart.labels, chart.values, strict=True))["relu17"]
    assert row == (0.9,)
    assert bool(layer_maps.pooling(watched(readings))) is (layers > rows)


@pytest.mark.parametrize("bad", [math.nan, 0.95], ids=["not-finite", "extreme"])
def test_one_bad_epoch_among_hundreds_is_seen(watched, bad):
    shares = [0.1] * 500
    shares[123] = bad
    training = watched(*([reading(dead_share=share)] for share in shares))
    chart = layer_map(training, layer_maps.IDLE_UNITS)
    assert len(chart.values[0]) == MAX_COLUMNS
    assert sum(value != 0.1 for value in chart.values[0]) == 1
    assert layer_maps.pooling(training) == (
        "A column stands for up to 9 looks and shows the most extreme of them.",
    )


def test_a_model_that_is_seldom_looked_at_has_wide_columns(watched):
    training = watched(
        [reading(dead_share=0.1)], None, None, [reading(dead_share=0.2)], None
    )
    chart = layer_map(training, layer_maps.IDLE_UNITS)
    assert chart.edges == (0, 1, 4, 5)
    assert chart.values == ((0.1, 0.2, None),)


def test_a_layer_that_appears_late_has_no_numbers_before(watched):
    training = watched(
        [reading("a", gradient_norm=1.0)],
        [reading("a", gradient_norm=1.0), reading("b", gradient_norm=1.0)],
    )
    chart = layer_map(training, layer_maps.GRADIENTS)
    assert chart.values == ((0.0, 0.0), (None, 0.0))
