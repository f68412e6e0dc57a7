# SPDX-License-Identifier: Apache-2.0
"""Draws charts as SVG elements that stand directly in an HTML page.

The same chart always gives the same text. Words stay text, so that they can be
searched, copied and read aloud, and take on the fonts of the page. One unit of a
picture is one CSS pixel.
"""

import re
import warnings
from io import StringIO
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.report import epoch_plots, reliability_plot
from components.report.charts import (
    BarChart,
    Chart,
    HeatMap,
    LineChart,
    ReliabilityChart,
    StackedChart,
    is_finite,
)
from components.report.plot_style import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    SKY,
    STYLE,
    VERMILION,
    WIDTH,
    drawable,
    new_figure,
    percent,
    plain,
)

_WIDEST_THAT_SHRINKS = 480
_NUMBERS_IN_CELLS = 12  # Classes up to which cells are large enough for counts.


def draw(chart: Chart) -> str:
    """Draws one chart.

    Returns:
      An `<svg>` element for an HTML page, with `role`, `aria-label` and a
      `viewBox` in CSS pixels; its ids begin with the chart's id.
    """
    style = {**STYLE, "svg.hashsalt": chart.id}
    with warnings.catch_warnings(), matplotlib.rc_context(style):
        # The font in which the picture is laid out need not know every script;
        # the browser, which draws the text, chooses one that does.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        if isinstance(chart, BarChart):
            figure = _bars(chart)
        elif isinstance(chart, HeatMap):
            figure = _heat_map(chart)
        elif isinstance(chart, LineChart):
            figure = epoch_plots.lines(chart)
        elif isinstance(chart, StackedChart):
            figure = epoch_plots.bands(chart)
        elif isinstance(chart, ReliabilityChart):
            figure = reliability_plot.reliability(chart)
        else:
            figure = epoch_plots.layer_map(chart)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _embed(file.getvalue(), chart)


def _bars(chart: BarChart) -> Figure:
    groups, bars = len(chart.labels), len(chart.series)
    row = 20 if bars == 1 else 28
    has_legend = bars > 1
    figure, axes = new_figure(WIDTH, row * groups + 62 + 24 * has_legend)
    thickness = 0.72 / bars
    colors = (BLUE, ORANGE)
    for position, series in enumerate(chart.series):
        offset = (position - (bars - 1) / 2) * thickness
        color: str | list[str] = colors[position]
        if chart.highlight is not None:
            color = [BLUE if k == chart.highlight else SKY for k in range(groups)]
        axes.barh(
            [k + offset for k in range(groups)],
            [drawable(v) if is_finite(v) else 0.0 for v in series.values],
            height=thickness,
            color=color,
            label=series.name,
        )
    for k, ends in enumerate(chart.intervals):
        if ends is not None:
            axes.plot(ends, (k, k), color=INK, linewidth=1.2, marker="|", markersize=6)
    for k, text in enumerate(chart.texts):
        value = chart.series[0].values[k]
        drawn = is_finite(value)
        ends = chart.intervals[k] if chart.intervals else None
        longest = max(drawable(value), 0.0) if is_finite(value) else 0.0
        axes.annotate(
            text,
            (max(longest, ends[1]) if ends else longest, k),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=INK if drawn else VERMILION,
            weight="normal" if drawn else "bold",
        )
    axes.set_yticks(range(groups), chart.labels)
    axes.set_ylim(groups - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(FAINT)
    axes.grid(axis="x")
    axes.set_title(chart.title)
    _limit_bars(axes, chart)
    if has_legend:
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower left",
            ncols=bars,
            handlelength=1.2,
            borderaxespad=0.2,
        )
    return figure


def _limit_bars(axes: Axes, chart: BarChart) -> None:
    values = [v for series in chart.series for v in series.values if is_finite(v)]
    values += [ends[1] for ends in chart.intervals if ends]
    top = max(map(drawable, values), default=0.0)
    if chart.percent:
        # Texts at the ends of the bars need room beyond 100 %.
        top = 1.0 if chart.texts or top > 0.5 else 1.05 * top
        axes.xaxis.set_major_formatter(FuncFormatter(percent))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(plain))
    top = top or 1.0
    axes.set_xlim(0, top * (1.28 if chart.texts else 1.02))
    ticks = MaxNLocator(nbins=5).tick_values(0, top)
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= top * 1.001])


