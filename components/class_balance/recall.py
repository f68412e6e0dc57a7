# SPDX-License-Identifier: Apache-2.0
"""What the number of examples of a class allows to know of its recall."""

from components.causes import Severity
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelDistribution
from components.class_balance.wording import FOUND_BY, MAX_LISTED, named
from components.findings import Finding, Subject, find

_TAIL = 0.025  # On each side of a 95 % interval.


def narrowest_recall_interval(num_examples: int) -> float:
    """Returns the width, at best, of the 95 % interval of a class's recall.

    The exact interval (Clopper and Pearson, Biometrika 1934) of n hits in n
    examples is [0.025 ** (1/n), 1]; any other number of hits has a wider one.

    Args:
      num_examples: Examples of the class that a model is evaluated on.

    Returns:
      From 0.975 for one example towards 0 for many; 1 for none.
    """
    if num_examples < 1:
        return 1.0
    return 1 - _TAIL ** (1 / num_examples)


def find_unknowable_recalls(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports splits with too few examples of a class to know its recall.

    The training split is not judged on, and absent classes are `missing_class`.
    """
    found = []
    for split in labels.splits:
        if split.split == config.train_split or not split.is_complete:
            continue
        widths = {
            label: narrowest_recall_interval(count)
            for label, count in split.counts.items()
        }
        few = sorted(
            (label for label in widths if widths[label] > config.max_recall_interval),
            key=lambda label: (split.counts[label], label),
        )
        if not few:
            continue
        fewest = split.counts[few[0]]
        found.append(
            find(
                "insufficient_evidence",
                f"Split {split.split} has {fewest} examples of class {few[0]!r}: even "
                f"if all are recognised, the 95 % interval of its recall reaches from "
                f"{1 - widths[few[0]]:.2g} to 1, wider than "
                f"{config.max_recall_interval:.3g} ({len(few)} of "
                f"{len(split.counts)} classes have too few).",
                severity=Severity.WARN,
                remedy=f"Add examples of {named(few)} to split {split.split}.",
                subject=Subject(
                    split=split.split,
                    class_name=str(few[0]) if len(few) == 1 else None,
                ),
                measured=widths[few[0]],
                limit=config.max_recall_interval,
                unit="width of the interval of the recall",
                evidence={
                    "counts": {
                        str(label): split.counts[label] for label in few[:MAX_LISTED]
                    },
                    "num_classes_with_few": len(few),
                    "num_classes": len(split.counts),
                },
                found_by=FOUND_BY,
            )
        )
    return found
