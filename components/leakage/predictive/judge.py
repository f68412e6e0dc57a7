# SPDX-License-Identifier: Apache-2.0
"""Judges whether one feature, an id, or the order of the rows alone tells the label."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.leakage.config import LeakageConfig
from components.leakage.predictive import order
from components.leakage.predictive.copies import Copy, find_copy
from components.leakage.predictive.power import (
    NUM_VIEWS,
    Power,
    partitions_of,
    strongest,
)
from components.leakage.predictive.sample import Column, Sample

CHECK = "LeakageValidator"
CONFIDENCE = 0.95
"""Of the intervals; all columns and views together (Bonferroni)."""
MAX_FINDINGS = 20
"""Features reported per severity, the strongest first."""


@dataclasses.dataclass(frozen=True)
class _Told:
    """What one column tells of the label."""

    column: Column
    severity: Severity
    measured: float
    limit: float
    low: float
    hits: int
    count: int
    class_code: int | None
    is_copy: bool


def judge(
    sample: Sample, config: LeakageConfig, *, in_order: bool = True
) -> Iterator[Finding]:
    """Judges every feature of the sample by itself, the ids, and the order of rows.

    A check that raises becomes a finding that blocks. Too small a sample, or one of
    a single class, tells nothing: no finding.

    Args:
      sample: Examples of the reference split.
      config: The limits.
      in_order: Whether the rows stand in the order that the model learns them in;
        if not, their order is not judged.

    Yields:
      `label_leakage`, at most one per feature and one for the order of the rows.
    """
    if len(sample.classes) < 2:
        return
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("single features", lambda: judge_features(sample, config)),
        ("ids", lambda: judge_ids(sample, config)),
        ("order of the rows", lambda: judge_order(sample, config)),
    )
    for name, check in checks if in_order else checks[:-1]:
        try:
            findings = list(check())
        except Exception as error:
            findings = [failed_check(f"{CHECK}, {name}", error)]
        yield from findings


def judge_features(sample: Sample, config: LeakageConfig) -> Iterator[Finding]:
    """Reports each content feature of which one entry alone tells the label.

    It blocks if the entry copies the label, or if the lower end of its predictive
    power is above `max_power`; above `suspicious_power` it warns. An entry that tells
    one of three or more classes from the rest warns from `max_power` on: honest
    features come close, as petal length tells one iris from the others, and one
    pixel a zero from the other digits.
    """
    if sample.unavoidably_repeated:
        sample = sample.repeated(config.sample_size)
    expected = set(config.expected_predictors)
    num_columns = sum(1 for _ in sample.columns())
    told: dict[str, list[_Told]] = {}
    for column in sample.columns():
        if expected.isdisjoint((column.name, column.feature)):
            found = _look_at(column, sample, config, num_columns)
            if found:
                told.setdefault(column.feature, []).append(found)
    findings: dict[Severity, list[Finding]] = {Severity.BLOCK: [], Severity.WARN: []}
    for entries in told.values():
        entries.sort(key=lambda each: (each.severity.rank, -each.low))
        finding = _report(entries, sample, config)
        findings[finding.severity].append(finding)
    for same in findings.values():
        same.sort(key=lambda finding: -finding.evidence["lower_end"])
        yield from same[:MAX_FINDINGS]


def judge_ids(sample: Sample, config: LeakageConfig) -> Iterator[Finding]:
    """Warns of features that are no content and whose order tells the label."""
    for name, numbers, labels in order.ids(sample):
        if name in config.expected_predictors:
            continue
        power = order.power_of_order(
            numbers, labels, len(sample.classes), config.suspicious_power
        )
        if power and power.low > config.suspicious_power:
            yield _report_order(
                f"Feature {name} was given out class by class: its order alone tells "
                "the label",
                "The model does not see it, but keep it out of the features, and mind "
                "that a split by it splits by class.",
                Subject(split=config.reference_split, feature=name),
                power,
                config,
            )


def judge_order(sample: Sample, config: LeakageConfig) -> Iterator[Finding]:
    """Warns if the rows are sorted by class."""
    power = order.power_of_order(
        order.positions(sample),
        sample.labels,
        len(sample.classes),
        config.suspicious_power,
    )
    if power and power.low > config.suspicious_power:
        yield _report_order(
            "The rows are sorted by class: the position of a row alone tells the label",
            "Shuffle the rows before they are written.",
            Subject(split=config.reference_split),
            power,
            config,
        )


def _look_at(
    column: Column, sample: Sample, config: LeakageConfig, num_columns: int
) -> _Told | None:
    """Returns the strongest that is to be said of a column; None if nothing is."""
    num_classes, labels = len(sample.classes), sample.labels
    partitions = partitions_of(column.values)
    # The last way to cut a column with missing values is by presence.
    for values in (column.values, *partitions[-1:]):
        copy = find_copy(values, labels, num_classes, num_columns=num_columns)
        if copy and copy.kappa >= config.max_power and copy.low > config.max_power:
            return _of_copy(column, copy, config)
    tests = num_columns * max(1, len(partitions)) * NUM_VIEWS
    found = []
    for power in strongest(
        partitions,
        labels,
        num_classes,
        at_least=config.suspicious_power,
        alpha=(1 - CONFIDENCE) / tests,
    ):
        whole = power.class_code is None or num_classes == 2
        limit = config.suspicious_power if whole else config.max_power
        if power.low <= limit:
            continue
        blocks = whole and power.low > config.max_power
        found.append(
            _Told(
                column,
                Severity.BLOCK if blocks else Severity.WARN,
                power.value,
                config.max_power if blocks else limit,
                power.low,
                power.hits,
                power.count,
                power.class_code,
                False,
            )
        )
    return min(found, key=lambda each: (each.severity.rank, -each.low), default=None)


def _of_copy(column: Column, copy: Copy, config: LeakageConfig) -> _Told:
    return _Told(
        column,
        Severity.BLOCK,
        copy.kappa,
        config.max_power,
        copy.low,
        copy.hits,
        copy.count,
        copy.class_code,
        True,
    )


def _report(entries: Sequence[_Told], sample: Sample, config: LeakageConfig) -> Finding:
    """Makes the finding of one feature; its strongest entry comes first."""
    best = entries[0]
    if best.is_copy:
        what = (
            f"Feature {best.column.name} copies the label: its value follows from the "
            f"class in {best.hits} of {best.count} examples, an agreement beyond "
            f"chance of {best.measured:.3g}"
        )
    else:
        of = "the label"
        if best.class_code is not None:
            of = f"class {sample.classes[best.class_code]} from the rest"
        what = (
            f"Feature {best.column.name} alone tells {of}: its predictive power is "
            f"{best.measured:.3g} (0 the class prior, 1 always right), at least "
            f"{best.low:.3g} by its interval"
        )
    more = f"; so do {len(entries) - 1} other entries" if len(entries) > 1 else ""
    return find(
        "label_leakage",
        f"{what}{more}; allowed is {best.limit:.3g}.",
        severity=best.severity,
        remedy="Drop the feature, or name it in `expected_predictors` if it is known "
        "before the label and fair to use.",
        subject=Subject(split=config.reference_split, feature=best.column.feature),
        measured=best.measured if best.is_copy else best.low,
        limit=best.limit,
        unit="predictive power",
        found_by=CHECK,
        evidence={
            "entry": best.column.name,
            "kind": "copy" if best.is_copy else "predictive power",
            "value": best.measured,
            "lower_end": best.low,
            "class": None
            if best.class_code is None
            else sample.classes[best.class_code],
            "num_hits": best.hits,
            "num_examples": best.count,
            "num_entries": len(entries),
            "entries": [each.column.name for each in entries[: config.max_evidence]],
        },
    )


def _report_order(
    what: str, remedy: str, subject: Subject, power: Power, config: LeakageConfig
) -> Finding:
    evidence: dict[str, Any] = {
        "value": power.value,
        "lower_end": power.low,
        "num_hits": power.hits,
        "num_examples": power.count,
    }
    return find(
        "label_leakage",
        f"{what} with a predictive power of {power.value:.3g} (0 the class prior, 1 "
        f"always right), at least {power.low:.3g} by its interval; allowed is "
        f"{config.suspicious_power:.3g}.",
        severity=Severity.WARN,
        remedy=remedy,
        subject=subject,
        measured=power.low,
        limit=config.suspicious_power,
        unit="predictive power",
        found_by=CHECK,
        evidence=evidence,
    )
