# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.report import plots
from components.report.charts import (
    Course,
    EpochMap,
    Event,
    LineChart,
    Scale,
    Series,
    StackedChart,
)
from components.report.plot_style import legend_columns, plain

LINES = LineChart(
    id="lines",
    title="Loss",
    series=(
        Series("training", (2.0, 1.0, 0.5)),
        Series("held-out", (2.1, 1.2, 0.9)),
    ),
    course=Course(3, kept=1),
    alt="Two lines.",
)
SCALE = Scale(0, 1, False, ((0, "0 %"), (1, "100 %")), "share of units")
MAP = EpochMap(
    id="map",
    title="Dead units",
    labels=("first", "last"),
    edges=(0, 1, 2, 3),
    values=((0.0, 0.5, 1.0), (0.2, None, 0.2)),
    scale=SCALE,
    course=Course(3),
    alt="Two rows.",
)
BANDS = StackedChart(
    id="bands",
    title="Predicted classes",
    edges=(0, 1, 2, 3),
    series=(Series("cat", (0.5, 0.4, 0.1)), Series("dog", (0.5, 0.6, 0.9))),
    course=Course(3),
    reference=(0.4, 0.6),
    reference_name="labels",
    alt="Two bands.",
)
ROLLED_BACK = Course(
    num_epochs=3,
    rolled_back=(1,),
    branches=((0, 1),),
    events=(Event(1, "rolled back"), Event(0, "resumed"), Event(2, "next phase")),
    kept=2,
)


def texts(svg):
    return {element.text for element in ElementTree.fromstring(svg).iter("text")}


def styles(svg):
    return [e.get("style", "") for e in ElementTree.fromstring(svg).iter("path")]


def test_lines_mark_epochs_that_are_not_finite():
    chart = dataclasses.replace(
        LINES, series=(Series("training", (1.0, math.nan, math.inf)),)
    )
    assert "not finite" in texts(plots.draw(chart))
    assert "not finite" not in texts(plots.draw(LINES))


def test_what_was_not_measured_leaves_no_gap_in_a_line():
    def moves(values):
        chart = dataclasses.replace(
            LINES, series=(Series("a", values),), course=Course(len(values))
        )
        svg = plots.draw(chart)
        drawn = [
            e.get("d", "")
            for e in ElementTree.fromstring(svg).iter("path")
            if "stroke: #0072b2; stroke-width: 2" in e.get("style", "")
        ]
        return drawn[0].count("M")  # The legend comes last.

    assert moves((1.0, 0.8, 0.7, 0.5)) == 1
    assert moves((1.0, 0.8, None, None, 0.7, 0.5)) == 1
    assert moves((1.0, 0.8, math.nan, 0.7, 0.5)) == 2


@pytest.mark.parametrize(
    ("losses", "logarithmic"),
    [
        ((1.0, 99.0), False),
        ((1.0, 100.0), True),
        ((0.0, 100.0), False),
        ((-1.0, 100.0), False),
        ((1.0, 1e30), True),
        ((0.0, 0.0), False),
    ],
    ids=["below", "at-the-limit", "zero", "negative", "diverged", "all-zero"],
)
def test_losses_of_very_different_size_get_a_log_axis(losses, logarithmic):
    chart = dataclasses.replace(
        LINES, series=(Series("loss", losses),), course=Course(2)
    )
    assert ("Loss (logarithmic)" in texts(plots.draw(chart))) is logarithmic


@pytest.mark.parametrize("chart", [LINES, MAP, BANDS], ids=lambda chart: chart.id)
def test_what_happened_is_marked_and_explained(chart):
    signs = {"rolled back", "resumed", "next phase", "weights kept"}
    order = "epoch, in the order of time"
    eventful = texts(plots.draw(dataclasses.replace(chart, course=ROLLED_BACK)))
    assert signs | {order} <= eventful
    quiet = texts(plots.draw(dataclasses.replace(chart, course=Course(3))))
    assert not signs & quiet
    assert "epoch" in quiet


def test_rolled_back_epochs_are_pale():
    svg = plots.draw(dataclasses.replace(LINES, course=ROLLED_BACK))
    assert any("stroke-opacity: 0.35" in style for style in styles(svg))
    assert not any("0.35" in style for style in styles(plots.draw(LINES)))


def test_a_training_that_was_rolled_back_as_a_whole_is_drawn():
    course = Course(3, rolled_back=(0, 1, 2), branches=((0, 1, 2),))
    for chart in (LINES, MAP, BANDS):
        assert plots.draw(dataclasses.replace(chart, course=course))


