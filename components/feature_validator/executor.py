# SPDX-License-Identifier: Apache-2.0
"""Moves statistics and anomalies into the checks, and findings out."""

import difflib
import os
from collections.abc import Mapping
from typing import Any

import tensorflow_data_validation as tfdv
from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from components import artifact_io
from components.anomalies import ANOMALIES_FILE, by_split, write_anomalies
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
from components.findings import Verdict

_Protos = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]


class Executor(base_executor.BaseExecutor):
    """Executor of `FeatureValidator`."""

    def Do(  # noqa: D102  # Described in the base class.
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        config = FeatureConfig.from_json(exec_properties["config"])
        statistics = artifact_io.single(input_dict, "statistics")
        schema = artifact_io.optional(input_dict, "schema")
        anomalies = artifact_io.optional(input_dict, "schema_anomalies")

        protos = _load(statistics, config)
        found = (
            _validate(protos, schema)
            if anomalies is None
            else _read_anomalies(anomalies, protos)
        )
        data = _gather(protos, found, config)
        verdict = Verdict.of(core.judge(data, config))

        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        write_anomalies(
            artifact_io.single(output_dict, "anomalies"),
            by_split(verdict.findings, list(protos)),
            span=statistics.span,
        )
        logging.info("Features: %s", verdict)


def _load(statistics: artifact.Artifact, config: FeatureConfig) -> _Protos:
    splits = artifact_utils.decode_split_names(statistics.split_names)
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
    return {
        split: stats_artifact_utils.load_statistics(statistics, split).proto()
        for split in splits
        if split not in config.exclude_splits
    }


def _gather(
    protos: _Protos, anomalies: tuple[SchemaAnomaly, ...], config: FeatureConfig
) -> DataStatistics:
    splits = {split: read_split(proto, split) for split, proto in protos.items()}
    _check_names(splits, config)
    reference = splits.pop(config.reference_split)
    return DataStatistics(reference, tuple(splits.values()), anomalies)


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


def _validate(
    protos: _Protos, schema: artifact.Artifact | None
) -> tuple[SchemaAnomaly, ...]:
    """Does what ExampleValidator does, where only its schema is given."""
    if schema is None:
        return ()
    path = io_utils.get_only_uri_in_dir(schema.uri)
    expected = io_utils.SchemaReader().read(path)
    return tuple(
        anomaly
        for split, proto in protos.items()
        for anomaly in read_anomalies(tfdv.validate_statistics(proto, expected), split)
    )


def _read_anomalies(
    anomalies: artifact.Artifact, protos: _Protos
) -> tuple[SchemaAnomaly, ...]:
    found: list[SchemaAnomaly] = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        if split not in protos:
            continue
        folder = artifact_utils.get_split_uri([anomalies], split)
        proto = anomalies_pb2.Anomalies()
        with fileio.open(os.path.join(folder, ANOMALIES_FILE), "rb") as file:
            proto.ParseFromString(file.read())
        found.extend(read_anomalies(proto, split))
    return tuple(found)
