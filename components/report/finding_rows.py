# SPDX-License-Identifier: Apache-2.0
"""One finding as the texts of a row."""

from collections.abc import Sequence

from components.causes import Severity
from components.findings import Finding
from components.report import evidence, formats
from components.report.page import FindingRow

_SEVERITY_WORDS = {
    Severity.BLOCK: "blocks",
    Severity.WARN: "warns",
    Severity.INFO: "informs",
}


def make_row(
    number: int, finding: Finding, *, leak: str = "", omit: Sequence[str] = ()
) -> FindingRow:
    """Turns a finding into texts.

    Args:
      number: Position on the page, from 1.
      finding: The finding.
      leak: Fragment of the block that shows its examples; empty if there is none.
      omit: Names in its evidence that this block shows.
    """
    measured, limit = formats.measured_and_limit(
        finding.measured, finding.limit, finding.unit
    )
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
        evidence=evidence.show(finding.evidence, omit),
        found_by=formats.clean(finding.found_by),
        leak=leak,
    )
