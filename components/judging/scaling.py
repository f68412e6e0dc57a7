# SPDX-License-Identifier: Apache-2.0
"""Whether a model brings features to order that are far from unit scale."""

from collections.abc import Iterable

from components.causes import Severity
from components.findings import Finding
from components.judging.models.asked import EnteringScale


def settle(
    findings: Iterable[Finding], entering: EnteringScale | None
) -> tuple[Finding, ...]:
    """Makes information of warnings that the model itself answers.

    The data guards see no model, and so warn of every feature that is far from unit
    scale. Where what reaches the first weights is not, a layer has seen to it.

    Args:
      findings: Findings of the data guards.
      entering: What reaches the first weights; None where it is not known, which
        leaves the findings as they are.
    """
    return tuple(
        _settled(finding, entering)
        if entering is not None and _is_answered(finding, entering)
        else finding
        for finding in findings
    )


def _is_answered(finding: Finding, entering: EnteringScale) -> bool:
    if finding.cause != "unscaled_input" or finding.limit is None:
        return False
    return entering.largest <= finding.limit and entering.overall >= 1 / finding.limit


def _settled(finding: Finding, entering: EnteringScale) -> Finding:
    return finding.model_copy(
        update={
            "severity": Severity.INFO,
            "message": f"{finding.message.rstrip('.')}; a layer of the model brings it "
            f"to order (root mean square {entering.overall:.2g}).",
            "remedy": "Nothing: the model takes care of it.",
        }
    )
