# SPDX-License-Identifier: Apache-2.0
"""Whether numeric features are distributed alike in the reference split and another.

A difference must be larger than chance (Kolmogorov-Smirnov, shared out among the
features) and large in itself. What it blocks are differences with the mark of a
fault: other column order, other scale, or distributions that hardly overlap.
"""

import dataclasses
import math

import numpy as np
from scipy import stats

from components.causes import Severity
from components.feature_validator.checks import distance
from components.feature_validator.checks.column_order import find_order, is_alike
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import (
    DataStatistics,
    Numbers,
    SplitStatistics,
)
from components.feature_validator.wording import Observation, report
from components.findings import Finding

_MIN_NONZERO = 30
"""Values other than 0 that a mean must be taken of."""
_SPARSE = 0.5
"""Share of zeros from which on deciles tell too little of the other values."""
_SLACK = 0.25
"""Standard deviations by which each value may be off before anything blocks."""
_SCALED_SLACK = 0.05
"""Standard deviations by which a value may be off once it is scaled."""
_MAX_SPREAD_ERROR = 0.5
"""By how much a factor may differ from the ratio of the standard deviations, which
outliers move, relative to its own logarithm."""
_MAX_DISAGREEMENT = 0.2
"""By how much two estimates of a factor may differ, as a natural logarithm."""


@dataclasses.dataclass(frozen=True)
class _Pair:
    """A numeric feature in the reference split and in another.

    Attributes:
      name: Name of the feature.
      reference: The feature in the reference split.
      other: The feature in the other split.
      distance: Their distance.
      firm: Their distance if each value may be off by a little.
      p_value: Chance of that distance, times the number of comparisons.
    """

    name: str
    reference: Numbers
    other: Numbers
    distance: float
    firm: float
    p_value: float


