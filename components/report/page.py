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
class Pairs:
    """Names and values, and how many more there are than shown."""

    entries: tuple[tuple[str, "Evidence"], ...] = ()
    left_out: int = 0


@dataclasses.dataclass(frozen=True)
class Grid:
    """Texts in rows and columns, and how many more there are than shown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rows_left_out: int = 0
    columns_left_out: int = 0


Evidence = str | Pairs | Grid
"""One value of the evidence of a finding."""


@dataclasses.dataclass(frozen=True)
class FindingRow:
    """One finding, as texts.

    Attributes:
      id: Fragment id.
      evidence: What lets a reader check it, without what stands at `leak`.
      leak: Fragment of the block that shows its examples; empty if there is none.
    """

    id: str
    cause: str
    severity: str
    severity_word: str
    subject: str
    measured: str
    limit: str
    message: str
    remedy: str
    evidence: Pairs
    found_by: str
    leak: str = ""


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """One picture of an example.

    Attributes:
      source: The picture as a data URI; empty if it cannot be shown.
      width: Width on the page, in CSS pixels.
      height: Height on the page, in CSS pixels.
      enlarged: Whether one pixel of the picture is several on the page.
      alt: What it shows, or why it cannot be shown.
    """

    source: str
    width: int
    height: int
    enlarged: bool
    alt: str


@dataclasses.dataclass(frozen=True)
class LeakSide:
    """The examples of one group in one split.

    Attributes:
      split: Name of the split.
      examples: How many, in words; empty if they were not counted.
      thumbnails: Pictures of some of them.
      labels: Each label and how many examples carry it.
      labels_left_out: How many more labels there are.
      rows: Texts that help to find some of them.
    """

    split: str
    examples: str
    thumbnails: tuple[Thumbnail, ...]
    labels: tuple[tuple[str, str], ...]
    labels_left_out: int
    rows: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class LeakGroup:
    """Examples that share their content or a group, side by side.

    Attributes:
      title: Number and size of the group.
      notes: Similarity, and what is not shown.
      labels_differ: Whether examples of one content carry more than one label.
      sides: One per split, the reference split first.
    """

    title: str
    notes: tuple[str, ...]
    labels_differ: bool
    sides: tuple[LeakSide, ...]


@dataclasses.dataclass(frozen=True)
class Leak:
    """A finding that is shown with its examples.

    Attributes:
      id: Fragment id.
      finding: The finding as texts.
      groups: Groups of examples, the most important first.
      groups_note: How many of them are shown, in words.
      repeats: Whether the head of the page has its message and remedy already.
      has_pictures: Whether the examples are pictures.
    """

    id: str
    finding: FindingRow
    groups: tuple[LeakGroup, ...]
    groups_note: str
    repeats: bool
    has_pictures: bool


@dataclasses.dataclass(frozen=True)
class Table:
    """Texts in rows; the first column is a heading, the others are numbers.

    Attributes:
      header: Titles of the columns.
      rows: One text per column.
      texts: Indices of columns that hold words instead of numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Figure:
    """Pictures that share one caption.

    Attributes:
      charts: What to draw.
      healthy: How the pictures look for a good model.
      unhealthy: How they look for a bad one.
    """

    charts: tuple[Chart, ...]
    healthy: str
    unhealthy: str


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
      figures: Further pictures, each with a caption of its own.
      table: Numbers in full, or None.
      table_title: What the table lists.
      table_open: Whether the table is shown unfolded.
      table_beside: Whether the table stands beside the pictures if there is room.
      leaks: Findings with the examples that they are about.
      also: Fragment ids of the parts that this one stands for.
    """

    id: str
    title: str
    absent: str = ""
    intro: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    healthy: str = ""
    unhealthy: str = ""
    figures: tuple[Figure, ...] = ()
    table: Table | None = None
    table_title: str = ""
    table_open: bool = True
    table_beside: bool = False
    leaks: tuple[Leak, ...] = ()
    also: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Tile:
    """One key figure; `note` says what it is of."""

    name: str
    value: str
    note: str


@dataclasses.dataclass(frozen=True)
class ReportView:
    """Everything on the page, from top to bottom.

    Attributes:
      title: Heading.
      has_model: Whether the page is about a model, not about data alone.
      headline: The outcome and its first reason.
      tiles: Key figures.
      leading: Parts that stand before the findings.
      findings_title: Heading of the findings.
      findings: The findings of the verdict, without those that `leading` shows.
      findings_left_out: How many more there are than shown.
      findings_absent: What stands there if there are none.
      findings_notes: What could not be read of them.
      elsewhere: Where findings are that the page has no room for; empty if nowhere.
      apart: Findings on the data that took no part in the decision.
      sections: Parts that stand after the findings.
      facts: Name and value of what is known about the run.
      versions: Name and version of the libraries.
    """

    title: str
    has_model: bool
    headline: Headline
    tiles: tuple[Tile, ...]
    leading: tuple[Section, ...]
    findings_title: str
    findings: tuple[FindingRow, ...]
    findings_left_out: int
    findings_absent: str
    findings_notes: tuple[str, ...]
    elsewhere: str
    apart: tuple[FindingRow, ...]
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


def absent(inputs: ReportInputs, part: str, otherwise: str) -> str:
    """Says in one line why a part of the page is not there."""
    if part in inputs.unreadable:
        return f"Could not be read: {formats.clean(inputs.unreadable[part])}"
    return f"Not measured: {otherwise}"
