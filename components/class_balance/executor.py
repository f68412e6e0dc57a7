# SPDX-License-Identifier: Apache-2.0
"""Moves statistics into the checks, and findings, weights and anomalies out."""

import json
from typing import Any

from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from components import artifact_io
from components.anomalies import by_split, write_anomalies
from components.class_balance import weights
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelDistribution
from components.class_balance.validation import read_labels, run_checks
from components.errors import InputError
from components.findings import Verdict


class Executor(base_executor.BaseExecutor):
    """Executor of `ClassBalanceValidator`."""

    def Do(  # noqa: D102  # Described in the base class.
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        config = ClassBalanceConfig.from_json(exec_properties["config"])
        label_key = exec_properties["label_key"]
        statistics = artifact_io.single(input_dict, "statistics")
        schema = _read_schema(artifact_io.optional(input_dict, "schema"))

        labels = _read_labels(statistics, schema, label_key, config)
        table = weights.class_table(labels, config)
        verdict = Verdict.of(run_checks(labels, config))

        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        artifact_io.write_class_table(
            artifact_io.single(output_dict, "class_weights"), table
        )
        write_anomalies(
            artifact_io.single(output_dict, "anomalies"),
            by_split(verdict.findings, [split.split for split in labels.splits]),
            feature=label_key,
            span=statistics.span,
        )
        logging.info("Classes of label %r: %s", label_key, verdict)


def _read_labels(
    statistics: artifact.Artifact,
    schema: schema_pb2.Schema | None,
    label_key: str,
    config: ClassBalanceConfig,
) -> LabelDistribution:
    splits = artifact_utils.decode_split_names(statistics.split_names)
    unknown = sorted(set(config.exclude_splits) - set(splits))
    if unknown:
        raise InputError(
            f"exclude_splits: expected names out of {splits}, but got {unknown}; "
            "correct the names or leave them out"
        )
    by_split = {
        split: stats_artifact_utils.load_statistics(statistics, split).proto()
        for split in splits
        if split not in config.exclude_splits
    }
    return read_labels(
        by_split,
        label_key,
        config,
        schema=schema,
        sample_rates=_sample_rates(statistics),
    )


def _sample_rates(statistics: artifact.Artifact) -> dict[str, float]:
    """Returns what StatisticsGen says that it sampled; empty if it says nothing."""
    value = statistics.get_json_value_custom_property(
        statistics_gen.SAMPLE_RATE_BY_SPLIT_PROPERTY_NAME
    )
    # StatisticsGen writes JSON text into the JSON property.
    return (json.loads(value) if isinstance(value, str) else value) or {}


def _read_schema(source: artifact.Artifact | None) -> schema_pb2.Schema | None:
    if source is None:
        return None
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(source.uri))
