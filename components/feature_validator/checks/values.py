# SPDX-License-Identifier: Apache-2.0
"""Whether the values of a feature can be learnt from at all."""

from components.causes import Severity
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import DataStatistics, FeatureStatistics
from components.feature_validator.wording import FOUND_BY, Observation, named, report
from components.findings import Finding, Subject, find


def find_not_a_number(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports numeric features with NaN or infinity."""
    found = []
    for split in data.splits:
        spoilt = []
        for name, feature in split.features.items():
            numbers = feature.numbers
            if numbers is None or not config.is_judged(name):
                continue
            number = numbers.num_nan + numbers.num_infinite
            if number:
                spoilt.append(
                    Observation(
                        name,
                        f"Feature {name!r} has {numbers.num_nan} NaN and "
                        f"{numbers.num_infinite} infinite values among the "
                        f"{numbers.count} of split {split.split}.",
                        number,
                        {"nan": numbers.num_nan, "infinite": numbers.num_infinite},
                    )
                )
        spoilt.sort(key=lambda each: -each.measured)
        found += report(
            "not_a_number",
            spoilt,
            what="have NaN or infinite values",
            split=split.split,
            severity=Severity.BLOCK,
            limit=0,
            unit="values",
            remedy="Drop these examples, or write a number for what is not known.",
        )
    return found


def find_low_variance(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports features of the reference split that are constant or nearly so.

    A feature is nearly constant if the share of its most frequent value reaches
    `max_value_share`, or if it varies less than `min_relative_spread` of its mean. TFDV
    tells the share of 0 among numbers, of any value among texts. Nothing to learn
    from blocks: all features constant.
    """
    judged = [
        feature
        for name, feature in data.reference.features.items()
        if config.is_judged(name) and feature.num_values
    ]
    split = data.reference.split
    constant = [feature.name for feature in judged if _is_constant(feature)]
    if judged and len(constant) == len(judged) and data.reference.num_examples > 1:
        return [
            find(
                "low_variance",
                f"Each of the {len(judged)} features has the same value in all "
                f"{data.reference.num_examples} examples of split {split}: "
                f"{named(constant)}.",
                severity=Severity.BLOCK,
                remedy="Check how the examples were written: there is nothing to learn "
                "from.",
                subject=Subject(split=split),
                measured=len(constant),
                limit=len(judged) - 1,
                unit="constant features",
                evidence={"features": constant[:100]},
                found_by=FOUND_BY,
            )
        ]
    flat = []
    for feature in judged:
        share = _top_share(feature)
        if _is_constant(feature):
            text = f"Feature {feature.name!r} has one value in all of split {split}."
        elif share >= config.max_value_share:
            text = (
                f"{share:.3%} of the values of feature {feature.name!r} in split "
                f"{split} are the same."
            )
        elif _relative_spread(feature) < config.min_relative_spread:
            share = 1.0
            text = (
                f"Feature {feature.name!r} of split {split} varies by "
                f"{_relative_spread(feature):.2g} of its mean, hardly more than the "
                "rounding of 32-bit floats."
            )
        else:
            continue
        flat.append(Observation(feature.name, text, share))
    return report(
        "low_variance",
        flat,
        what="are constant or nearly so",
        split=split,
        severity=Severity.WARN,
        limit=config.max_value_share,
        unit="share of the most frequent value",
        remedy="Leave these features out, or collect data in which they vary; subtract "
        "the mean of a number that varies little around it.",
    )


def find_unscaled_input(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports numeric features of the reference split far from unit scale.

    A hint only: whether a layer of the model normalises them is not known here.
    """
    unscaled = []
    split = data.reference.split
    for name, feature in data.reference.features.items():
        numbers = feature.numbers
        if numbers is None or not numbers.is_comparable or not config.is_judged(name):
            continue
        largest = max(abs(numbers.minimum), abs(numbers.maximum))
        if numbers.rms > config.max_scale:
            factor, size = numbers.rms, f"a root mean square of {numbers.rms:.3g}"
        elif 0 < largest < 1 / config.max_scale:
            factor, size = 1 / largest, f"no absolute value above {largest:.3g}"
        else:
            continue
        unscaled.append(
            Observation(
                name,
                f"Feature {name!r} of split {split} has {size}, far from 1.",
                factor,
                {
                    "minimum": numbers.minimum,
                    "maximum": numbers.maximum,
                    "mean": numbers.mean,
                    "std": numbers.std,
                },
            )
        )
    unscaled.sort(key=lambda each: -each.measured)
    return report(
        "unscaled_input",
        unscaled,
        what="are far from unit scale",
        split=split,
        severity=Severity.WARN,
        limit=config.max_scale,
        unit="times the unit scale",
        remedy="Unless the model has one, put a `Normalization` layer adapted on the "
        "training split, or a `Rescaling` layer, inside it.",
    )


def _is_constant(feature: FeatureStatistics) -> bool:
    if feature.numbers is not None:
        numbers = feature.numbers
        return not (numbers.num_nan or numbers.num_infinite) and (
            numbers.minimum == numbers.maximum
        )
    return feature.texts is not None and feature.texts.num_distinct == 1


def _top_share(feature: FeatureStatistics) -> float:
    """Share of the most frequent value, as far as the statistics tell it."""
    if _is_constant(feature):
        return 1.0
    if feature.numbers is not None:
        return feature.numbers.num_zeros / max(feature.numbers.count, 1)
    if feature.texts is not None and feature.texts.is_readable:
        most = max(feature.texts.counts.values(), default=0)
        return most / max(feature.num_values, 1)
    return 0.0


def _relative_spread(feature: FeatureStatistics) -> float:
    numbers = feature.numbers
    if numbers is None or not numbers.is_comparable or not numbers.mean:
        return 1.0
    return numbers.std / abs(numbers.mean)
