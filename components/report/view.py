# SPDX-License-Identifier: Apache-2.0
"""What the page says: records in, texts and tables out.

Every number becomes text here and in the modules this one calls; the template
only lays out.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from components.findings import Finding
from components.report import (
    calibration_section,
    data_sections,
    evaluation_sections,
    facts,
    formats,
    headline,
    leaks,
    probe_sections,
    robustness_sections,
    slices_section,
    training_sections,
    transfer_section,
)
from components.report.finding_rows import make_row
from components.report.inputs import DATA_FINDINGS, ReportInputs
from components.report.leaked_groups import MAX_FINDINGS as MAX_LEAKS
from components.report.leaked_groups import groups_of
from components.report.page import FindingRow, Leak, ReportView, Section

MAX_FINDINGS = 200
"""Findings in the table; `verdict.json` has all."""

_IN_THE_FILE = "in verdict.json"
_NOTHING_FOUND = "No check found anything."
_NOTHING_ELSE = "No check found anything else."


def build_view(inputs: ReportInputs) -> ReportView:
    """Turns the records of a run into what its page says."""
    decided = inputs.verdict.findings
    shown = list(enumerate(decided[:MAX_FINDINGS], start=1))
    apart = inputs.findings_apart[:MAX_FINDINGS]
    shown_apart = list(enumerate(apart, start=len(shown) + 1))
    found = _leaks(inputs, shown + shown_apart)
    leading, sections = _sections(inputs, list(found.values()))
    return ReportView(
        title=formats.name(inputs.title),
        has_model=inputs.has_model,
        headline=headline.headline(inputs),
        tiles=headline.tiles(inputs),
        leading=leading,
        findings_title="Other findings" if found and leading else "Findings",
        findings=_rows(inputs, shown, found),
        findings_left_out=max(0, len(decided) - MAX_FINDINGS),
        findings_absent=_NOTHING_ELSE if decided else _NOTHING_FOUND,
        findings_notes=(*_unread(inputs), *_not_run(inputs)),
        elsewhere="" if inputs.check else _IN_THE_FILE,
        apart=_rows(inputs, shown_apart, found),
        sections=sections,
        facts=facts.list_facts(inputs),
        versions=facts.list_versions(inputs),
    )


def _leaks(
    inputs: ReportInputs, numbered: Sequence[tuple[int, Finding]]
) -> dict[int, Leak]:
    """Returns the findings that are shown with their examples, by their number."""
    with_groups = [entry for entry in numbered if groups_of(entry[1])][:MAX_LEAKS]
    return {
        number: leaks.make_leak(
            inputs,
            number,
            finding,
            f"leak-{position}" if inputs.has_model else f"finding-{number}",
        )
        for position, (number, finding) in enumerate(with_groups, start=1)
    }


def _rows(
    inputs: ReportInputs,
    numbered: Sequence[tuple[int, Finding]],
    found: Mapping[int, Leak],
) -> tuple[FindingRow, ...]:
    """Returns the rows of a table, without what already stands above it."""
    return tuple(
        make_row(
            number,
            finding,
            leak=found[number].id if number in found else "",
            omit=("groups",) if number in found else (),
        )
        for number, finding in numbered
        if inputs.has_model or number not in found
    )


def _unread(inputs: ReportInputs) -> tuple[str, ...]:
    """Names the data guards whose findings could not be read.

    Without a model, the verdict itself holds that as a finding.
    """
    return tuple(
        f"{key} could not be read: {formats.clean(inputs.unreadable[key])}"
        for key in DATA_FINDINGS
        if key in inputs.unreadable and inputs.has_model
    )


def _not_run(inputs: ReportInputs) -> tuple[str, ...]:
    """Names the checks of a model trained elsewhere that were left out."""
    return tuple(
        f"Not run: {formats.clean(sentence)}"
        for sentence in (inputs.check.not_run if inputs.check else ())
    )


def _sections(
    inputs: ReportInputs, found: Sequence[Leak]
) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Returns the parts before and after the findings."""
    leaked = leaks.leaks_section(inputs, found)
    distributions = evaluation_sections.distributions_section(inputs)
    classes = evaluation_sections.classes_section(inputs)
    if not inputs.has_model:
        return data_sections.arrange(inputs, leaked, distributions, classes)
    measured = (
        leaked,
        distributions,
        evaluation_sections.confusion_section(inputs),
        slices_section.slices_section(inputs),
        calibration_section.calibration_section(inputs),
        evaluation_sections.modes_section(inputs),
        robustness_sections.companions_section(inputs),
        robustness_sections.changes_section(inputs),
    )
    trained = (
        (data_sections.trained_elsewhere(),) if inputs.check else _training(inputs)
    )
    # Older records have no such parts, and the page says nothing of them.
    shown = tuple(part for part in measured if part is not None)
    return (), (*shown, *trained, classes)


def _training(inputs: ReportInputs) -> tuple[Section, ...]:
    training = training_sections.training_section(inputs)
    transfer = transfer_section.transfer_section(inputs)
    if transfer is None:
        training = dataclasses.replace(training, also=("transfer",))
    return (
        training,
        *([transfer] if transfer else []),
        probe_sections.probe_section(inputs),
        probe_sections.layers_section(inputs),
        training_sections.batch_norm_section(inputs),
    )
