# SPDX-License-Identifier: Apache-2.0
"""Whether texts and categories are alike in the reference split and another.

TFDV's own comparator (the L-infinity norm of two distributions) is one of the
measures; it knows nothing of sample sizes, so a test stands beside it.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from components.causes import Severity
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import (
    DataStatistics,
    FeatureStatistics,
    SplitStatistics,
)
from components.feature_validator.wording import Observation, report
from components.findings import Finding

_MIN_REPEATS = 10
"""Mean count of a value from which on texts are categories. Names, ids and sentences
occur once or twice, and new ones are no skew."""
_MAX_SHOWN = 5


def find_category_skew(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports categories that are new in a split, or whose shares differ."""
    found = []
    for split in data.others:
        pairs = [
            (data.reference.features[name], feature)
            for name, feature in split.features.items()
            if config.is_judged(name)
            and name in data.reference.features
            and _is_category(data.reference.features[name])
            and _is_readable(feature)
        ]
        num_tests = max(len(pairs) * len(data.others), 1)
        gross: list[Observation] = []
        unseen: list[Observation] = []
        shifted: list[Observation] = []
        for before, after in pairs:
            share, p_value = unseen_excess(before, after)
            if p_value * num_tests <= config.significance and (
                share > config.max_unseen_share
            ):
                kind = gross if share >= config.gross_unseen_share else unseen
                kind.append(_unseen(before, after, share, split, data.reference))
                continue
            apart, value, p_value = largest_difference(before, after)
            if p_value * num_tests <= config.significance and (
                apart > config.max_distance
            ):
                shifted.append(
                    _shifted(before, after, value, apart, split, data.reference)
                )
        common = {"split": split.split}
        for observations, severity, limit in (
            (gross, Severity.BLOCK, config.gross_unseen_share),
            (unseen, Severity.WARN, config.max_unseen_share),
        ):
            found += report(
                "train_eval_skew",
                observations,
                what=f"have values that split {data.reference.split} does not know",
                severity=severity,
                limit=limit,
                unit="share of the values",
                remedy="Write the values of both splits alike (spelling, case, "
                "encoding, column), or collect training examples of the new ones.",
                **common,
            )
        found += report(
            "train_eval_skew",
            shifted,
            what=f"are distributed unlike in split {data.reference.split}",
            severity=Severity.WARN,
            limit=config.max_distance,
            unit="largest difference of shares",
            remedy="Check that both splits come from the same source.",
            **common,
        )
    return found


def unseen_excess(
    before: FeatureStatistics, after: FeatureStatistics
) -> tuple[float, float]:
    """Returns the share of values that are new, and its chance.

    How many new ones to expect, the values that occurred once tell (Good, "The
    population frequencies of species", Biometrika 1953): their share of all values.

    Args:
      before: A category of the reference split, all of its values counted.
      after: The same feature of another split.

    Returns:
      Share of new values beyond those expected, at least 0, and the chance of so many
      (binomial); 0 and 1 if there are none.
    """
    known, found = _counts(before), _counts(after)
    total = sum(found.values())
    new = sum(count for value, count in found.items() if value not in known)
    if not new or not total:
        return 0.0, 1.0
    once = sum(count == 1 for count in known.values())
    # One more than was seen, so that no share is taken for impossible.
    expected = (once + 1) / (sum(known.values()) + 1)
    return (
        max(new / total - expected, 0.0),
        float(stats.binom.sf(new - 1, total, min(expected, 1.0))),
    )


def largest_difference(
    before: FeatureStatistics, after: FeatureStatistics
) -> tuple[float, str, float]:
    """Returns the L-infinity norm of two categories, where it is, and its chance.

    Args:
      before: A category of the reference split.
      after: The same feature of another split.

    Returns:
      The largest difference of the shares of a value, that value, and the chance of
      such a difference of any value (conditional binomial test, Bonferroni).
    """
    first, second = _counts(before), _counts(after)
    values = sorted({*first, *second})
    if not first or not second:
        return 0.0, "", 1.0
    a = np.array([first.get(value, 0) for value in values], np.float64)
    b = np.array([second.get(value, 0) for value in values], np.float64)
    differences = np.abs(a / a.sum() - b / b.sum())
    worst = int(differences.argmax())
    # The rarer side of each value against the rest tells most.
    share = b.sum() / (a.sum() + b.sum())
    both = a + b
    tails = np.minimum(
        stats.binom.cdf(b, both, share), stats.binom.sf(b - 1, both, share)
    )
    p_value = min(1.0, 2 * float(tails.min()) * len(values))
    return float(differences[worst]), values[worst], p_value


def _is_readable(feature: FeatureStatistics) -> bool:
    return feature.texts is not None and feature.texts.is_readable


def _is_category(feature: FeatureStatistics) -> bool:
    """Whether all values are counted, and each occurs often."""
    if feature.texts is None or not _is_readable(feature):
        return False
    return (
        len(feature.texts.counts) == feature.texts.num_distinct
        and feature.num_values >= _MIN_REPEATS * feature.texts.num_distinct
    )


def _counts(feature: FeatureStatistics) -> dict[str, int]:
    return dict(feature.texts.counts) if feature.texts is not None else {}


def _unseen(
    before: FeatureStatistics,
    after: FeatureStatistics,
    share: float,
    split: SplitStatistics,
    reference: SplitStatistics,
) -> Observation:
    known = _counts(before)
    new = [value for value in _counts(after) if value not in known]
    return Observation(
        after.name,
        f"{share:.1%} of the values of feature {after.name!r} in split {split.split} "
        f"do not occur in split {reference.split}, such as {_shown(new)}; there they "
        f"are such as {_shown(list(known))}.",
        share,
        {"unseen": new[:_MAX_SHOWN], "known": list(known)[:_MAX_SHOWN]},
    )


def _shifted(
    before: FeatureStatistics,
    after: FeatureStatistics,
    value: str,
    apart: float,
    split: SplitStatistics,
    reference: SplitStatistics,
) -> Observation:
    shares = [
        _counts(feature).get(value, 0) / max(sum(_counts(feature).values()), 1)
        for feature in (before, after)
    ]
    return Observation(
        after.name,
        f"{value[:40]!r} is {shares[1]:.1%} of the values of feature {after.name!r} in "
        f"split {split.split}, but {shares[0]:.1%} in split {reference.split}.",
        apart,
        {
            "value": value[:200],
            reference.split: shares[0],
            split.split: shares[1],
        },
    )


def _shown(values: Sequence[str]) -> str:
    return ", ".join(repr(value[:40]) for value in values[:_MAX_SHOWN])
