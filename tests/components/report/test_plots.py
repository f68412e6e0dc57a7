# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math
from xml.etree import ElementTree

import matplotlib
import pytest

from components.report import plots
from components.report.charts import (
    BarChart,
    Course,
    EpochMap,
    Event,
    HeatMap,
    LineChart,
    Scale,
    Series,
    StackedChart,
)

BARS = BarChart(
    id="bars",
    title="Bars",
    labels=("a", "b"),
    series=(Series("labels", (0.4, 0.6)), Series("predictions", (0.0, 1.0))),
    percent=True,
    alt="Two bars.",
)
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
HEAT_MAP = HeatMap(
    id="map",
    title="Split eval",
    labels=("a", "b"),
    counts=((3, 1), (0, 0)),
    shares=((0.75, 0.25), (None, None)),
    alt="A matrix.",
)
EVENTFUL = Course(
    num_epochs=3,
    rolled_back=(1,),
    branches=((0, 1),),
    events=(Event(-1, "resumed"), Event(1, "rolled back"), Event(2, "remedy")),
    kept=2,
)
BANDS = StackedChart(
    id="bands",
    title="Predicted classes",
    edges=(0, 1, 2, 3),
    series=(Series("cat", (0.5, None, 0.1)), Series("dog", (0.5, None, 0.9))),
    course=EVENTFUL,
    reference=(0.4, 0.6),
    reference_name="labels",
    alt="Two bands.",
)
MAP = EpochMap(
    id="layers",
    title="Gradient norm",
    labels=("first", "last"),
    edges=(0, 1, 2, 3),
    values=((-12.0, math.nan, 9.0), (None, math.inf, 0.0)),
    scale=Scale(-9, 3, True, ((-9, "1e-9"), (0, "1")), "gradient norm"),
    course=EVENTFUL,
    alt="Two rows.",
)
CHARTS = pytest.mark.parametrize(
    "chart", [BARS, LINES, HEAT_MAP, BANDS, MAP], ids=lambda c: c.id
)


def texts(svg):
    return {element.text for element in ElementTree.fromstring(svg).iter("text")}


@CHARTS
def test_the_same_chart_gives_the_same_text(chart):
    assert plots.draw(chart) == plots.draw(chart)


@CHARTS
def test_says_in_words_what_it_shows(chart):
    root = ElementTree.fromstring(plots.draw(chart))
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == chart.alt
    assert root.attrib["id"] == chart.id
    assert root[0].tag == "title"
    assert root[0].text == chart.title


@CHARTS
def test_holds_no_image_no_link_and_no_time(chart):
    svg = plots.draw(chart)
    root = ElementTree.fromstring(svg)
    tags = {element.tag for element in root.iter()}
    assert not tags & {"image", "a", "script", "metadata", "foreignObject"}
    assert "://" not in svg
    links = {e.attrib["href"] for e in root.iter() if "href" in e.attrib}
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert len(ids) == len(set(ids))
    assert all(name.startswith(chart.id) for name in ids)


@CHARTS
def test_leaves_the_settings_of_matplotlib_alone(chart):
    before = matplotlib.rcParams.copy()
    plots.draw(chart)
    assert matplotlib.rcParams.copy() == before


def test_words_stay_text():
    assert {"a", "b", "Bars", "labels", "predictions"} <= texts(plots.draw(BARS))
    assert {"3", "1", "true class", "predicted class"} <= texts(plots.draw(HEAT_MAP))
    assert {"training", "held-out", "weights kept"} <= texts(plots.draw(LINES))


@pytest.mark.parametrize(
    "name",
    [
        "$a$ and $\\frac{$",
        "<script>alert(1)</script>",
        "a & b",
        "鳥",
        "🦦",
        "_private",
        "%s {0} {{x}}",
        "a" * 22,
    ],
)
def test_any_class_name_is_shown_as_it_is(name):
    for chart in (BARS, HEAT_MAP):
        svg = plots.draw(dataclasses.replace(chart, labels=(name, "b")))
        assert name in texts(svg)
        assert "<script" not in svg


def test_bars_show_values_that_are_no_numbers_in_words():
    chart = BarChart(
        id="bars",
        title="Loss",
        labels=("inference", "training", "other"),
        series=(Series("loss", (math.nan, math.inf, None)),),
        texts=("not a number", "infinite", "not measured"),
        alt="",
    )
    assert set(chart.texts) <= texts(plots.draw(chart))


@pytest.mark.parametrize("size", [1, 2, 12, 13, 30])
def test_heat_maps_of_any_size_are_drawn(size):
    chart = HeatMap(
        id="map",
        title="",
        labels=tuple(f"class {k}" for k in range(size)),
        counts=((7,) * size,) * size,
        shares=((1 / size,) * size,) * size,
        alt="",
    )
    shown = texts(plots.draw(chart))
    assert set(chart.labels) <= shown
    # Small cells have no room for numbers: a colour bar stands for them.
    assert ("7" in shown) is (size <= 12)
    assert ("share of the true class" in shown) is (size > 12)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(9_999, "9,999"), (12_345, "12k"), (3_000_000, "3M")],
)
def test_large_counts_are_shortened_to_fit_their_cell(count, shown):
    chart = dataclasses.replace(
        HEAT_MAP, labels=("a",), counts=((count,),), shares=((1.0,),)
    )
    assert shown in texts(plots.draw(chart))


def test_intervals_are_drawn_and_their_texts_stand_beyond_them():
    chart = BarChart(
        id="recall",
        title="Recall",
        labels=("a", "b"),
        series=(Series("recall", (0.2, 0.9)),),
        texts=("few", "most"),
        intervals=((0.1, 0.8), None),
        percent=True,
        alt="Recall.",
    )
    plain = plots.draw(dataclasses.replace(chart, intervals=()))
    drawn = plots.draw(chart)
    assert drawn.count("<path") > plain.count("<path")

    def position(svg, text):
        root = ElementTree.fromstring(svg.replace("xlink:", ""))
        found = next(e for e in root.iter("text") if (e.text or "").strip() == text)
        return float(found.get("x") or found.get("transform").split("(")[1].split()[0])

    assert position(drawn, "few") > position(plain, "few") + 50
    assert position(drawn, "most") == pytest.approx(position(plain, "most"), abs=2)
