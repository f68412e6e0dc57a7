# SPDX-License-Identifier: Apache-2.0
"""The parts of the page, as texts and charts that the template lays out."""

import dataclasses

from components.report import formats
from components.report.charts import Chart
from components.report.inputs import ReportInputs


@dataclasses.dataclass(frozen=True)
class Headline:
    """The outcome and its first reason.

    Attributes:
      tone: `good`, `bad` or `open` (neither promoted nor blocked).
      word: The outcome in one or two words.
      reason: One sentence with the numbers.
      cause: Id of the first cause that blocks; empty if nothing does.
      meaning: What the cause is; empty without one.
      warning: The first warning about a model that nothing blocks; empty if there
        is none.
      remedy: What to change; empty without a cause.
      counts: How many findings block, warn and inform, in words.
      push: What became of the model, in one sentence.
    """

    tone: str
    word: str
    reason: str
    cause: str
    meaning: str
    warning: str
    remedy: str
    counts: str
    push: str


@dataclasses.dataclass(frozen=True)
class FindingRow:
    """One finding, as texts; `id` is its fragment on the page."""

    id: str
    cause: str
    severity: str
    severity_word: str
    subject: str
    measured: str
    limit: str
    message: str
    remedy: str
    evidence: str
    found_by: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Texts in rows; the first column is a heading, the others are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
      id: Fragment id.
      title: Heading.
      absent: Why the part is not there, in one line; empty if it is.
      intro: Sentences before the pictures.
      charts: What to draw.
      healthy: How the pictures look for a good model.
      unhealthy: How they look for a bad one.
      table: Numbers in full, or None.
      table_title: What the table lists.
      table_open: Whether the table is shown unfolded.
      table_beside: Whether the table stands beside the pictures if there is room.
    """

    id: str
    title: str
    absent: str = ""
    intro: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    healthy: str = ""
    unhealthy: str = ""
    table: Table | None = None
    table_title: str = ""
    table_open: bool = True
    table_beside: bool = False


@dataclasses.dataclass(frozen=True)
class Tile:
    """One key figure; `note` says what it is of."""

    name: str
    value: str
    note: str


@dataclasses.dataclass(frozen=True)
class ReportView:
    """Everything on the page, from top to bottom."""

    title: str
    headline: Headline
    tiles: tuple[Tile, ...]
    findings: tuple[FindingRow, ...]
    findings_left_out: int
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


def absent(inputs: ReportInputs, part: str, otherwise: str) -> str:
    """Says in one line why a part of the page is not there."""
    if part in inputs.unreadable:
        return f"Could not be read: {formats.clean(inputs.unreadable[part])}"
    return f"Not measured: {otherwise}"
