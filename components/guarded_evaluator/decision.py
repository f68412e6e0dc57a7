# SPDX-License-Identifier: Apache-2.0
"""Turns what was measured into findings; knows neither TFX nor files.

Each check is a function of the evidence. A check that raises becomes a blocking
finding of its own: what could not be judged is not let through.
"""

from collections.abc import Iterable

from components.findings import Finding, Verdict, failed_check
from components.guarded_evaluator.evidence import FOUND_BY, Check, Evidence
from components.guarded_evaluator.explanations import explain
from components.guarded_evaluator.folding import fold

__all__ = ["Check", "Evidence", "decide"]


def decide(evidence: Evidence, checks: Iterable[Check]) -> Verdict:
    """Runs every check and gathers the findings, those from upstream included.

    A check that raises blocks; what it had found before counts, and the others run.
    What says the same becomes one finding, and what explains a failure blocks and
    stands before it: hence `Evidence.upstream` must hold all that was found before,
    and the verdict is the whole one.
    """
    found = [*evidence.upstream]
    for check in checks:
        found += _run(check, evidence)
    try:
        found = [*explain(fold(found), evidence)]
    except Exception as error:
        found.append(failed_check(f"{FOUND_BY}: explanations", error))
    return Verdict.of(found)


def _run(check: Check, evidence: Evidence) -> tuple[Finding, ...]:
    name = f"{FOUND_BY}: {check.__name__.removeprefix('check_')}"
    findings = []
    try:
        for finding in check(evidence):
            findings.append(finding.model_copy(update={"found_by": name}))
    except Exception as error:
        findings.append(failed_check(name, error))
    return tuple(findings)
