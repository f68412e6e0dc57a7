# SPDX-License-Identifier: Apache-2.0
"""Judges the share of a split's examples that have something in the reference split."""

from collections.abc import Iterator, Mapping
from typing import Any

from scipy import stats

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.leakage.config import LeakageConfig
from components.leakage.summary import Group, Tally

FOUND_BY = "LeakageValidator"


def shared_examples(
    cause: str,
    tally: Tally,
    split: str,
    config: LeakageConfig,
    *,
    limit: float,
    what: str,
    unit_name: str,
    total: int | None = None,
    feature: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Iterator[Finding]:
    """Judges one split: a share above the limit blocks, a smaller one above 0 informs.

    Args:
      cause: Id of the cause.
      tally: What was counted.
      split: Name of the split.
      config: The reference split, and how much evidence is listed.
      limit: Largest allowed share.
      what: What the examples do, for the message.
      unit_name: Plural of what they share.
      total: Examples that the share is of; those of the tally if None.
      feature: Name of the feature that it is about.
      evidence: More evidence.
    """
    counts = tally.splits[split]
    if not counts.shared_examples:
        return
    total = counts.examples if total is None else total
    share = counts.shared_examples / total
    yield find(
        cause,
        f"{counts.shared_examples} of {total} examples of split {split} "
        f"({percent(share)}) {what} ({unit_name}: {counts.shared_distinct}); allowed "
        f"are at most {percent(limit)}.",
        severity=Severity.BLOCK if share > limit else Severity.INFO,
        subject=Subject(split=split, feature=feature),
        measured=share,
        limit=limit,
        unit="share",
        found_by=FOUND_BY,
        evidence={
            "num_groups": counts.shared_distinct,
            "num_examples": counts.shared_examples,
            "share_interval_95": interval(counts.shared_examples, total),
            **(evidence or {}),
            "groups": as_evidence(tally.shared.get(split, ()), config),
        },
    )


def interval(k: int, n: int) -> list[float]:
    """Returns the exact 95 % interval of a share (Clopper and Pearson, 1934)."""
    exact = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    return [float(exact.low), float(exact.high)]


def percent(share: float) -> str:
    """Returns a share for a message; three digits, however small it is."""
    return f"{100 * share:.3g} %"


def as_evidence(
    groups: tuple[Group, ...], config: LeakageConfig
) -> list[dict[str, Any]]:
    """Returns the groups as JSON values, as many as the configuration allows."""
    return [
        group.model_dump(mode="json", exclude_none=True)
        for group in groups[: config.max_evidence]
    ]
