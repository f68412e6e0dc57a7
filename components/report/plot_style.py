# SPDX-License-Identifier: Apache-2.0
"""What all pictures have in common: colours, sizes, and how numbers look on an axis."""

from collections.abc import Sequence

import matplotlib.colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.report import formats

# Okabe and Ito (2008), "Color Universal Design": told apart with every common
# colour vision, and, taken in this order, in black and white print too.
BLUE, ORANGE, SKY, VERMILION = "#0072B2", "#E69F00", "#56B4E9", "#D55E00"
GREEN, PURPLE, YELLOW = "#009E73", "#CC79A7", "#F0E442"
INK, SOFT, FAINT = "#1c2430", "#5a6572", "#dde2e8"

WIDTH = 460
"""Width of an ordinary picture, in CSS pixels."""
FONT_SIZE = 12
DPI = 72
"""Makes one unit of length one pixel."""
_SIGN_WIDTH, _LETTER_WIDTH = 46, 7  # In a legend, generously.
_SMALLEST, _LARGEST = 1e-60, 1e60
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # Comes with matplotlib: the same anywhere.
    "font.size": FONT_SIZE,
    "svg.fonttype": "none",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.labelsize": FONT_SIZE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": FAINT,
    "text.color": INK,
    # Class names are data: `$a$` is a name, not a formula.
    "text.parse_math": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Returns an empty, transparent picture, in CSS pixels."""
    figure = _figure(width, height)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def new_figure_with_bar(width: float, height: float) -> tuple[Figure, Axes, Axes]:
    """Returns the same with a low second part below, for what the colours mean."""
    figure = _figure(width, height)
    bar = 8
    grid = figure.add_gridspec(2, 1, height_ratios=(max(height - 120, bar), bar))
    axes, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    axes.patch.set_alpha(0)
    below.patch.set_alpha(0)
    return figure, axes, below


def new_figure_of_two(
    width: float, height: float, heights: tuple[float, float]
) -> tuple[Figure, Axes, Axes]:
    """Returns two parts, one above the other, whose heights stand in this ratio."""
    figure = _figure(width, height)
    grid = figure.add_gridspec(2, 1, height_ratios=heights)
    above, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    above.patch.set_alpha(0)
    below.patch.set_alpha(0)
    return figure, above, below


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained")
    figure.patch.set_alpha(0)
    return figure


def drawable(value: float) -> float:
    """Returns the nearest number that matplotlib can lay out without overflow.

    Float32, in which models compute, ends at 3e38 and begins at 1e-45.
    """
    if abs(value) < _SMALLEST:
        return 0.0
    return max(-_LARGEST, min(_LARGEST, value))


def legend_columns(labels: Sequence[str], most: int) -> int:
    """Returns in how many columns a legend fits into an ordinary picture."""
    for columns in range(min(most, len(labels)), 1, -1):
        # As matplotlib does it: filled from the top, the first ones longer.
        rows, longer = divmod(len(labels), columns)
        sizes = [rows + (k < longer) for k in range(columns)]
        ends = [sum(sizes[: k + 1]) for k in range(columns)]
        widest = (
            max(map(len, labels[end - size : end]))
            for size, end in zip(sizes, ends, strict=True)
        )
        if sum(_SIGN_WIDTH + _LETTER_WIDTH * letters for letters in widest) <= WIDTH:
            return columns
    return 1


def percent(value: float, position: int | None = None) -> str:
    """Returns a share as a text beside an axis."""
    return f"{100 * value:.3g} %"


def plain(value: float, position: int | None = None) -> str:
    """Returns a number as a text beside an axis."""
    if value and not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return formats.number(round(value, 12), 3)


def color_steps(colors: tuple[str, ...], steps: int) -> tuple[str, ...]:
    """Returns so many colours from the first to the last, by way of the others."""
    ramp = matplotlib.colors.LinearSegmentedColormap.from_list("ramp", list(colors))
    return tuple(
        matplotlib.colors.to_hex(ramp(step / max(steps - 1, 1)))
        for step in range(steps)
    )
