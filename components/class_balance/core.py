# SPDX-License-Identifier: Apache-2.0
"""The checks: from label counts to findings, without TFX and without files.

Classes that are absent are `missing_class`; the imbalance checks judge those that
are present, so that one fault is reported once. A split whose labels are not all
counted is reported by `find_uncounted_labels` and judged by nothing else. Splits are
compared in `shift`, slices in `slices`.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from components.causes import Severity
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.recall import find_unknowable_recalls
from components.class_balance.shift import find_label_shift
from components.class_balance.slices import find_classes_rare_in_slices
from components.class_balance.wording import ADJUST, FOUND_BY, MAX_LISTED, named
from components.findings import Finding, Subject, find
from components.labels import LabelValue


def relative_share(count: int, total: int, num_classes: int) -> float:
    """Returns the share of a class relative to an equal share of 1/K.

    Args:
      count: Examples of the class.
      total: Examples of all classes; must be positive.
      num_classes: Number of classes K.

    Returns:
      1 for a balanced class, 0 for an absent one. The quotient of two integers,
      so that a class exactly at a decimal limit compares equal to it.
    """
    return count * num_classes / total


def effective_number_of_classes(counts: Iterable[int]) -> float:
    """Returns exp(H) of the class shares, with Shannon entropy H in nats.

    This is the Hill number of order 1 (Jost, "Entropy and diversity", Oikos
    2006): K for K equally frequent classes, 1 for a single one. Classes without
    examples do not count.

    Returns:
      A number between 1 and the number of classes; 0 without any example.
    """
    positive = [count for count in counts if count > 0]
    if not positive:
        return 0.0
    total = sum(positive)
    entropy = -math.fsum(n / total * math.log(n / total) for n in positive)
    # The logarithms may carry the result past its bounds by a rounding error.
    return min(max(math.exp(entropy), 1.0), float(len(positive)))


def evenness(counts: Iterable[int]) -> float:
    """Returns (exp(H) - 1) / (K - 1), the effective number of classes from 0 to 1.

    Returns:
      1 for equally frequent classes, and near 0 if one class has nearly all
      examples. NaN for fewer than two classes, whose evenness is undefined.
    """
    positive = [count for count in counts if count > 0]
    if len(positive) < 2:
        return math.nan
    return (effective_number_of_classes(positive) - 1) / (len(positive) - 1)


def find_uncounted_labels(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits whose statistics do not give the class of every label."""
    del config  # There is no limit to set: all must be counted.
    remedy = (
        f"Give StatisticsGen `stats_options=label_statistics_options("
        f"{labels.label_key!r}, num_classes=...)`, with at least as many classes as "
        "the label has values."
    )
    return [
        find(
            "check_failed",
            f"The statistics tell the class of {split.num_counted} of "
            f"{split.num_labelled} labels {labels.label_key!r} of split "
            f"{split.split}, so the classes of this split were not judged.",
            remedy=remedy,
            subject=Subject(split=split.split),
            measured=split.num_counted,
            limit=split.num_labelled,
            unit="examples",
            evidence={"num_classes_counted": len(split.counts)},
            found_by=FOUND_BY,
        )
        for split in labels.splits
        if not split.is_complete
    ]


