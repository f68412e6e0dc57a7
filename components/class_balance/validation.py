# SPDX-License-Identifier: Apache-2.0
"""From TFDV's statistics to findings about the classes, without TFX."""

from collections.abc import Mapping

from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from components.class_balance import core
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.domain import read_label_domain
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.quantity import refuse_quantity
from components.class_balance.statistics import read_label_counts, read_label_slices
from components.class_balance.wording import FOUND_BY
from components.errors import InputError
from components.findings import Finding, failed_check
from components.labels import LabelValue


def read_labels(
    statistics: Mapping[str, DatasetFeatureStatisticsList],
    label_key: str,
    config: ClassBalanceConfig,
    *,
    schema: schema_pb2.Schema | None = None,
    sample_rates: Mapping[str, float] | None = None,
) -> LabelDistribution:
    """Reads the labels of all splits that are looked at.

    Args:
      statistics: TFDV's statistics by split, without those that are excluded.
      label_key: Name of the label feature.
      config: The limits.
      schema: What lists the classes, if anything does.
      sample_rates: See `read_label_counts`.

    Raises:
      InputError: If a split is empty or has no such label, or the label is a quantity.
    """
    counts = read_label_counts(statistics, label_key, sample_rates)
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
        slices=read_label_slices(statistics, label_key),
    )
    refuse_quantity(labels, config.train_split)
    return labels


def run_checks(labels: LabelDistribution, config: ClassBalanceConfig) -> list[Finding]:
    """Runs all checks; one that raises is a blocking finding, never a pass."""
    findings: list[Finding] = []
    for check in core.CHECKS:
        try:
            findings.extend(check(labels, config))
        except InputError:
            raise
        except Exception as error:
            logging.exception("%s failed", check.__name__)
            findings.append(failed_check(f"{FOUND_BY}.{check.__name__}", error))
    return findings


def _domain(
    schema: schema_pb2.Schema | None, label_key: str, counts: tuple[LabelCounts, ...]
) -> tuple[LabelValue, ...]:
    # The domain of a one-hot label lists 0 and 1, not the classes.
    if schema is None or any(split.one_hot for split in counts):
        return ()
    return read_label_domain(schema, label_key)
