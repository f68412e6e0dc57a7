# SPDX-License-Identifier: Apache-2.0
"""Classes that are missing or rare in a slice of the data, such as one hospital."""

import numpy as np
from scipy import stats

from components.causes import Severity
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.wording import FOUND_BY, MAX_LISTED, named
from components.findings import Finding, Subject, find
from components.labels import LabelValue

_MAX_SLICES = 10
"""Slices that are reported for each split, the worst first."""


def find_classes_rare_in_slices(
    labels: LabelDistribution, config: ClassBalanceConfig
) -> list[Finding]:
    """Reports slices that lack a class which their split has.

    A class is missing or rare in a slice if its share, relative to its share of the
    whole split, is below `min_relative_share`, and a slice drawn at random would hardly
    ever hold so few (exact binomial test). Small slices therefore raise nothing.
    Slices only warn: a class may well occur in some places only, but then a model
    can tell it by the place.
    """
    found: list[Finding] = []
    for split in labels.splits:
        slices = [s for s in labels.slices if s.split == split.split and s.is_complete]
        if not split.is_complete:
            continue
        num_tests = max(len(slices) * len(split.counts), 1)
        lacking = {
            part.slice: _lacking(part, split, config, config.significance / num_tests)
            for part in slices
        }
        short = [part for part in slices if lacking[part.slice]]
        short.sort(
            key=lambda part: (
                -sum(
                    _expected(part, split, label) - part.counts.get(label, 0)
                    for label in lacking[part.slice]
                )
            )
        )
        found.extend(
            _finding(part, split, lacking[part.slice], config, len(short))
            for part in short[:_MAX_SLICES]
        )
    return found


def _expected(part: LabelCounts, split: LabelCounts, label: LabelValue) -> float:
    """Examples that the slice would hold were it like its split."""
    return part.num_counted * split.counts[label] / split.num_counted


def _lacking(
    part: LabelCounts,
    split: LabelCounts,
    config: ClassBalanceConfig,
    significance: float,
) -> list[LabelValue]:
    """The classes that the slice has too few of, most missed first."""
    classes = list(split.counts)
    here = np.array([part.counts.get(label, 0) for label in classes])
    shares = np.array([split.counts[label] / split.num_counted for label in classes])
    expected = part.num_counted * shares
    # A share exactly at the limit is well; none at all never is.
    few = (here < config.min_relative_share * expected) | (here == 0)
    chances = stats.binom.cdf(here, part.num_counted, shares)
    lacking = np.flatnonzero(few & (chances <= significance))
    return [classes[i] for i in sorted(lacking, key=lambda i: -expected[i])]


def _finding(
    part: LabelCounts,
    split: LabelCounts,
    lacking: list[LabelValue],
    config: ClassBalanceConfig,
    num_slices: int,
) -> Finding:
    missing = [label for label in lacking if label not in part.counts]
    worst = (missing or lacking)[0]
    here = part.counts.get(worst, 0)
    expected = _expected(part, split, worst)
    more = f" {num_slices} slices of the split lack classes." if num_slices > 1 else ""
    return find(
        "missing_class" if missing else "class_imbalance",
        f"Slice {part.slice} of split {part.split} has {here} examples of class "
        f"{worst!r} among {part.num_counted}, where {expected:.3g} were expected from "
        f"the class's share of the split; it lacks {named(lacking)}.{more}",
        severity=Severity.WARN,
        remedy="Collect examples of these classes from this slice: else a model may "
        "tell the class by the slice.",
        subject=Subject(
            split=part.split,
            slice=part.slice,
            class_name=str(lacking[0]) if len(lacking) == 1 else None,
        ),
        measured=here / expected,
        limit=config.min_relative_share,
        unit="times the share in the split",
        evidence={
            "counts": {
                str(label): part.counts.get(label, 0) for label in lacking[:MAX_LISTED]
            },
            "num_lacking": len(lacking),
            "num_examples": part.num_counted,
            "num_slices_lacking": num_slices,
        },
        found_by=FOUND_BY,
    )