def find_unlabelled_examples(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits of which too many examples carry no label.

    A split without any label is `missing_class` instead.
    """
    found = []
    for split in labels.splits:
        if not split.num_labelled:
            continue
        share = split.num_unlabelled / split.num_examples
        if share > config.max_unlabelled_share:
            found.append(
                find(
                    "schema_anomaly",
                    f"{split.num_unlabelled} of {split.num_examples} examples of "
                    f"split {split.split} carry no label {labels.label_key!r}.",
                    remedy="Label these examples, or drop them from the split.",
                    subject=Subject(split=split.split),
                    measured=share,
                    limit=config.max_unlabelled_share,
                    unit="share of the examples",
                    evidence={"num_unlabelled": split.num_unlabelled},
                    found_by=FOUND_BY,
                )
            )
    return found


def find_unknown_classes(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports labels that the schema does not list; nothing if it lists none."""
    del config  # The schema is the limit.
    domain = set(labels.domain)
    found = []
    for split in labels.splits:
        unknown = sorted(set(split.counts) - domain) if domain else []
        if unknown:
            count = sum(split.counts[label] for label in unknown)
            found.append(
                find(
                    "schema_anomaly",
                    f"{count} of {split.num_labelled} labels {labels.label_key!r} of "
                    f"split {split.split} are of {named(unknown)}, which the schema "
                    f"does not list among its {len(domain)} classes.",
                    remedy="Correct these labels, or add them to the label's domain "
                    "in the schema.",
                    subject=Subject(
                        split=split.split,
                        class_name=str(unknown[0]) if len(unknown) == 1 else None,
                    ),
                    measured=count,
                    limit=0,
                    unit="examples",
                    evidence={
                        "counts": {
                            str(label): split.counts[label]
                            for label in unknown[:MAX_LISTED]
                        },
                        "num_unknown": len(unknown),
                    },
                    found_by=FOUND_BY,
                )
            )
    return found


def find_missing_classes(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits without labels, classes absent from a split, a single class."""
    del config  # Absent is absent.
    classes = labels.expected_classes
    found = []
    for split in labels.splits:
        if not split.num_labelled:
            found.append(_no_labels(split, labels.label_key))
        elif split.is_complete:
            absent = [label for label in classes if label not in split.counts]
            if absent:
                found.append(_absent_classes(split, absent, len(classes)))
    if len(labels.classes) == 1 and all(split.is_complete for split in labels.splits):
        found.append(
            find(
                "missing_class",
                f"Class {labels.classes[0]!r} is the only value of label "
                f"{labels.label_key!r}; a classifier needs at least 2 classes.",
                remedy="Collect examples of the other classes, or name another label.",
                measured=1,
                limit=2,
                unit="classes",
                evidence={"classes": list(labels.classes)},
                found_by=FOUND_BY,
            )
        )
    return found


def find_rare_classes(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits in which a class has too few examples or too small a share.

    Too few examples block; a small share warns, because a model may well cope
    with it, which the evaluation measures as the recall of the class.
    """
    found = []
    for split in _judged(labels):
        counts = sorted(split.counts.items(), key=lambda item: (item[1], item[0]))
        name, fewest = counts[0]
        too_few = [item for item in counts if item[1] < config.min_examples_per_class]
        if too_few:
            found.append(
                find(
                    "class_imbalance",
                    f"Split {split.split} has fewer than "
                    f"{config.min_examples_per_class} examples of "
                    f"{named([label for label, _ in too_few])}; the rarest class "
                    f"{name!r} has {fewest}.",
                    severity=Severity.BLOCK,
                    remedy="Collect more examples of these classes.",
                    subject=Subject(split=split.split, class_name=str(name)),
                    measured=fewest,
                    limit=config.min_examples_per_class,
                    unit="examples",
                    evidence=_count_evidence(split, too_few),
                    found_by=FOUND_BY,
                )
            )
        shares = {
            label: relative_share(count, split.num_counted, len(counts))
            for label, count in counts
        }
        rare = [item for item in counts if shares[item[0]] < config.min_relative_share]
        if rare:
            found.append(
                find(
                    "class_imbalance",
                    f"Class {name!r} has {fewest} of {split.num_counted} examples of "
                    f"split {split.split}: {shares[name]:.3g} times an equal share of "
                    f"1/{len(counts)}, expected at least "
                    f"{config.min_relative_share:.3g} times "
                    f"({len(rare)} of {len(counts)} classes are rarer).",
                    remedy=ADJUST,
                    subject=Subject(split=split.split, class_name=str(name)),
                    measured=shares[name],
                    limit=config.min_relative_share,
                    unit="times an equal share",
                    evidence=_count_evidence(split, rare),
                    found_by=FOUND_BY,
                )
            )
    return found


def find_uneven_classes(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits whose examples crowd into a few of their classes."""
    found = []
    for split in _judged(labels):
        measured = evenness(split.counts.values())
        if measured < config.min_evenness:
            effective = effective_number_of_classes(split.counts.values())
            label, most = max(split.counts.items(), key=lambda item: item[1])
            found.append(
                find(
                    "class_imbalance",
                    f"The {len(split.counts)} classes of split {split.split} are as "
                    f"diverse as {effective:.3g} equally frequent ones: evenness "
                    f"{measured:.3g}, expected at least {config.min_evenness:.3g}; "
                    f"the most frequent class {label!r} has {most} of "
                    f"{split.num_counted} examples.",
                    remedy=ADJUST,
                    subject=Subject(split=split.split, class_name=str(label)),
                    measured=measured,
                    limit=config.min_evenness,
                    unit="evenness",
                    evidence={
                        "effective_number_of_classes": effective,
                        "num_classes": len(split.counts),
                        "num_examples": split.num_counted,
                    },
                    found_by=FOUND_BY,
                )
            )
    return found


Check = Callable[[LabelDistribution, ClassBalanceConfig], list[Finding]]

CHECKS: tuple[Check, ...] = (
    find_uncounted_labels,
    find_unlabelled_examples,
    find_unknown_classes,
    find_missing_classes,
    find_rare_classes,
    find_uneven_classes,
    find_unknowable_recalls,
    find_label_shift,
    find_classes_rare_in_slices,
)
"""All checks; each returns its findings, none of them where all is well."""


def _judged(labels: LabelDistribution) -> list[LabelCounts]:
    """The splits whose balance can be judged: all labels known, two classes."""
    return [
        split for split in labels.splits if split.is_complete and len(split.counts) > 1
    ]


def _no_labels(split: LabelCounts, label_key: str) -> Finding:
    message = f"Split {split.split} holds no examples"
    if split.num_examples:
        message = (
            f"None of the {split.num_examples} examples of split {split.split} "
            f"carries a label {label_key!r}"
        )
    return find(
        "missing_class",
        f"{message}, so every class is absent from it.",
        remedy="Put labelled examples into the split, or name it in `exclude_splits`.",
        subject=Subject(split=split.split),
        measured=0,
        limit=1,
        unit="labelled examples",
        evidence={"num_examples": split.num_examples},
        found_by=FOUND_BY,
    )


def _absent_classes(
    split: LabelCounts, absent: Sequence[LabelValue], num_classes: int
) -> Finding:
    sample = ""
    if split.sample_rate < 1:
        sample = f" in a sample of {split.sample_rate:.3g} of the split"
    return find(
        "missing_class",
        f"Split {split.split} has no example of {named(absent)} among its "
        f"{split.num_labelled} labelled examples{sample}; there are {num_classes} "
        "classes in all.",
        subject=Subject(
            split=split.split,
            class_name=str(absent[0]) if len(absent) == 1 else None,
        ),
        measured=len(absent),
        limit=0,
        unit="absent classes",
        evidence={
            "absent": list(absent[:MAX_LISTED]),
            "num_absent": len(absent),
            "num_classes": num_classes,
            "sample_rate": split.sample_rate,
        },
        found_by=FOUND_BY,
    )


def _count_evidence(
    split: LabelCounts, counts: Sequence[tuple[LabelValue, int]]
) -> dict[str, object]:
    return {
        "counts": {str(label): count for label, count in counts[:MAX_LISTED]},
        "num_listed": min(len(counts), MAX_LISTED),
        "num_rare": len(counts),
        "num_classes": len(split.counts),
        "num_examples": split.num_counted,
    }
