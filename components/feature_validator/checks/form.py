# SPDX-License-Identifier: Apache-2.0
"""Whether each example has each feature, in one form and one type."""

from collections.abc import Collection

from components.causes import Severity
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import (
    DataStatistics,
    FeatureStatistics,
    SplitStatistics,
)
from components.feature_validator.wording import FOUND_BY, Observation, report
from components.findings import Finding, Subject, find

_NUMERIC = frozenset({"INT", "FLOAT"})
_DISTANCES = frozenset(
    {"COMPARATOR_L_INFTY_HIGH", "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH"}
)
"""Reasons of ExampleValidator that compare distributions."""
_OTHER_TYPE = "UNEXPECTED_DATA_TYPE"
_UNFIT_DOMAIN = "DOMAIN_INVALID_FOR_TYPE"
"""SchemaGen itself gives a label of integers with counted values such a domain
(https://github.com/tensorflow/data-validation/issues/154)."""


def find_schema_anomalies(
    data: DataStatistics, config: FeatureConfig, skewed: Collection[str | None] = ()
) -> list[Finding]:
    """Passes on what ExampleValidator found in the model's inputs and the label.

    Args:
      data: Statistics and anomalies.
      config: Which features are judged.
      skewed: Splits with a blocking skew: that their numbers have another type as
        well (fractions for whole numbers) is part of the same fault.
    """
    found = []
    for anomaly in data.anomalies:
        feature = anomaly.feature
        is_label = feature is not None and feature == config.label_key
        types = set(anomaly.types)
        if feature is not None and not is_label and not config.is_judged(feature):
            continue
        if is_label and types == {_UNFIT_DOMAIN}:
            continue
        if skewed and _OTHER_TYPE in types and _is_numeric(feature, data):
            continue
        is_distance = bool(types) and types <= _DISTANCES
        name = f"feature {feature!r}" if feature is not None else "the data set"
        found.append(
            find(
                "train_eval_skew" if is_distance else "schema_anomaly",
                f"ExampleValidator on {name} of split {anomaly.split}: "
                f"{anomaly.description}",
                severity=Severity.BLOCK if anomaly.is_error else Severity.WARN,
                subject=Subject(split=anomaly.split, feature=feature),
                evidence={"reasons": list(anomaly.types)},
                found_by=FOUND_BY,
            )
        )
    return found


def find_missing_values(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports features that are absent from a split or from some of its examples."""
    found = []
    names = dict.fromkeys(name for split in data.splits for name in split.features)
    for split in data.splits:
        absent, partly = [], []
        for name in names:
            if not config.is_judged(name) or not split.num_examples:
                continue
            feature = split.features.get(name)
            if feature is None or not feature.num_values:
                absent.append(_absent(name, split, data))
                continue
            share = feature.num_missing / feature.num_examples
            if share > config.max_missing_share:
                partly.append(_partly_missing(feature, split.split, share))
        partly.sort(key=lambda each: -each.measured)
        found += report(
            "schema_anomaly",
            absent,
            what="have no value at all",
            split=split.split,
            severity=Severity.BLOCK,
            limit=config.max_missing_share,
            unit="share of the examples",
            remedy="Give each split the same features, or name those that the model "
            "does not need in `ignore`.",
        )
        found += report(
            "schema_anomaly",
            partly,
            what="have no value in some examples",
            split=split.split,
            severity=Severity.BLOCK,
            limit=config.max_missing_share,
            unit="share of the examples",
            remedy="Fill in or drop these examples, or name the features in `ignore`: "
            "the trainer requires each value.",
        )
    return found


def find_ragged_features(data: DataStatistics, config: FeatureConfig) -> list[Finding]:
    """Reports features whose number of values differs between examples."""
    found = []
    for split in data.splits:
        ragged = []
        for name, feature in split.features.items():
            other = data.reference.features.get(name)
            if not config.is_judged(name) or not feature.num_values:
                continue
            # Univalent features without a value are missing, not ragged.
            if feature.max_values > max(feature.min_values, 1):
                fewest, most, where = feature.min_values, feature.max_values, ""
            elif (
                other is not None
                and other.num_values
                and (feature.max_values != other.max_values)
            ):
                fewest, most = sorted((feature.max_values, other.max_values))
                where = f" ({other.max_values} in split {data.reference.split})"
            else:
                continue
            ragged.append(
                Observation(
                    name,
                    f"Feature {name!r} has {feature.max_values} values per example of "
                    f"split {split.split}{where}."
                    if where
                    else f"Feature {name!r} has from {fewest} to {most} values per "
                    f"example of split {split.split}.",
                    most,
                    {"fewest": fewest, "most": most},
                )
            )
        found += report(
            "schema_anomaly",
            ragged,
            what="differ in their number of values",
            split=split.split,
            severity=Severity.BLOCK,
            limit=None,
            unit="values per example",
            remedy="Give each example the same number of values: pad, cut or average.",
        )
    return found


def find_type_differences(
    data: DataStatistics, config: FeatureConfig, skewed: Collection[str | None] = ()
) -> list[Finding]:
    """Reports features whose data type differs between the splits.

    Args:
      data: Statistics.
      config: Which features are judged.
      skewed: As for `find_schema_anomalies`.
    """
    found = []
    for split in data.others:
        differing = []
        for name, feature in split.features.items():
            other = data.reference.features.get(name)
            if other is None or not config.is_judged(name):
                continue
            if not (feature.num_values and other.num_values):
                continue
            kinds = {feature.kind, other.kind}
            if len(kinds) < 2 or (split.split in skewed and kinds <= _NUMERIC):
                continue
            differing.append(
                Observation(
                    name,
                    f"Feature {name!r} is {feature.kind} in split {split.split}, but "
                    f"{other.kind} in split {data.reference.split}.",
                    1,
                    {split.split: feature.kind, data.reference.split: other.kind},
                )
            )
        found += report(
            "schema_anomaly",
            differing,
            what="have another data type",
            split=split.split,
            severity=Severity.BLOCK,
            limit=None,
            unit="other data types",
            remedy="Write the feature with one data type in all splits.",
        )
    return found


def _is_numeric(feature: str | None, data: DataStatistics) -> bool:
    return all(
        split.features[feature].kind in _NUMERIC
        for split in data.splits
        if feature is not None and feature in split.features
    )


def _absent(name: str, split: SplitStatistics, data: DataStatistics) -> Observation:
    holders = [
        each.split
        for each in data.splits
        if name in each.features and each.features[name].num_values
    ]
    where = f", but has in split {', '.join(holders)}" if holders else ""
    return Observation(
        name,
        f"Feature {name!r} has no value in any of the {split.num_examples} examples of "
        f"split {split.split}{where}.",
        1.0,
        {"splits_with_the_feature": holders},
    )


def _partly_missing(
    feature: FeatureStatistics, split: str, share: float
) -> Observation:
    return Observation(
        feature.name,
        f"Feature {feature.name!r} has no value in {feature.num_missing} of "
        f"{feature.num_examples} examples of split {split}.",
        share,
        {"num_missing": feature.num_missing, "num_examples": feature.num_examples},
    )
