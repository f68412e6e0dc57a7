# SPDX-License-Identifier: Apache-2.0
"""Makes one finding of those that say the same."""

from collections.abc import Hashable, Iterable, Sequence

from components.causes import Severity
from components.findings import Finding
from components.guarded_evaluator.evidence import FOUND_BY

_KEPT_APART = frozenset({"below_threshold", "check_failed", "schema_anomaly"})
"""Causes of which each finding is a fact of its own."""
_OF_THE_MODEL = frozenset(
    {
        "batch_dependence",
        "collapse",
        "constant_output",
        "export_mismatch",
        "mode_gap",
        "no_signal",
        "not_a_number",
        "not_probabilities",
        "overfit",
        "underfit",
    }
)
"""Causes that a model has or has not, on whatever split and in whatever layer they
show; a slice is another matter."""
_MAX_FOLDED = 10


def fold(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns one finding for each cause and subject, in the order of the first.

    The evaluator's own finding stays, since it was measured on the model that is
    judged; else the most severe. The others go into its evidence, as `also_found`. It
    gets the severity of the most severe; and where another blocks for a reason that
    it does not tell, it tells that as well. Remarks stay apart from one another.
    """
    distinct: list[Finding] = []
    for finding in findings:
        if finding not in distinct:
            distinct.append(finding)
    groups: dict[Hashable, list[Finding]] = {}
    for number, finding in enumerate(distinct):
        key = number if finding.cause in _KEPT_APART else _key(finding, distinct)
        groups.setdefault(key, []).append(finding)
    return tuple(finding for group in groups.values() for finding in _one(group))


def is_own(finding: Finding) -> bool:
    """Returns whether the evaluator measured it itself."""
    return finding.found_by.startswith(f"{FOUND_BY}:")


def classes_of(finding: Finding) -> tuple[str, ...]:
    """Returns the names of the classes that a finding is about; empty if unknown."""
    if finding.subject.class_name is not None:
        return (finding.subject.class_name,)
    for key in ("classes", "absent", "counts"):
        listed = finding.evidence.get(key)
        if isinstance(listed, (dict, list, tuple)):
            return tuple(map(str, listed))
    return ()


def _key(finding: Finding, findings: Sequence[Finding]) -> Hashable:
    cause, subject = finding.cause, finding.subject
    if cause in _OF_THE_MODEL:
        # Of a feature it is a fault of the data.
        return cause, subject.slice, subject.feature
    if cause == "dead_class":
        # The evaluator names all of them at once, the trainer the worst.
        classes = set(classes_of(finding))
        for other in findings:
            if (other.cause, other.subject.slice, is_own(other)) != (
                (cause, subject.slice, True)
            ):
                continue
            if classes and classes <= set(classes_of(other)):
                return cause, subject.slice, classes_of(other)
    return cause, *subject.model_dump().values()


def _one(group: Sequence[Finding]) -> Sequence[Finding]:
    if len(group) == 1 or all(f.severity is Severity.INFO for f in group):
        return group
    kept = min(group, key=lambda f: (not is_own(f), f.severity.rank))
    others = [finding for finding in group if finding is not kept]
    told = [
        other
        for other in others
        if other.blocks
        and (
            not kept.blocks
            or (other.unit != kept.unit and is_own(other) == is_own(kept))
        )
    ]
    severity = min((f.severity for f in group), key=lambda severity: severity.rank)
    also = [
        {"found_by": f.found_by, "severity": f.severity.value, "message": f.message}
        for f in others[:_MAX_FOLDED]
    ]
    changes = {
        "severity": severity,
        "message": " ".join([kept.message, *(f.message for f in told)]),
        "remedy": " ".join(dict.fromkeys([kept.remedy, *(f.remedy for f in told)])),
        "evidence": {**kept.evidence, "also_found": also},
    }
    return [kept.model_copy(update=changes)]
