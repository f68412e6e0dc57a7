# SPDX-License-Identifier: Apache-2.0
"""Draws what is shown over the epochs of a training.

Epochs that were rolled back are pale, and signs at the upper edge say what happened
between two epochs.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from components.report import course as kinds
from components.report.charts import (
    Course,
    EpochMap,
    LineChart,
    Numbers,
    Scale,
    StackedChart,
    is_finite,
)
from components.report.plot_style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    WIDTH,
    YELLOW,
    color_steps,
    drawable,
    legend_columns,
    new_figure,
    new_figure_with_bar,
    percent,
    plain,
)

_LOG_FROM = 100.0  # Ratio of largest to smallest number from which the axis is log.
_MOST_MARKERS = 30  # Epochs up to which each has a marker on the line.
_PALE = 0.35
_GAP = float("nan")  # Where matplotlib draws nothing.
_SIGNS = {
    kinds.ROLLED_BACK: ("<", VERMILION),
    kinds.REMEDY: ("v", GREEN),
    kinds.RESUMED: (">", SOFT),
    kinds.NEXT_PHASE: ("|", INK),
}
# Neighbours differ in lightness too; black and white print keeps them apart.
_BANDS = (BLUE, ORANGE, SKY, VERMILION, YELLOW, GREEN, PURPLE)
_OTHERS = "#c4cad1"
_TOO_MUCH = ("#fdf6ee", ORANGE, "#8f3a00")
_TOO_LITTLE_OR_MUCH = (
    *("#08407a", SKY, "#dfecf5"),
    "#f5f5f2",  # A wide middle is pale: much is healthy.
    *("#fbecd3", ORANGE, "#8f3a00"),
)
_STEPS = 24
_ROW, _HEAD_AND_FOOT = 15, 132
_TEXT = 10


def lines(chart: LineChart) -> Figure:
    """Draws one or two lines, and marks what is not finite."""
    figure, axes = new_figure(WIDTH, 300)
    styles = ((BLUE, "-", "o"), (ORANGE, "--", "s"))
    finite: list[float] = []
    broken: set[int] = set()
    for series, (color, dash, marker) in zip(chart.series, styles, strict=False):
        # What is not finite leaves a gap; what was not measured, between what was,
        # does not.
        values = {
            epoch: drawable(v) if is_finite(v) else _GAP
            for epoch, v in enumerate(series.values)
            if v is not None
        }
        finite += [drawable(v) for v in series.values if is_finite(v)]
        broken |= {
            epoch + 1
            for epoch, v in enumerate(series.values)
            if v is not None and not is_finite(v)
        }
        for epochs, is_pale in _paths(chart.course):
            measured = [epoch for epoch in epochs if epoch in values]
            axes.plot(
                [epoch + 1 for epoch in measured],
                [values[epoch] for epoch in measured],
                color=color,
                alpha=_PALE if is_pale else 1,
                linestyle=dash,
                linewidth=2,
                drawstyle="steps-mid" if chart.stepped else "default",
                marker=marker,
                markersize=5 if len(values) <= _MOST_MARKERS else 0,
                label=None if is_pale else series.name,
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
    axes.set_title(chart.title)
    _limit_lines(axes, chart, finite)
    axes.grid(axis="y")
    _mark(axes, chart.course)
    _label_epochs(axes, chart.course)
    _legend(figure, axes.get_legend_handles_labels()[0])
    return figure


def _paths(course: Course) -> Iterator[tuple[Sequence[int], bool]]:
    """Returns the epochs of each line, and whether it was left."""
    undone = set(course.rolled_back)
    # The lasting way comes first, even where nothing lasted: it is in the legend.
    yield [epoch for epoch in range(course.num_epochs) if epoch not in undone], False
    for branch in course.branches:
        yield branch, True


def _limit_lines(axes: Axes, chart: LineChart, finite: Sequence[float]) -> None:
    low, high = min(finite), max(finite)
    if chart.percent:
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(FuncFormatter(percent))
        return
    if low > 0 and high / low >= _LOG_FROM:
        axes.set_yscale("log")
        axes.set_title(f"{chart.title} (logarithmic)")
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(min(0.0, low), (high or 1.0) * 1.08)
    axes.yaxis.set_major_formatter(FuncFormatter(plain))


def bands(chart: StackedChart) -> Figure:
    """Draws shares as bands, and beside them what they should be."""
    figure, axes = new_figure(WIDTH, 320)
    edges = [edge + 0.5 for edge in chart.edges]
    beside = edges[-1] + max(0.04 * (edges[-1] - edges[0]), 0.2)
    thickness = max(0.06 * (edges[-1] - edges[0]), 0.3)
    floor, base = [0.0] * (len(edges) - 1), 0.0
    for position, series in enumerate(chart.series):
        color = _BANDS[position] if position < len(_BANDS) else _OTHERS
        top = [
            low + (drawable(v) if is_finite(v) else _GAP)
            for low, v in zip(floor, series.values, strict=True)
        ]
        axes.stairs(
            top, edges, baseline=floor, fill=True, color=color, label=series.name
        )
        if chart.reference:
            share = chart.reference[position]
            share = drawable(share) if is_finite(share) else 0.0
            axes.bar(beside, share, thickness, bottom=base, color=color, align="edge")
            base += share
        floor = top
    if chart.reference:
        axes.annotate(
            chart.reference_name,
            (beside + thickness / 2, 0),
            xytext=(0, -6),
            textcoords="offset points",
            ha="center",
            va="top",
            annotation_clip=False,
        )
    axes.set_title(chart.title)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    _mark(axes, chart.course, veil=True)
    end = beside + thickness if chart.reference else edges[-1]
    _label_epochs(axes, chart.course, end)
    _legend(figure, axes.get_legend_handles_labels()[0])
    return figure


def layer_map(chart: EpochMap) -> Figure:
    """Draws a number per layer and epoch as colours."""
    rows = len(chart.labels)
    figure, axes, bar = new_figure_with_bar(
        WIDTH, max(_ROW * rows, 30) + _HEAD_AND_FOOT
    )
    scale = chart.scale
    colors = color_steps(_TOO_LITTLE_OR_MUCH if scale.two_sided else _TOO_MUCH, _STEPS)
    cells: dict[str, list[tuple[float, float, float]]] = {}
    for row, values in enumerate(chart.values):
        for color, first, end in _runs(values, scale, colors):
            cells.setdefault(color, []).append(
                (chart.edges[first] + 0.5, chart.edges[end] + 0.5, row)
            )
    # One shape for all cells of a colour: a cell of its own each would make the page
    # several times as large.
    for color, boxes in sorted(cells.items()):
        axes.add_patch(
            PathPatch(
                _boxes(boxes),
                facecolor=color,
                edgecolor="none",
                # No veil may pale what is not finite.
                zorder=1.5 if color == INK else 0.5,
            )
        )
    axes.set_ylim(rows, 0)
    axes.set_yticks([k + 0.5 for k in range(rows)], chart.labels, size=_TEXT)
    axes.tick_params(axis="y", length=0)
    axes.set_title(chart.title)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    _mark(axes, chart.course, veil=True)
    _label_epochs(axes, chart.course)
    handles: list[Any] = axes.get_legend_handles_labels()[0]
    if INK in cells:
        handles.append(Patch(facecolor=INK, label="not finite"))
    _color_bar(bar, scale, colors)
    _legend(figure, handles)
    return figure


def _runs(
    values: Numbers, scale: Scale, colors: Sequence[str]
) -> Iterator[tuple[str, int, int]]:
    """Returns colour, first column and end of each run of one colour in a row."""
    start = 0
    for color, run in groupby(_color(value, scale, colors) for value in values):
        length = len(list(run))
        if color:
            yield color, start, start + length
        start += length


def _color(value: float | None, scale: Scale, colors: Sequence[str]) -> str:
    """Returns the colour of a number; empty where there is none."""
    if value is None:
        return ""
    if not is_finite(value):
        return INK
    position = (value - scale.low) / (scale.high - scale.low)
    step = int(min(max(position, 0.0), 1.0) * len(colors))
    return colors[min(step, len(colors) - 1)]


def _boxes(boxes: Iterable[tuple[float, float, float]]) -> Path:
    """Returns the outline of boxes, each (left, right, row)."""
    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    for left, right, row in boxes:
        points += [(left, row), (right, row), (right, row + 1), (left, row + 1)]
        points.append((left, row))
        codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(points, codes)


def _color_bar(bar: Axes, scale: Scale, colors: Sequence[str]) -> None:
    """Draws the colours as shapes, which stay sharp when the page is enlarged."""
    width = (scale.high - scale.low) / len(colors)
    for step, color in enumerate(colors):
        left = scale.low + step * width
        bar.axvspan(left, left + width, facecolor=color, edgecolor="none")
    bar.set_xlim(scale.low, scale.high)
    bar.set_yticks([])
    bar.set_xticks(
        [tick for tick, _ in scale.ticks],
        [text for _, text in scale.ticks],
        size=_TEXT,
    )
    bar.tick_params(length=0)
    bar.set_xlabel(scale.name, size=_TEXT)
    bar.set_frame_on(False)


def _mark(axes: Axes, course: Course, veil: bool = False) -> None:
    """Marks what happened between epochs, and the epoch whose weights were kept.

    Args:
      axes: Where.
      course: What happened.
      veil: Whether to pale what was rolled back by a veil; else it is pale already.
    """
    if veil:
        for run in _consecutive(course.rolled_back):
            axes.axvspan(
                run[0] + 0.5,
                run[-1] + 1.5,
                color="white",
                alpha=0.6,
                linewidth=0,
                zorder=1.2,
            )
    if course.events:  # Their signs stand at the upper edge.
        axes.set_title(axes.get_title(loc="left"), pad=11)
    if course.kept is not None:
        axes.axvline(course.kept + 1, color=SOFT, linestyle=":", label="weights kept")
    for kind, (sign, color) in _SIGNS.items():
        places = [event.after + 1.5 for event in course.events if event.kind == kind]
        if not places:
            continue
        axes.vlines(
            places,
            0,
            1,
            color=color,
            linewidth=0.8,
            transform=axes.get_xaxis_transform(),
        )
        axes.plot(
            places,
            [1.0] * len(places),
            color=color,
            marker=sign,
            markersize=8,
            linestyle="none",
            label=kind,
            clip_on=False,
            zorder=5,
            transform=axes.get_xaxis_transform(),
        )


def _consecutive(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Returns the runs of numbers without a gap."""
    for _, run in groupby(enumerate(numbers), lambda entry: entry[1] - entry[0]):
        yield [number for _, number in run]


def _label_epochs(axes: Axes, course: Course, end: float | None = None) -> None:
    count = course.num_epochs
    axes.set_xlim(0.5, max(count + 0.5, end or 0.0))
    places = MaxNLocator(nbins=8, integer=True).tick_values(1, max(count, 1))
    axes.set_xticks([tick for tick in places if 1 <= tick <= count])
    order = ", in the order of time" if course.rolled_back else ""
    axes.set_xlabel(f"epoch{order}")


def _legend(figure: Figure, handles: list[Any]) -> None:
    if not handles:
        return
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=legend_columns([handle.get_label() for handle in handles], 4),
        columnspacing=1.2,
        handlelength=1.8,
        borderaxespad=0.2,
    )
