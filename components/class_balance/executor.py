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
from components.class_balance import core, weights
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.domain import read_label_domain
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.quantity import refuse_quantity
from components.class_balance.statistics import read_label_counts, read_label_slices
from components.class_balance.wording import FOUND_BY
from components.errors import InputError
from components.findings import Finding, Verdict, failed_check
from components.labels import LabelValue


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
        verdict = Verdict.of(_run_checks(labels, config))

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


def _run_checks(labels: LabelDistribution, config: ClassBalanceConfig) -> list[Finding]:
    """Runs all checks; one that raises is a blocking finding, never a pass."""
    findings = []
    for check in core.CHECKS:
        try:
            findings.extend(check(labels, config))
        except InputError:
            raise
        except Exception as error:
            logging.exception("%s failed", check.__name__)
            findings.append(failed_check(f"{FOUND_BY}.{check.__name__}", error))
    return findings


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
    counts = read_label_counts(by_split, label_key, _sample_rates(statistics))
    empty = [split.split for split in counts if not split.num_examples]
    if empty:
        raise InputError(
            f"split {', '.join(empty)}: expected examples, but there are none; check "
            "the data path and how the data are split"
        )
    labels = LabelDistribution(
        label_key=label_key,
        splits=counts,
        domain=_domain(schema, label_key, counts),
        slices=read_label_slices(by_split, label_key),
    )
    refuse_quantity(labels, config.train_split)
    return labels


def _domain(
    schema: schema_pb2.Schema | None, label_key: str, counts: tuple[LabelCounts, ...]
) -> tuple[LabelValue, ...]:
    # The domain of a one-hot label lists 0 and 1, not the classes.
    if schema is None or any(split.one_hot for split in counts):
        return ()
    return read_label_domain(schema, label_key)


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
