# SPDX-License-Identifier: Apache-2.0
"""Judges what the passes over the examples have counted."""

from collections.abc import Callable, Iterator
from typing import Any

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.leakage.config import LeakageConfig
from components.leakage.preconditions import require_usable
from components.leakage.shares import as_evidence, interval, percent, shared_examples
from components.leakage.summary import Oddities, Place, Summary, Tally

CHECK = "LeakageValidator"

REPEATS_SHARE = 0.05
"""Share of a split's examples that repeat another of the split from which on it is
worth saying; deepchecks' limit on duplicates in one data set."""


def judge(summary: Summary, label_key: str, config: LeakageConfig) -> Iterator[Finding]:
    """Judges the counts of all splits.

    A check that raises becomes a finding that blocks; without any example, only
    that is reported.

    Args:
      summary: What the passes have counted.
      label_key: Name of the label feature.
      config: The limits.

    Yields:
      The findings; none for a good data set.

    Raises:
      InputError: If too many records cannot be read, or a feature that the
        configuration names is in no example, or nothing else is, or labels are no
        classes, or times are of different kinds, or there is no reference split.
    """
    require_usable(summary, label_key, config)
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("splits to compare", lambda: judge_splits(summary, config)),
        ("unreadable records", lambda: judge_unreadable(summary, config)),
        ("groups and times", lambda: judge_unknown(summary, config)),
        ("duplicate leakage", lambda: judge_duplicates(summary, config)),
        ("near-duplicate leakage", lambda: judge_near_duplicates(summary, config)),
        ("group leakage", lambda: judge_groups(summary, config)),
        ("temporal leakage", lambda: judge_times(summary, config)),
        ("conflicting labels", lambda: judge_conflicts(summary, label_key, config)),
    )
    for name, check in checks:
        yield from guarded(name, check)


def guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Runs a check; if it raises, yields only that, as a finding that blocks."""
    try:
        findings = list(check())
    except Exception as error:
        findings = [failed_check(f"{CHECK}, {name}", error)]
    yield from findings


def judge_splits(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Reports what keeps the splits from being compared."""
    splits = summary.contents.splits
    if len(splits) == 1:
        yield find(
            "check_failed",
            "There is no second split to compare with: the examples have only "
            f"{config.reference_split!r}.",
            remedy="Split the examples: hold some back for evaluation.",
            subject=Subject(split=config.reference_split),
            found_by=CHECK,
        )
    for split, counts in splits.items():
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


