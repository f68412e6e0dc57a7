# SPDX-License-Identifier: Apache-2.0
"""Draws how often answers of about the same confidence are right."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from components.report.charts import ReliabilityChart
from components.report.plot_style import (
    INK,
    SKY,
    VERMILION,
    new_figure_of_two,
    percent,
)

_WIDTH, _HEIGHT = 400, 380
_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_GAP = 0.92  # Width of a bar, as a share of its bin.


def reliability(chart: ReliabilityChart) -> Figure:
    """Draws accuracy by confidence above the share of the answers in each bin."""
    figure, above, below = new_figure_of_two(_WIDTH, _HEIGHT, (3, 1))
    bins = len(chart.counts)
    centers = [(k + 0.5) / bins for k in range(bins)]
    width = _GAP / bins
    above.bar(
        centers,
        [a if a is not None else 0.0 for a in chart.accuracies],
        width,
        color=SKY,
    )
    above.plot(
        (0, 1), (0, 1), color=VERMILION, linestyle=(0, (4, 3)), linewidth=1.4, zorder=3
    )
    for center, ends in zip(centers, chart.intervals, strict=True):
        if ends is not None:
            above.plot(
                (center, center),
                ends,
                color=INK,
                linewidth=1.2,
                marker="_",
                markersize=6,
            )
    total = sum(chart.counts) or 1
    below.bar(centers, [count / total for count in chart.counts], width, color=SKY)
    for axes in (above, below):
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xticks(_TICKS)
        axes.xaxis.set_major_formatter(FuncFormatter(percent))
        axes.yaxis.set_major_formatter(FuncFormatter(percent))
        axes.grid(axis="y")
    above.set_xticklabels([])
    above.set_yticks(_TICKS)
    below.set_yticks((0, 0.5, 1))
    above.set_ylabel("right")
    below.set_ylabel("of all answers")
    below.set_xlabel("confidence")
    above.set_title(chart.title)
    return figure
