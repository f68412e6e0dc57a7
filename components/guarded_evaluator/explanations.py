# SPDX-License-Identifier: Apache-2.0
"""Puts the root cause of each failure first, and says what it explains.

A model that fails breaks several limits at once, and most of what went wrong on the
way is reported as a warning only: alone, it does no harm. Beside a failure that it
explains, by the numbers, it is the reason, and blocks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from components import causes
from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import listing
from components.guarded_evaluator.evidence import FOUND_BY, Evidence
from components.guarded_evaluator.facts import Facts
from components.guarded_evaluator.folding import is_own
from components.guarded_evaluator.reasons import ANSWERS, why

_FAILURES = frozenset(ANSWERS) | {
    "batch_dependence",
    "export_mismatch",
    "mode_gap",
    "not_a_number",
    "not_probabilities",
    "overfit",
    "weak_slice",
}
"""Failures of the model itself, in use."""
_OF_DATA = frozenset(
    {
        "class_imbalance",
        "conflicting_labels",
        "duplicate_leakage",
        "group_leakage",
        "label_leakage",
        "low_variance",
        "missing_class",
        "near_duplicate_leakage",
        "temporal_leakage",
        "train_eval_skew",
    }
)
"""Faults of the data, which explain some failures and others not."""
_HIDING = frozenset({"duplicate_leakage", "group_leakage", "near_duplicate_leakage"})
"""Faults that make what is learnt by heart look learnt: how wide a gap between the
splits is, is not known before they are mended."""
_FOLLOWS = {
    "collapse": ("constant_output",),
    "no_signal": ("constant_output", "collapse"),
}
"""Failures that come with others, and then have the same root."""
_WORDS = {
    "collapse": "the collapse",
    "constant_output": "the constant output",
    "dead_class": "the classes that are overlooked",
    "no_signal": "that nothing was learnt",
    "mode_gap": "the gap between the modes",
    "overfit": "the gap between the splits",
    "weak_slice": "the weak slice",
}


def explain(findings: Sequence[Finding], evidence: Evidence) -> tuple[Finding, ...]:
    """Returns the findings with the root cause of each failure made known.

    What explains a blocking failure says so. Where only warnings do, the first of them
    in the catalogue's order is raised to block; where nothing does, the class counts
    of the training split are asked. Secondary become faults of the data that explain
    none of the failures (leakage makes a model look better, never worse), and failures
    that something explains which stands behind them in the catalogue.
    """
    facts = Facts(evidence)
    known = list(findings)
    roots: dict[int, list[Finding]] = {}
    root_of: dict[tuple[str, str | None], int] = {}
    late: list[Finding] = []
    failures = [
        f
        for f in findings
        if f.blocks and f.cause in _FAILURES and f.subject.feature is None
    ]
    for failure in sorted(failures, key=lambda f: causes.rank(f.cause)):
        root = _inherited(failure, root_of)
        if root is None:
            root = _find_root(failure, known, facts)
        if root is None and (made := _from_counts(failure, facts)) is not None:
            known.append(made)
            root = len(known) - 1
        if root is None:
            continue
        root_of[failure.cause, failure.subject.slice] = root
        roots.setdefault(root, []).append(failure)
        if causes.rank(known[root].cause) > causes.rank(failure.cause):
            late.append(failure)
    judged = [f for f in failures if is_own(f)]
    settled = []
    for number, finding in enumerate(known):
        aside = bool(judged) and _stands_aside(finding, failures, facts)
        if number in roots:
            finding = _as_root(finding, roots[number])
        elif finding.blocks and (aside or finding in late):
            finding = finding.model_copy(update={"is_secondary": True})
        settled.append(finding)
    return tuple(_after_secondary(settled))


def _after_secondary(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yields the findings; what could not be checked stays behind all others."""
    move = any(finding.is_secondary for finding in findings)
    for finding in findings:
        last = move and finding.blocks and finding.cause == "check_failed"
        yield finding.model_copy(update={"is_secondary": True}) if last else finding


