# SPDX-License-Identifier: Apache-2.0
"""Lays the view out as one HTML page that needs nothing but itself."""

import functools
import logging

import jinja2
import markupsafe

from components.report import plots
from components.report.charts import Chart
from components.report.inputs import ReportInputs
from components.report.view import build_view

_LOGGER = logging.getLogger("components.report")


def render_report(inputs: ReportInputs) -> str:
    """Renders the report of one run.

    The same inputs give the same page. Every text that comes from data is
    escaped, and the page's policy forbids scripts and all network access; pictures
    are part of it.

    The parts of the page can be linked to by these fragments: `verdict`,
    `findings`, `finding-1` and so on in the order of the verdict, `leaks`,
    `distributions`, `confusion`, `modes`, `training`, `transfer`, `probe`,
    `layers`, `batchnorm`, `classes` and `facts`; all of them always exist, but for
    the numbered ones. Without a model, those that would show it lead to `model`. Where
    the evaluation measured them, there are `slices`, `calibration`, `companions` and
    `changes` as well.

    Args:
      inputs: The records; all but the verdict may be absent.

    Returns:
      HTML text, to be written as UTF-8.
    """
    page = _environment().get_template("report.html.j2")
    return page.render(view=build_view(inputs))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("components.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["draw"] = _draw
    return environment


def _draw(chart: Chart) -> str:
    try:
        # Safe to mark: `draw` builds the element from a tree, which escapes all texts.
        return markupsafe.Markup(plots.draw(chart))
    except Exception as error:
        # A picture that fails must not take the verdict with it.
        _LOGGER.exception("The chart %r could not be drawn.", chart.id)
        return f"{chart.title} could not be drawn: {type(error).__name__}. {chart.alt}"
