# SPDX-License-Identifier: Apache-2.0
"""What the page says: records in, texts and tables out.

Every number becomes text here and in the modules this one calls; the template
only lays out.
"""

import json

from components.causes import Severity
from components.findings import Finding
from components.report import (
    evaluation_sections,
    facts,
    formats,
    headline,
    training_sections,
)
from components.report.inputs import ReportInputs
from components.report.page import FindingRow, ReportView

MAX_FINDINGS = 200
"""Findings in the table; `verdict.json` has all."""
MAX_EVIDENCE = 4000
"""Characters of one finding's evidence."""

_SEVERITY_WORDS = {
    Severity.BLOCK: "blocks",
    Severity.WARN: "warns",
    Severity.INFO: "informs",
}


def build_view(inputs: ReportInputs) -> ReportView:
    """Turns the records of a run into what its page says."""
    findings = inputs.verdict.findings
    return ReportView(
        title=formats.name(inputs.title),
        headline=headline.headline(inputs),
        tiles=headline.tiles(inputs),
        findings=tuple(
            _row(number, finding)
            for number, finding in enumerate(findings[:MAX_FINDINGS], start=1)
        ),
        findings_left_out=max(0, len(findings) - MAX_FINDINGS),
        sections=(
            evaluation_sections.distributions_section(inputs),
            evaluation_sections.confusion_section(inputs),
            evaluation_sections.modes_section(inputs),
            training_sections.training_section(inputs),
            training_sections.batch_norm_section(inputs),
            evaluation_sections.classes_section(inputs),
        ),
        facts=facts.list_facts(inputs),
        versions=facts.list_versions(inputs),
    )


def _row(number: int, finding: Finding) -> FindingRow:
    measured, limit = formats.measured_and_limit(
        finding.measured, finding.limit, finding.unit
    )
    evidence = ""
    if finding.evidence:
        evidence = json.dumps(
            finding.evidence, indent=2, ensure_ascii=False, default=str
        )
        if len(evidence) > MAX_EVIDENCE:
            evidence = evidence[:MAX_EVIDENCE] + "\n… (all of it is in verdict.json)"
    return FindingRow(
        id=f"finding-{number}",
        cause=finding.cause,
        severity=finding.severity.value,
        severity_word=_SEVERITY_WORDS[finding.severity],
        subject=formats.clean(str(finding.subject)),
        measured=measured,
        limit=limit,
        message=formats.clean(finding.message),
        remedy=formats.clean(finding.remedy),
        evidence="\n".join(map(formats.visible, evidence.split("\n"))),
        found_by=formats.clean(finding.found_by),
    )
