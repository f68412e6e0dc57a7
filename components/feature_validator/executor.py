# SPDX-License-Identifier: Apache-2.0
"""Moves statistics and anomalies into the checks, and findings out."""

import os
from typing import Any

from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from components import artifact_io
from components.anomalies import ANOMALIES_FILE, by_split, write_anomalies
from components.feature_validator.anomalies import read_anomalies
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import SchemaAnomaly
from components.feature_validator.validation import (
    Statistics,
    check_splits,
    find_anomalies,
    validate,
)
from components.findings import Verdict


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
        verdict = Verdict.of(validate(protos, found, config))

        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        write_anomalies(
            artifact_io.single(output_dict, "anomalies"),
            by_split(verdict.findings, list(protos)),
            span=statistics.span,
        )
        logging.info("Features: %s", verdict)


def _load(statistics: artifact.Artifact, config: FeatureConfig) -> Statistics:
    splits = artifact_utils.decode_split_names(statistics.split_names)
    check_splits(splits, config)
    return {
        split: stats_artifact_utils.load_statistics(statistics, split).proto()
        for split in splits
        if split not in config.exclude_splits
    }


def _validate(
    protos: Statistics, schema: artifact.Artifact | None
) -> tuple[SchemaAnomaly, ...]:
    """Does what ExampleValidator does, where only its schema is given."""
    if schema is None:
        return ()
    path = io_utils.get_only_uri_in_dir(schema.uri)
    return find_anomalies(protos, io_utils.SchemaReader().read(path))


def _read_anomalies(
    anomalies: artifact.Artifact, protos: Statistics
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