def find_numeric_skew(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports numeric features that differ between the reference split and another."""
    found = []
    for split in data.others:
        pairs = _pairs(data.reference, split, config, len(data.others))
        sizes = data.reference.num_examples, split.num_examples
        # Another order has a mark so clear that smaller differences tell it.
        significant = [
            i
            for i, pair in enumerate(pairs)
            if pair.distance > config.max_distance / 2
            and pair.p_value <= config.significance
        ]
        significant.sort(key=lambda i: -pairs[i].distance)
        order = find_order(
            [pair.reference for pair in pairs],
            [pair.other for pair in pairs],
            significant,
            sizes,
        )
        changed = [i for i in significant if pairs[i].distance > config.max_distance]
        if not _is_firm([pairs[i] for i in order], config):
            order = {}
        moved, scaled, gross, shifted = [], [], [], []
        for i in changed if not order else significant:
            if i in order:
                moved.append(_moved(pairs, i, *order[i], split, data.reference))
                continue
            scaling = _scaling(pairs[i], sizes, config)
            if scaling is not None and pairs[i].firm > config.max_distance:
                scaled.append(_scaled(pairs[i], *scaling, split, data.reference))
            elif pairs[i].firm >= config.gross_distance:
                gross.append(_shifted(pairs[i], split, data.reference))
            elif pairs[i].distance > config.max_distance:
                shifted.append(_shifted(pairs[i], split, data.reference))
        for i, pair in enumerate(pairs):
            factor = None if i in changed else _sparse_factor(pair, config, len(pairs))
            if factor is not None:
                scaled.append(_scaled(pair, factor, 0.0, split, data.reference))
        where = {"split": split.split, "unit": "distance"}
        found += report(
            "train_eval_skew",
            moved,
            what=f"look like other features of split {data.reference.split}",
            severity=Severity.BLOCK,
            limit=config.max_distance,
            remedy="Write the columns of both splits in the same order.",
            **where,
        )
        found += report(
            "train_eval_skew",
            scaled,
            what=f"are scaled unlike in split {data.reference.split}",
            severity=Severity.BLOCK,
            limit=config.max_distance,
            remedy="Give both splits the same preprocessing and units; best, put it "
            "inside the model.",
            **where,
        )
        found += report(
            "train_eval_skew",
            gross,
            what=f"hardly overlap with those of split {data.reference.split}",
            severity=Severity.BLOCK,
            limit=config.gross_distance,
            remedy="Give both splits the same preprocessing, and draw them from the "
            "same source; name features that may differ, such as times, in `ignore`.",
            **where,
        )
        found += report(
            "train_eval_skew",
            shifted,
            what=f"are distributed unlike in split {data.reference.split}",
            severity=Severity.WARN,
            limit=config.max_distance,
            remedy="Check that both splits come from the same source and had the same "
            "preprocessing; expect other results in use than in training.",
            **where,
        )
    return found


def _pairs(
    reference: SplitStatistics,
    split: SplitStatistics,
    config: FeatureConfig,
    num_splits: int,
) -> list[_Pair]:
    both = {}
    for name, feature in split.features.items():
        other = reference.features.get(name)
        if other is None or not config.is_judged(name):
            continue
        if feature.numbers is None or other.numbers is None:
            continue
        if feature.numbers.is_comparable and other.numbers.is_comparable:
            both[name] = (other, feature)
    pairs = []
    for name, (first, second) in both.items():
        if first.numbers is None or second.numbers is None:
            continue
        apart = distance.distance(first.numbers, second.numbers)
        p_value = distance.chance(apart, first.num_present, second.num_present)
        p_value = min(1.0, p_value * len(both) * num_splits)
        slack = _SLACK * max(first.numbers.std, second.numbers.std)
        firm = distance.firm_distance(first.numbers, second.numbers, slack)
        pairs.append(_Pair(name, first.numbers, second.numbers, apart, firm, p_value))
    return pairs


def _is_firm(moved: list[_Pair], config: FeatureConfig) -> bool:
    """Whether columns in another order differ enough to matter.

    One alone must differ by `max_distance`, two or more by half of it.
    """
    firm = sorted((pair.firm for pair in moved), reverse=True)
    if not firm:
        return False
    return firm[0] > config.max_distance or (
        len(firm) > 1 and firm[1] > config.max_distance / 2
    )


def _scaling(
    pair: _Pair, sizes: tuple[int, int], config: FeatureConfig
) -> tuple[float, float] | None:
    """The factor and offset that explain a change; None if no scaling does."""
    candidates = [(ratio, 0.0) for ratio in _ratios(pair)]
    fitted = distance.fit(pair.reference, pair.other)
    spread = _log_ratio(pair.other.std, pair.reference.std)
    # Units differ by a factor alone, if that explains as much. Which of its estimates
    # is the best depends on the tails of the distribution.
    for candidate in candidates if fitted is None else [*candidates, fitted]:
        size = _log_ratio(candidate[0], 1.0)
        if abs(size) < math.log(config.min_scale_factor):
            continue
        if abs(size - spread) > _MAX_SPREAD_ERROR * abs(size):
            continue
        after = distance.firm_distance(
            pair.reference, pair.other, _SCALED_SLACK * pair.other.std, candidate
        )
        if is_alike(after, pair.distance, *sizes):
            return candidate
    return None


def _log_ratio(after: float, before: float) -> float:
    """Natural logarithm of a ratio; 0, which is no change, where there is none."""
    return math.log(after / before) if after > 0 and before > 0 else 0.0


def _ratios(pair: _Pair) -> list[float]:
    """Estimates of the factor between two splits, as far as they make one."""
    first, second = pair.reference, pair.other
    estimates = (
        (second.std, first.std),
        (second.mean, first.mean),
        (second.maximum, first.maximum),
        (second.rms, first.rms),
    )
    return [after / before for after, before in estimates if after * before > 0]


def _sparse_factor(
    pair: _Pair, config: FeatureConfig, num_features: int
) -> float | None:
    """The factor between the values of a feature that is mostly 0.

    Its deciles are 0 in both splits, so its mean and root mean square over the
    other values are compared. Only a feature without negative values is judged.

    Returns:
      The factor; None if there is none, or if it may be chance.
    """
    moments = []
    for numbers in (pair.reference, pair.other):
        nonzero = numbers.count - numbers.num_zeros - numbers.num_nan
        if (
            numbers.num_zeros < _SPARSE * numbers.count
            or nonzero < _MIN_NONZERO
            or numbers.minimum < 0
        ):
            return None
        known = numbers.count - numbers.num_nan
        mean = numbers.mean * known / nonzero
        square = numbers.rms**2 * known / nonzero
        variation = max(square / mean**2 - 1, 0.0)  # Squared.
        moments.append((mean, math.sqrt(square), variation / nonzero))
    (mean, rms, error), (other_mean, other_rms, other_error) = moments
    factor = other_mean / mean
    if abs(math.log(factor)) < math.log(config.min_scale_factor):
        return None
    if abs(math.log(other_rms / rms / factor)) > _MAX_DISAGREEMENT:
        return None
    # Values that are all alike vary by nothing, which proves nothing.
    deviation = math.sqrt(error + other_error) + 1 / _MIN_NONZERO
    p_value = 2 * stats.norm.sf(abs(math.log(factor)) / deviation)
    return factor if p_value * num_features <= config.significance else None


def _moved(
    pairs: list[_Pair],
    position: int,
    looks_like: int,
    after: float,
    split: SplitStatistics,
    reference: SplitStatistics,
) -> Observation:
    pair, twin = pairs[position], pairs[looks_like]
    return Observation(
        pair.name,
        f"Feature {pair.name!r} of split {split.split} is distributed like "
        f"{twin.name!r} of split {reference.split} (distance {after:.3g}), unlike "
        f"{pair.name!r} there (distance {pair.distance:.3g}).",
        pair.distance,
        {**_evidence(pair, split, reference), "looks_like": twin.name, "after": after},
    )


def _scaled(
    pair: _Pair,
    factor: float,
    offset: float,
    split: SplitStatistics,
    reference: SplitStatistics,
) -> Observation:
    formula = f"{factor:.4g} times" + (f" plus {offset:.4g}" if offset else "")
    return Observation(
        pair.name,
        f"Feature {pair.name!r} of split {split.split} is what it is in split "
        f"{reference.split} {formula}{_looks(pair, split, reference)}: mean "
        f"{pair.other.mean:.4g} and standard deviation {pair.other.std:.4g} against "
        f"{pair.reference.mean:.4g} and {pair.reference.std:.4g}.",
        pair.distance,
        {**_evidence(pair, split, reference), "factor": factor, "offset": offset},
    )


def _looks(pair: _Pair, split: SplitStatistics, reference: SplitStatistics) -> str:
    """Names the scaling that one of the splits seems to have had."""
    for numbers, name in (
        (pair.other, split.split),
        (pair.reference, reference.split),
    ):
        if abs(numbers.mean) < 0.3 and 0.7 < numbers.std < 1.4:
            return f" (standardised in split {name})"
        if np.isclose(numbers.minimum, 0, atol=0.05) and np.isclose(
            numbers.maximum, 1, atol=0.05
        ):
            return f" (scaled to 0 and 1 in split {name})"
    return ""


def _shifted(
    pair: _Pair, split: SplitStatistics, reference: SplitStatistics
) -> Observation:
    return Observation(
        pair.name,
        f"Feature {pair.name!r} of split {split.split} has a distance of "
        f"{pair.distance:.3g} from split {reference.split} (p = {pair.p_value:.1g}): "
        f"mean {pair.other.mean:.4g} and standard deviation {pair.other.std:.4g} "
        f"against {pair.reference.mean:.4g} and {pair.reference.std:.4g}.",
        pair.distance,
        _evidence(pair, split, reference),
    )


def _evidence(
    pair: _Pair, split: SplitStatistics, reference: SplitStatistics
) -> dict[str, object]:
    return {
        "p_value": pair.p_value,
        **{
            name: {
                "mean": numbers.mean,
                "std": numbers.std,
                "minimum": numbers.minimum,
                "maximum": numbers.maximum,
            }
            for name, numbers in (
                (reference.split, pair.reference),
                (split.split, pair.other),
            )
        },
    }