def _heat_map(chart: HeatMap) -> Figure:
    size = len(chart.labels)
    cell = max(20, min(64, 420 // size))
    longest = max(map(len, chart.labels))
    margin = 40 + 7.4 * longest
    slanted = longest * 7.4 > cell - 4
    has_numbers = size <= _NUMBERS_IN_CELLS
    width = max(cell * size + margin, 300)
    height = (
        cell * size + 60 + (margin - 30 if slanted else 24) + 56 * (not has_numbers)
    )
    figure, axes = new_figure(width, height)
    shares = [[share or 0.0 for share in row] for row in chart.shares]
    mesh = axes.pcolormesh(
        shares,
        # Few enough steps for the colour bar to be drawn as shapes: matplotlib
        # puts in a bitmap otherwise, which blurs when the page is enlarged.
        cmap=matplotlib.colormaps["Blues"].resampled(20),
        vmin=0,
        vmax=1,
        edgecolors=FAINT,
        linewidth=1,
    )
    if has_numbers:
        for row, counts in enumerate(chart.counts):
            for column, n in enumerate(counts):
                axes.annotate(
                    _short(n),
                    (column + 0.5, row + 0.5),
                    ha="center",
                    va="center",
                    size=12 if n < 1000 else 10,
                    color=_cell_ink(n, shares[row][column]),
                )
    else:
        bar = figure.colorbar(
            mesh,
            ax=axes,
            location="bottom",
            format=FuncFormatter(percent),
            shrink=0.6,
            aspect=30,
            pad=0.02,
        )
        bar.set_label("share of the true class")
        bar.ax.set_frame_on(False)
    centers = [k + 0.5 for k in range(size)]
    axes.set_yticks(centers, chart.labels)
    axes.set_xticks(centers, chart.labels, rotation=90 if slanted else 0)
    axes.tick_params(length=0)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class", labelpad=8)
    axes.set_title(chart.title)
    return figure


def _cell_ink(count: int, share: float) -> str:
    """Returns a colour that can be read on the cell; zeros step back."""
    if count == 0:
        return "#9aa4af"
    return "white" if share > 0.55 else INK


def _short(count: int) -> str:
    """Returns a count in at most five characters: `1,797`, `12k`, `3M`."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f}k" if count < 1_000_000 else f"{count / 1e6:.0f}M"


def _embed(document: str, chart: Chart) -> str:
    """Turns matplotlib's SVG document into an element of an HTML page."""
    root = ElementTree.fromstring(document)
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        # HTML knows SVG without namespaces.
        element.tag = element.tag.rpartition("}")[2]
        # The ids of one picture must not meet those of the next on one page.
        element.attrib = {
            key.rpartition("}")[2]: _own_ids(key, value, chart.id)
            for key, value in element.attrib.items()
        }
        if "font:" in element.get("style", ""):
            element.set("style", _with_fonts_of_the_page(element.attrib["style"]))
    width, height = root.attrib["viewBox"].split()[2:]
    title = ElementTree.Element("title")
    title.text = chart.title
    root.insert(0, title)
    root.attrib = {
        "id": chart.id,
        # Wider ones would be illegible if they were shrunk to a phone's width.
        "class": "chart fits" if float(width) <= _WIDEST_THAT_SHRINKS else "chart",
        "role": "img",
        "aria-label": chart.alt,
        "viewBox": f"0 0 {width} {height}",
        "style": f"--width: {float(width):g}px",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _own_ids(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return f"{prefix}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{prefix}-", 1)
    return value.replace("url(#", f"url(#{prefix}-")


def _with_fonts_of_the_page(style: str) -> str:
    return re.sub(r"(font: [^;']*?px) [^;]+", r"\1 system-ui, sans-serif", style)
