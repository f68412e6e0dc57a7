# SPDX-License-Identifier: Apache-2.0
"""From TFDV's statistics to findings about the features, without TFX."""

import difflib
from collections.abc import Mapping, Sequence

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.errors import InputError
from components.feature_validator import core
from components.feature_validator.anomalies import read_anomalies
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import (
    DataStatistics,
    SchemaAnomaly,
    SplitStatistics,
)
from components.feature_validator.statistics import read_split
from components.findings import Finding

Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]
"""TFDV's statistics by split."""


def check_splits(splits: Sequence[str], config: FeatureConfig) -> None:
    """Refuses names of splits that do not exist.

    Raises:
      InputError: If the configuration names one, or there is no reference split.
    """
    unknown = sorted(set(config.exclude_splits) - set(splits))
    if unknown:
        raise InputError(
            f"exclude_splits: expected names out of {splits}, but got {unknown}; "
            "correct the names or leave them out"
        )
    if config.reference_split not in splits:
        raise InputError(
            f"statistics: expected a split {config.reference_split!r} to hold the "
            f"others against, but the splits are {splits}; name the training split in "
            "`reference_split`"
        )


def find_anomalies(
    statistics: Statistics, schema: schema_pb2.Schema
) -> tuple[SchemaAnomaly, ...]:
    """Does what ExampleValidator does: holds each split against a schema."""
    return tuple(
        anomaly
        for split, proto in statistics.items()
        for anomaly in read_anomalies(tfdv.validate_statistics(proto, schema), split)
    )


def validate(
    statistics: Statistics,
    anomalies: tuple[SchemaAnomaly, ...],
    config: FeatureConfig,
) -> list[Finding]:
    """Runs all checks.

    Args:
      statistics: Of the reference split and of all others that are looked at.
      anomalies: What ExampleValidator found in them.
      config: Which features are judged, and the limits.

    Raises:
      InputError: If a split is empty, or the configuration names a feature that no
        split has.
    """
    splits = {split: read_split(proto, split) for split, proto in statistics.items()}
    _check_names(splits, config)
    reference = splits.pop(config.reference_split)
    data = DataStatistics(reference, tuple(splits.values()), anomalies)
    return core.judge(data, config)


def _check_names(splits: Mapping[str, SplitStatistics], config: FeatureConfig) -> None:
    """Refuses features that are in no split: a misspelt name would go unjudged."""
    empty = [name for name, split in splits.items() if not split.num_examples]
    if empty:
        raise InputError(
            f"split {', '.join(empty)}: expected examples, but there are none; check "
            "the data path and how the data are split"
        )
    known = sorted({name for split in splits.values() for name in split.features})
    named = dict.fromkeys((*(config.features or ()), config.image, config.label_key))
    for name in named:
        if name is not None and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            way_out = f"did you mean {nearest[0]!r}?" if nearest else "correct the name"
            raise InputError(
                f"statistics: expected a feature {name!r}, as the configuration names "
                f"it, but the features are {known[:20]}; {way_out}"
            )
