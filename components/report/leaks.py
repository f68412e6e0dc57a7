# SPDX-License-Identifier: Apache-2.0
"""The part of the page that shows leaked examples side by side."""

import base64
from collections.abc import Sequence

from components.findings import Finding
from components.report import formats
from components.report.finding_rows import make_row
from components.report.inputs import (
    LEAKAGE_FINDINGS,
    DataFindings,
    Picture,
    ReportInputs,
)
from components.report.leaked_groups import MAX_PICTURES, SAME_CONTENT, Group, groups_of
from components.report.page import (
    Leak,
    LeakGroup,
    LeakSide,
    Section,
    Thumbnail,
    absent,
)

MAX_ROWS = 5
"""Rows of one group that are shown per split."""
MAX_LABELS = 8
"""Labels of one group that are shown per split."""

_LONGEST_ROW = 300
_SIDE = 96  # CSS pixels of the longer side of a picture.
_NONE_FOUND = "No groups of leaked examples were reported."
_NOT_WIRED = "no findings of a leakage validator are wired to this report."


def leaks_section(inputs: ReportInputs, leaks: Sequence[Leak]) -> Section:
    """Shows groups of leaked examples, or says why there are none."""
    causes = {leak.finding.cause for leak in leaks}
    if not causes:
        return Section(id="leaks", title="Leaked examples", absent=_absent(inputs))
    title = "Leaked examples"
    if "conflicting_labels" in causes:
        title = "Leaked and conflicting examples"
        if len(causes) == 1:
            title = "Conflicting examples"
    return Section(id="leaks", title=title, leaks=tuple(leaks))


def _absent(inputs: ReportInputs) -> str:
    found = inputs.data.get(LEAKAGE_FINDINGS)
    if inputs.check is not None:
        return _NONE_FOUND
    if found is None:
        return absent(inputs, LEAKAGE_FINDINGS, _NOT_WIRED)
    if any(each.cause == "check_failed" for each in found.verdict.findings):
        return "Not measured: a check of the leakage validator could not run."
    return "The leakage validator reported no groups of leaked examples."


def make_leak(inputs: ReportInputs, number: int, finding: Finding, id: str) -> Leak:
    """Lays out one finding with its examples.

    Args:
      inputs: Where the pictures are.
      number: Position of the finding on the page.
      finding: A finding with groups.
      id: Fragment id of the block.
    """
    source = inputs.source_of(finding)
    groups = groups_of(finding)
    shown = tuple(
        _group(position, group, finding, source)
        for position, group in enumerate(groups, start=1)
    )
    named = any(any(group.pictures.values()) for group in groups)
    note = _how_many(finding, len(groups))
    if named and source is None:
        note += " Their pictures are not wired to this report."
    return Leak(
        id=id,
        finding=make_row(number, finding, omit=("groups",)),
        groups=shown,
        groups_note=note,
        # What the head of the page says of it need not be said twice.
        repeats=number == 1 and finding.blocks and not inputs.has_model,
        has_pictures=any(side.thumbnails for group in shown for side in group.sides),
    )


def _how_many(finding: Finding, shown: int) -> str:
    total = finding.evidence.get("num_groups")
    if not isinstance(total, int) or total < shown:
        total = len(finding.evidence["groups"])
    if total == shown:
        return f"{formats.counted(shown, 'group')} of examples."
    return f"{shown:,} of {formats.counted(total, 'group')} of examples."


def _group(
    number: int, group: Group, finding: Finding, source: DataFindings | None
) -> LeakGroup:
    splits = group.splits(finding.subject.split)
    title = f"Group {number}"
    if group.examples:
        total = sum(group.examples.values())
        title += f" · {formats.counted(total, 'example')}"
    notes = []
    if group.similarity is not None:
        notes.append(f"similarity {_similarity(group.similarity)}")
    if hidden := max(0, sum(map(bool, group.examples.values())) - len(splits)):
        notes.append(f"{formats.counted(hidden, 'split')} not shown")
    labels = {label for counts in group.labels.values() for label in counts}
    return LeakGroup(
        title=title,
        notes=tuple(notes),
        # The examples of one patient or scene may well have different labels.
        labels_differ=len(labels) > 1 and finding.cause in SAME_CONTENT,
        sides=tuple(_side(group, split, source) for split in splits),
    )


def _similarity(value: float) -> str:
    return formats.share(value) if 0 <= value <= 1 else formats.number(value)


def _side(group: Group, split: str, source: DataFindings | None) -> LeakSide:
    named = group.pictures.get(split, ())[:MAX_PICTURES] if source is not None else ()
    labels = group.labels.get(split, {})
    shown = list(labels.items())[:MAX_LABELS]
    alt = f"Example of split {formats.name(split, 40)}"
    if len(labels) == 1:
        alt += f", label {formats.name(next(iter(labels)), 40)}"
    return LeakSide(
        split=formats.name(split, 40),
        examples=(
            formats.counted(group.examples[split], "example") if group.examples else ""
        ),
        thumbnails=tuple(_thumbnail(name, source, alt) for name in named if source),
        labels=tuple((formats.name(k, 40), formats.count(n)) for k, n in shown),
        labels_left_out=len(labels) - len(shown),
        rows=tuple(
            formats.name(row, _LONGEST_ROW)
            for row in group.rows.get(split, ())[:MAX_ROWS]
        ),
    )


def _thumbnail(name: str, source: DataFindings, alt: str) -> Thumbnail:
    picture = source.pictures.get(name)
    if picture is None:
        reason = formats.clean(source.missing.get(name, "there is no such picture"))
        shown = formats.name(name, 60)
        text = f"No picture: {shown}: {reason}"
        return Thumbnail("", _SIDE, _SIDE, False, text)
    width, height, enlarged = _size(picture)
    encoded = base64.b64encode(picture.png).decode("ascii")
    return Thumbnail(f"data:image/png;base64,{encoded}", width, height, enlarged, alt)


def _size(picture: Picture) -> tuple[int, int, bool]:
    """Returns the size on the page: a whole multiple for small pictures."""
    longer = max(picture.width, picture.height)
    if longer > _SIDE:
        width, height = (
            max(1, round(side * _SIDE / longer))
            for side in (picture.width, picture.height)
        )
        return width, height, False
    factor = _SIDE // longer
    return picture.width * factor, picture.height * factor, factor > 1