def _inherited(
    failure: Finding, root_of: dict[tuple[str, str | None], int]
) -> int | None:
    """Returns the root of a failure that this one comes with."""
    for cause in _FOLLOWS.get(failure.cause, ()):
        if (cause, failure.subject.slice) in root_of:
            return root_of[cause, failure.subject.slice]
    return None


def _find_root(
    failure: Finding, findings: Sequence[Finding], facts: Facts
) -> int | None:
    """Returns the position of what explains a failure best.

    A gap between the modes comes first, since it tells that the training went well;
    then what blocks by itself; then the order of the catalogue.
    """
    found = [
        number
        for number, finding in enumerate(findings)
        if finding.severity is not Severity.INFO
        and finding is not failure
        and why(finding, failure, facts) is not None
    ]
    return min(
        found,
        key=lambda number: (
            findings[number].cause != "mode_gap",
            not findings[number].blocks,
            causes.rank(findings[number].cause),
        ),
        default=None,
    )


def _stands_aside(finding: Finding, failures: Sequence[Finding], facts: Facts) -> bool:
    if finding.cause not in _OF_DATA:
        return False
    if finding.cause in _HIDING and {f.cause for f in failures} == {"overfit"}:
        return False
    return not any(why(finding, failure, facts) is not None for failure in failures)


def _as_root(finding: Finding, failures: Sequence[Finding]) -> Finding:
    """Returns a finding that says what it explains, and blocks."""
    explained = list(dict.fromkeys(failure.cause for failure in failures))
    evidence = {**finding.evidence, "explains": explained}
    if not finding.blocks:
        evidence["severity_alone"] = finding.severity.value
    words = " and ".join(_WORDS.get(cause, f"`{cause}`") for cause in explained)
    message = f"{finding.message} This explains {words}."
    return finding.model_copy(
        update={"severity": Severity.BLOCK, "message": message, "evidence": evidence}
    )


def _renamed(renaming: dict[str, str], facts: Facts) -> Finding:
    listed = [f"{given!r} for {meant!r}" for given, meant in renaming.items()]
    return find(
        "train_eval_skew",
        f"The labels of split {facts.config.eval_split} seem to be in another order "
        f"than in training: the model answers {listing(listed)}, and with the names "
        "exchanged it is as good as there.",
        remedy="Number the classes of both splits by the same list.",
        severity=Severity.BLOCK,
        subject=Subject(split=facts.config.eval_split),
        measured=len(renaming),
        limit=0,
        unit="classes",
        evidence={"answers_for": dict(list(renaming.items())[:100])},
        found_by=f"{FOUND_BY}: class_counts",
    )


def _from_counts(failure: Finding, facts: Facts) -> Finding | None:
    """Returns what the counts of labels and answers say of a failure, if anything.

    For data that no validator looked at: the evaluator has counted the classes of the
    training examples itself.
    """
    if failure.subject.slice:
        return None
    if failure.cause == "overfit" and facts.renaming:
        return _renamed(facts.renaming, facts)
    k = facts.outnumbering(failure)
    if k is None:
        return None
    counts, split = facts.train_counts, facts.config.train_split
    name, total = facts.names[k], int(counts.sum())
    details: dict[str, Any] = {
        "severity": Severity.BLOCK,
        "subject": Subject(split=split, class_name=name),
        "found_by": f"{FOUND_BY}: class_counts",
    }
    if not counts[k]:
        return find(
            "missing_class",
            f"Class {name!r} occurs in none of the {total} examples of split {split} "
            "that were looked at.",
            measured=0,
            limit=1,
            unit="examples",
            **details,
        )
    ratio = facts.ratio_to_others(k)
    more = "more" if ratio > 1 else "less"
    times = ratio if ratio > 1 else 1 / ratio
    factor = f"{times:.3g} times" if times < float("inf") else "infinitely"
    return find(
        "class_imbalance",
        f"{counts[k]} of {total} examples of split {split} are of class {name!r}, "
        f"which makes it {factor} {more} frequent than the others on average.",
        measured=times,
        limit=facts.config.min_imbalance_ratio,
        unit="times the other classes",
        **details,
    )