def judge_unreadable(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Warns of the records that cannot be read and were left out."""
    for split, odd in summary.oddities.items():
        examples = summary.contents.splits[split].examples
        if odd.unreadable:
            total = examples + odd.unreadable
            yield find(
                "schema_anomaly",
                f"{odd.unreadable} of {total} records of split {split} "
                f"({percent(odd.unreadable / total)}) cannot be read and were left "
                f"out: {_first(odd.unreadable_places)}.",
                severity=Severity.WARN,
                remedy="Mend or remove these records, and make the examples again.",
                subject=Subject(split=split, feature=config.image),
                measured=odd.unreadable / total,
                limit=config.max_unreadable_share,
                unit="share",
                found_by=CHECK,
                evidence={
                    "num_records": odd.unreadable,
                    "records": _as_text(odd.unreadable_places),
                },
            )


def judge_unknown(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Reports the examples of which it cannot be told whether they leak.

    A share above `max_unreadable_share` without a group, or without a time that can
    be read, blocks; a smaller one warns.
    """
    for split, counts in summary.contents.splits.items():
        odd = summary.oddities.get(split, Oddities())
        known: list[tuple[str, str | None, int, tuple[Place, ...]]] = []
        if summary.groups:
            grouped = summary.groups.splits[split].examples
            known.append(("group", config.group, grouped, ()))
        if summary.times:
            timed = summary.times[split].examples
            known.append(("time", config.time, timed, odd.odd_time_places))
        for role, feature, num_known, places in known:
            lacking = counts.examples - num_known
            if not lacking:
                continue
            share = lacking / counts.examples
            blocks = share > config.max_unreadable_share
            first = f" (first: {_first(places)})" if places else ""
            yield find(
                "check_failed" if blocks else "schema_anomaly",
                f"{lacking} of {counts.examples} examples of split {split} "
                f"({percent(share)}) have no {role} that can be read in feature "
                f"{feature!r}, so whether they leak cannot be told{first}.",
                severity=Severity.BLOCK if blocks else Severity.WARN,
                remedy=f"Give each example a value of {feature!r}.",
                subject=Subject(split=split, feature=feature),
                measured=share,
                limit=config.max_unreadable_share,
                unit="share",
                found_by=CHECK,
                evidence={"num_examples": lacking, "records": _as_text(places)},
            )


def judge_duplicates(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Judges the examples shared with the reference split, and those repeated in it.

    A share above `max_duplicate_share` blocks, a smaller one above 0 informs. So do
    repeats within the reference split from `REPEATS_SHARE` on: they weigh more in
    training, and make cross-validation leak, but no evaluation wrong.
    """
    contents = summary.contents
    repeats = {
        name: each.examples - each.distinct for name, each in contents.splits.items()
    }
    for split in contents.splits:
        yield from shared_examples(
            "duplicate_leakage",
            contents,
            split,
            config,
            limit=config.max_duplicate_share,
            what=f"also stand in split {config.reference_split}",
            unit_name="different contents",
            evidence={"repeats_within_split": repeats},
        )
    reference = contents.splits.get(config.reference_split)
    repeated = repeats.get(config.reference_split, 0)
    if reference and repeated > REPEATS_SHARE * reference.examples:
        share = repeated / reference.examples
        yield find(
            "duplicate_leakage",
            f"{repeated} of {reference.examples} examples of split "
            f"{config.reference_split} ({percent(share)}) repeat another one of it.",
            severity=Severity.INFO,
            remedy="Drop the repeats before the data are split, unless they are "
            "honest: a table of few distinct rows repeats itself.",
            subject=Subject(split=config.reference_split),
            measured=share,
            limit=REPEATS_SHARE,
            unit="share",
            found_by=CHECK,
            evidence={
                "num_examples": repeated,
                "repeats_within_split": repeats,
            },
        )


def judge_near_duplicates(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Judges the examples that almost equal one of the reference split.

    A share above `max_near_duplicate_share` blocks, a smaller one above 0 informs.
    """
    for split in summary.near.splits if summary.near else ():
        yield from shared_examples(
            "near_duplicate_leakage",
            summary.near or Tally(),
            split,
            config,
            limit=config.max_near_duplicate_share,
            what=f"are almost equal to one of split {config.reference_split}",
            unit_name="groups",
            total=summary.contents.splits[split].examples,
        )


def judge_groups(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Judges the examples whose group is also in the reference split.

    A share above `max_group_share` blocks, a smaller one above 0 informs. The share
    is of all examples of the split, those without a group included.
    """
    for split in summary.groups.splits if summary.groups else ():
        yield from shared_examples(
            "group_leakage",
            summary.groups or Tally(),
            split,
            config,
            limit=config.max_group_share,
            what=f"belong to a group of feature {config.group!r} that is also in "
            f"split {config.reference_split}",
            unit_name="groups",
            total=summary.contents.splits[split].examples,
            feature=config.group,
        )


def judge_times(summary: Summary, config: LeakageConfig) -> Iterator[Finding]:
    """Judges the examples that are older than the newest of the reference split.

    A share above `max_older_share` blocks, a smaller one above 0 informs.
    """
    times = summary.times or {}
    for split, counts in times.items():
        if not counts.older_examples:
            continue
        total = summary.contents.splits[split].examples
        share = counts.older_examples / total
        newest = times[config.reference_split].newest
        blocks = share > config.max_older_share
        yield find(
            "temporal_leakage",
            f"{counts.older_examples} of {total} examples of split {split} "
            f"({percent(share)}) are older than the newest of split "
            f"{config.reference_split} (feature {config.time!r}: {counts.oldest} to "
            f"{counts.newest}, against {newest}); allowed are at most "
            f"{percent(config.max_older_share)}.",
            severity=Severity.BLOCK if blocks else Severity.INFO,
            subject=Subject(split=split, feature=config.time),
            measured=share,
            limit=config.max_older_share,
            unit="share",
            found_by=CHECK,
            evidence={
                "num_examples": counts.older_examples,
                "share_interval_95": interval(counts.older_examples, total),
                "times": {
                    name: {"oldest": each.oldest, "newest": each.newest}
                    for name, each in times.items()
                },
                "groups": _oldest_as_group(split, counts.oldest_records, config),
            },
        )


def _oldest_as_group(
    split: str, records: tuple[str, ...], config: LeakageConfig
) -> list[dict[str, Any]]:
    return [{"records": {split: list(records)}}] if config.max_evidence else []


def judge_conflicts(
    summary: Summary, label_key: str, config: LeakageConfig
) -> Iterator[Finding]:
    """Judges the examples whose content carries several labels.

    They warn; above `max_conflict_share`, where it is set, they block.
    """
    contents = summary.contents
    num_conflicting = sum(c.conflicting_examples for c in contents.splits.values())
    if not num_conflicting:
        return
    total, limit = contents.num_examples, config.max_conflict_share
    share = num_conflicting / total
    yield find(
        "conflicting_labels",
        f"{num_conflicting} of {total} examples ({percent(share)}) have a content "
        f"that carries several labels (different contents: "
        f"{contents.conflicting_distinct}); at least {contents.outvoted_examples} of "
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
            "num_groups": contents.conflicting_distinct,
            "num_examples": num_conflicting,
            "num_examples_by_split": {
                split: counts.conflicting_examples
                for split, counts in contents.splits.items()
            },
            "share_interval_95": interval(num_conflicting, total),
            "highest_possible_accuracy": 1 - contents.outvoted_examples / total,
            "groups": as_evidence(contents.conflicting, config),
        },
    )


def _first(places: tuple[Place, ...]) -> str:
    return "; ".join(_as_text(places[:3])) or "no record was named"


def _as_text(places: tuple[Place, ...]) -> list[str]:
    return [str(place) for place in places]
