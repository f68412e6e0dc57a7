# SPDX-License-Identifier: Apache-2.0
"""Draws charts as SVG elements that stand directly in an HTML page.

The same chart always gives the same text. Words stay text, so that they can be
searched, copied and read aloud, and take on the fonts of the page. One unit of a
picture is one CSS pixel.
"""

import re
import warnings
from collections.abc import Sequence
from io import StringIO
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.report import formats
from components.report.charts import BarChart, Chart, HeatMap, LineChart, is_finite

# Okabe and Ito (2008), "Color Universal Design": told apart with every common
# colour vision, and, taken in this order, in black and white print too.
BLUE, ORANGE, SKY, VERMILION = "#0072B2", "#E69F00", "#56B4E9", "#D55E00"
_INK, _SOFT, _FAINT = "#1c2430", "#5a6572", "#dde2e8"

_WIDTH = 460
_FONT_SIZE = 12
_WIDEST_THAT_SHRINKS = 480
_DPI = 72  # Makes one unit of length one pixel.
_NUMBERS_IN_CELLS = 12  # Classes up to which cells are large enough for counts.
_LOG_FROM = 100.0  # Ratio of largest to smallest loss from which the axis is log.
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # Comes with matplotlib: the same anywhere.
    "font.size": _FONT_SIZE,
    "svg.fonttype": "none",
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.labelsize": _FONT_SIZE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlecolor": _INK,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": _FAINT,
    "text.color": _INK,
    # Class names are data: `$a$` is a name, not a formula.
    "text.parse_math": False,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
}


def draw(chart: Chart) -> str:
    """Draws one chart.

    Returns:
      An `<svg>` element for an HTML page, with `role`, `aria-label` and a
      `viewBox` in CSS pixels; its ids begin with the chart's id.
    """
    style = {**_STYLE, "svg.hashsalt": chart.id}
    with warnings.catch_warnings(), matplotlib.rc_context(style):
        # The font in which the picture is laid out need not know every script;
        # the browser, which draws the text, chooses one that does.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        if isinstance(chart, BarChart):
            figure = _bars(chart)
        elif isinstance(chart, LineChart):
            figure = _lines(chart)
        else:
            figure = _heat_map(chart)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _embed(file.getvalue(), chart)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(
        figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained"
    )
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _bars(chart: BarChart) -> Figure:
    groups, bars = len(chart.labels), len(chart.series)
    row = 20 if bars == 1 else 28
    has_legend = bars > 1
    figure, axes = _figure(_WIDTH, row * groups + 62 + 24 * has_legend)
    thickness = 0.72 / bars
    colors = (BLUE, ORANGE)
    for position, series in enumerate(chart.series):
        offset = (position - (bars - 1) / 2) * thickness
        color: str | list[str] = colors[position]
        if chart.highlight is not None:
            color = [BLUE if k == chart.highlight else SKY for k in range(groups)]
        axes.barh(
            [k + offset for k in range(groups)],
            [value if is_finite(value) else 0.0 for value in series.values],
            height=thickness,
            color=color,
            label=series.name,
        )
    for k, text in enumerate(chart.texts):
        value = chart.series[0].values[k]
        drawn = is_finite(value)
        axes.annotate(
            text,
            (max(value, 0.0) if drawn and value is not None else 0.0, k),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=_INK if drawn else VERMILION,
            weight="normal" if drawn else "bold",
        )
    axes.set_yticks(range(groups), chart.labels)
    axes.set_ylim(groups - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(_FAINT)
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
    top = max([v for v in values if v is not None], default=0.0)
    if chart.percent:
        # Texts at the ends of the bars need room beyond 100 %.
        top = 1.0 if chart.texts or top > 0.5 else 1.05 * top
        axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    top = top or 1.0
    axes.set_xlim(0, top * (1.28 if chart.texts else 1.02))
    ticks = MaxNLocator(nbins=5).tick_values(0, top)
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= top * 1.001])


def _lines(chart: LineChart) -> Figure:
    figure, axes = _figure(_WIDTH, 300)
    styles = ((BLUE, "-", "o"), (ORANGE, "--", "s"))
    epochs = range(1, len(chart.series[0].values) + 1)
    finite: list[float] = []
    broken: set[int] = set()
    for series, (color, dash, marker) in zip(chart.series, styles, strict=False):
        values = [v if is_finite(v) and v is not None else None for v in series.values]
        finite += [v for v in values if v is not None]
        broken |= {
            epoch
            for epoch, v in zip(epochs, series.values, strict=True)
            if v is not None and not is_finite(v)
        }
        axes.plot(
            epochs,
            [float("nan") if v is None else v for v in values],
            color=color,
            linestyle=dash,
            linewidth=2,
            marker=marker,
            markersize=5 if len(epochs) <= 30 else 0,
            label=series.name,
        )
    if broken:
        axes.plot(
            sorted(broken),
            [0.04] * len(broken),
            color=VERMILION,
            marker="x",
            markersize=8,
            markeredgewidth=2,
            linestyle="none",
            label="not finite",
            transform=axes.get_xaxis_transform(),
        )
    if chart.marked is not None:
        axes.axvline(chart.marked + 1, color=_SOFT, linestyle=":", label="weights kept")
    axes.set_title(chart.title)
    _limit_lines(axes, chart, finite)
    axes.set_xlim(0.6, len(epochs) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower left",
        ncols=4,
        columnspacing=1.2,
        handlelength=1.8,
        borderaxespad=0.2,
    )
    return figure


def _limit_lines(axes: Axes, chart: LineChart, finite: Sequence[float]) -> None:
    low, high = min(finite), max(finite)
    if chart.percent:
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        return
    if low > 0 and high / low >= _LOG_FROM:
        axes.set_yscale("log")
        axes.set_title(f"{chart.title} (logarithmic)")
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    else:
        axes.set_ylim(min(0.0, low), (high or 1.0) * 1.08)
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))


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
    figure, axes = _figure(width, height)
    shares = [[share or 0.0 for share in row] for row in chart.shares]
    mesh = axes.pcolormesh(
        shares,
        # Few enough steps for the colour bar to be drawn as shapes: matplotlib
        # puts in a bitmap otherwise, which blurs when the page is enlarged.
        cmap=matplotlib.colormaps["Blues"].resampled(20),
        vmin=0,
        vmax=1,
        edgecolors=_FAINT,
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
            format=FuncFormatter(_percent),
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
    return "white" if share > 0.55 else _INK


def _short(count: int) -> str:
    """Returns a count in at most five characters: `1,797`, `12k`, `3M`."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f}k" if count < 1_000_000 else f"{count / 1e6:.0f}M"


def _percent(value: float, _: int | None = None) -> str:
    return f"{100 * value:.3g} %"


def _plain(value: float, _: int | None = None) -> str:
    return formats.number(round(value, 12), 3)


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
