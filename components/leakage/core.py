# SPDX-License-Identifier: Apache-2.0
"""Judges what one pass over the examples has counted."""

from collections.abc import Callable, Iterator
from typing import Any

from scipy import stats

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.leakage.config import LeakageConfig
from components.leakage.preconditions import require_usable
from components.leakage.summary import Group, Summary

CHECK = "LeakageValidator"


def judge(summary: Summary, label_key: str, config: LeakageConfig) -> Iterator[Finding]:
    """Judges the counts of all splits.

    A check that raises becomes a finding that blocks; without any example, only
    that is reported.

    Args:
      summary: What the pass has counted.
      label_key: Name of the label feature.
      config: The limits.

    Yields:
      The findings; none for a good data set.

    Raises:
      InputError: If records cannot be read, or the label or an ignored feature
        is in no example, or nothing else is, or labels are floats, or there is no
        reference split.
    """
    require_usable(summary, label_key, config)
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("splits to compare", lambda: judge_splits(summary, config)),
        ("duplicate leakage", lambda: judge_duplicates(summary, config)),
        ("conflicting labels", lambda: judge_conflicts(summary, label_key, config)),
    )
    for name, check in checks:
        try:
            findings = list(check())
        except Exception as error:
            findings = [failed_check(f"{CHECK}, {name}", error)]
        yield from findings


def judge_splits(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Reports what keeps the splits from being compared."""
    if len(summary.splits) == 1:
        yield find(
            "check_failed",
            "There is no second split to compare with: the examples have only "
            f"{config.reference_split!r}.",
            remedy="Split the examples: hold some back for evaluation.",
            subject=Subject(split=config.reference_split),
            found_by=CHECK,
        )
    for split, counts in summary.splits.items():
        if counts.examples:
            continue
        if split == config.reference_split:
            cause, result = "check_failed", "there is nothing to compare with"
        else:
            cause, result = "insufficient_evidence", "no model can be judged on it"
        yield find(
            cause,
            f"Split {split} holds no examples, so {result}.",
            remedy=f"Put examples into split {split}.",
            subject=Subject(split=split),
            measured=0.0,
            limit=1.0,
            unit="examples",
            found_by=CHECK,
        )


def judge_duplicates(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Judges, split by split, the examples shared with the reference split.

    A share above `max_duplicate_share` blocks, a smaller one above 0 informs.
    """
    for split, counts in summary.splits.items():
        if not counts.shared_examples:
            continue
        share = counts.shared_examples / counts.examples
        blocks = share > config.max_duplicate_share
        yield find(
            "duplicate_leakage",
            f"{counts.shared_examples} of {counts.examples} examples of split {split} "
            f"({_percent(share)}) also stand in split {config.reference_split} "
            f"(different contents: {counts.shared_contents}); allowed are at most "
            f"{_percent(config.max_duplicate_share)}.",
            severity=Severity.BLOCK if blocks else Severity.INFO,
            subject=Subject(split=split),
            measured=share,
            limit=config.max_duplicate_share,
            unit="share",
            found_by=CHECK,
            evidence={
                "num_groups": counts.shared_contents,
                "num_examples": counts.shared_examples,
                "share_interval_95": _interval(counts.shared_examples, counts.examples),
                "repeats_within_split": {
                    name: each.examples - each.contents
                    for name, each in summary.splits.items()
                },
                "groups": _as_evidence(summary.shared.get(split, ()), config),
            },
        )


def judge_conflicts(
    summary: Summary, label_key: str, config: LeakageConfig
) -> Iterator[Finding]:
    """Judges the examples whose content carries several labels.

    They warn; above `max_conflict_share`, where it is set, they block.
    """
    num_conflicting = sum(c.conflicting_examples for c in summary.splits.values())
    if not num_conflicting:
        return
    total, limit = summary.num_examples, config.max_conflict_share
    share = num_conflicting / total
    yield find(
        "conflicting_labels",
        f"{num_conflicting} of {total} examples ({_percent(share)}) have a content "
        f"that carries several labels (different contents: "
        f"{summary.conflicting_contents}); at least {summary.outvoted_examples} of "
        "them no model can get right.",
        severity=(
            Severity.BLOCK if limit is not None and share > limit else Severity.WARN
        ),
        subject=Subject(feature=label_key),
        measured=share,
        limit=limit,
        unit="share",
        found_by=CHECK,
        evidence={
            "num_groups": summary.conflicting_contents,
            "num_examples": num_conflicting,
            "num_examples_by_split": {
                split: counts.conflicting_examples
                for split, counts in summary.splits.items()
            },
            "share_interval_95": _interval(num_conflicting, total),
            "highest_possible_accuracy": 1 - summary.outvoted_examples / total,
            "groups": _as_evidence(summary.conflicting, config),
        },
    )


def _interval(k: int, n: int) -> list[float]:
    """Returns the exact 95 % interval of a share (Clopper and Pearson, 1934)."""
    interval = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    return [float(interval.low), float(interval.high)]


def _percent(share: float) -> str:
    """Returns a share for a message; three digits, however small it is."""
    return f"{100 * share:.3g} %"


def _as_evidence(
    groups: tuple[Group, ...], config: LeakageConfig
) -> list[dict[str, Any]]:
    return [group.model_dump(mode="json") for group in groups[: config.max_evidence]]