@pytest.mark.parametrize(
    "chart",
    [
        dataclasses.replace(LINES, series=(Series("loss", (0.3,)),)),
        dataclasses.replace(MAP, edges=(0, 1), values=((0.5,), (None,))),
        dataclasses.replace(
            BANDS, edges=(0, 1), series=(Series("a", (0.3,)), Series("b", (0.7,)))
        ),
    ],
    ids=["lines", "map", "bands"],
)
def test_one_epoch_is_drawn(chart):
    chart = dataclasses.replace(chart, course=Course(1, kept=0))
    assert "weights kept" in texts(plots.draw(chart))


def test_maps_show_their_scale_and_what_is_not_finite():
    shown = texts(plots.draw(MAP))
    assert {"first", "last", "0 %", "100 %", "share of units"} <= shown
    assert "not finite" not in shown
    broken = dataclasses.replace(MAP, values=((math.nan, 0.1, None),) * 2)
    assert "not finite" in texts(plots.draw(broken))


def fills(chart):
    found = [s for s in styles(plots.draw(chart)) if s.startswith("fill: #")]
    return set(found)


@pytest.mark.parametrize("beyond", [-9.0, -1e-9])
def test_numbers_beyond_the_scale_get_its_last_colours(beyond):
    low = dataclasses.replace(MAP, labels=("a",), values=((0.0,) * 3,))
    high = dataclasses.replace(MAP, labels=("a",), values=((1.0,) * 3,))
    under = dataclasses.replace(low, values=((beyond,) * 3,))
    over = dataclasses.replace(low, values=((1 - beyond,) * 3,))
    assert fills(low) == fills(under)
    assert fills(high) == fills(over)


def test_cells_of_one_colour_are_one_shape():
    many = dataclasses.replace(
        MAP,
        labels=tuple(f"layer {k}" for k in range(30)),
        edges=tuple(range(61)),
        values=((0.5,) * 60,) * 30,
        course=Course(60),
    )
    assert len(plots.draw(many)) < len(plots.draw(MAP)) + 30 * 700


def test_bands_have_gaps_where_nothing_was_measured():
    gap = dataclasses.replace(
        BANDS,
        series=(Series("cat", (0.5, None, 0.1)), Series("dog", (0.5, None, 0.9))),
        reference=(),
    )
    shown = texts(plots.draw(gap))
    assert {"cat", "dog"} <= shown
    assert "labels" not in shown
    assert "labels" in texts(plots.draw(BANDS))


def test_more_bands_than_colours_are_drawn():
    bands = tuple(Series(f"c{k}", (0.125,) * 3) for k in range(8))
    chart = dataclasses.replace(BANDS, series=bands, reference=(0.125,) * 8)
    assert {f"c{k}" for k in range(8)} <= texts(plots.draw(chart))


EXTREMES = (0.0, 5e-324, 1e-300, 3e38, 1.7e308, -1.7e308, math.inf, math.nan, None)


@pytest.mark.parametrize("partner", [0.0, 1.0, 5e-324, 1.7e308])
def test_numbers_of_any_size_are_drawn(partner):
    values = (*EXTREMES, partner)
    course = Course(len(values))
    edges = tuple(range(len(values) + 1))
    assert plots.draw(
        dataclasses.replace(LINES, series=(Series("a", values),), course=course)
    )
    assert plots.draw(
        dataclasses.replace(
            BANDS, edges=edges, series=(Series("a", values),) * 2, course=course
        )
    )
    assert plots.draw(
        dataclasses.replace(
            MAP, labels=("a",), edges=edges, values=(values,), course=course
        )
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.none() | st.floats(), min_size=1, max_size=4))
def test_lines_of_any_numbers_are_drawn(values):
    assume(any(v is not None and math.isfinite(v) for v in values))
    chart = dataclasses.replace(
        LINES, series=(Series("a", tuple(values)),), course=Course(len(values))
    )
    assert plots.draw(chart)


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ([], 1),
        (["a"], 1),
        (["a"] * 4, 4),
        (["a"] * 9, 4),
        (["training mode", "inference mode", "weights kept", "remedy"], 3),
        (["training", "held-out", "weights kept", "remedy"], 4),
        (["x" * 60] * 3, 1),
    ],
)
def test_a_legend_has_no_more_columns_than_fit(labels, columns):
    assert legend_columns(labels, 4) == columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0001, "0.0001"),
        (0.00001, "1e-5"),
        (0.30000000000000004, "0.3"),
        (999_999.0, "999,999"),
        (1_000_000.0, "1e6"),
        (2.5e30, "2.5e30"),
        (-1e9, "-1e9"),
    ],
)
def test_numbers_beside_an_axis_are_short(value, text):
    assert plain(value) == text
