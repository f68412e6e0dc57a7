# SPDX-License-Identifier: Apache-2.0
"""The checks of the data guards over data to judge, without TFX.

They are those of ClassBalanceValidator, FeatureValidator and LeakageValidator, over
the same statistics and passes as in the pipeline.
"""

import os
import tempfile
from collections.abc import Callable

import apache_beam as beam
from absl import logging
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from components.class_balance import validation as class_balance_checks
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.statistics import label_statistics_options
from components.errors import InputError
from components.feature_validator import validation as feature_checks
from components.feature_validator.config import FeatureConfig
from components.findings import Finding, failed_check
from components.judging.data import statistics
from components.judging.data.source import JudgedData
from components.judging.data.statistics import Statistics
from components.leakage import validation as leakage_checks
from components.leakage.config import LeakageConfig
from components.leakage.preconditions import require_split
from components.leakage.search import Search


def find(
    data: JudgedData,
    *,
    class_balance: ClassBalanceConfig | None = None,
    features: FeatureConfig | None = None,
    leakage: LeakageConfig | None = None,
    folder: str | None = None,
) -> tuple[Finding, ...]:
    """Runs all data guards.

    Args:
      data: What the model was trained on, and what decides.
      class_balance: Limits; the defaults if None.
      features: Limits; the data say which features are inputs, unless they do.
      leakage: Limits; the data say what is no content, and which the picture.
      folder: Where to write the pictures of the evidence; None writes none.

    Returns:
      The findings. A guard that raises becomes a finding that blocks.

    Raises:
      InputError: If the data cannot be used, or a configuration names what they do
        not have.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-guard-") as temporary:
        guards = _Guards(data, temporary, folder or os.path.join(temporary, "shown"))
        return (
            *_guarded(
                "statistics of the data",
                lambda: guards.judge_statistics(
                    class_balance or ClassBalanceConfig(), features or FeatureConfig()
                ),
            ),
            *_guarded(
                "LeakageValidator",
                lambda: guards.judge_leakage(leakage or LeakageConfig()),
            ),
        )


class _Guards:
    def __init__(self, data: JudgedData, folder: str, evidence: str):
        self._data = data
        self._folder = folder
        self._evidence = evidence

    def judge_statistics(
        self, class_balance: ClassBalanceConfig, features: FeatureConfig
    ) -> list[Finding]:
        """Runs the guards that look at statistics."""
        options = label_statistics_options(
            self._data.label_key, num_classes=len(self._data.labels)
        )
        protos = statistics.compute(
            self._data.files, options, self._folder, _make_pipeline
        )
        return [
            *_guarded(
                "ClassBalanceValidator",
                lambda: self._judge_classes(protos, class_balance),
            ),
            *_guarded(
                "FeatureValidator", lambda: self._judge_features(protos, features)
            ),
        ]

    def judge_leakage(self, config: LeakageConfig) -> list[Finding]:
        """Runs the guard that looks at the examples."""
        data = self._data
        config = config.model_copy(
            update={
                "ignore": tuple(dict.fromkeys((*data.no_input, *config.ignore))),
                "image": config.image or data.image_key,
            }
        )
        require_split(config.reference_split, list(data.files))
        search = Search(
            _make_pipeline,
            data.files,
            data.label_key,
            config,
            os.path.join(self._folder, "leakage"),
        )
        # Rows are stored as they came; `fit` shuffles arrays, TFX what it reads.
        return leakage_checks.validate(
            search, data.label_key, config, self._evidence, in_order=False
        )

    def _judge_classes(
        self, protos: Statistics, config: ClassBalanceConfig
    ) -> list[Finding]:
        looked_at = {
            split: proto
            for split, proto in protos.items()
            if split not in config.exclude_splits
        }
        labels = class_balance_checks.read_labels(
            looked_at, self._data.label_key, config
        )
        return class_balance_checks.run_checks(labels, config)

    def _judge_features(
        self, protos: Statistics, config: FeatureConfig
    ) -> list[Finding]:
        data = self._data
        feature_checks.check_splits(list(protos), config)
        inputs = config.features or data.input_features
        config = config.model_copy(
            update={
                "label_key": data.label_key,
                "image": config.image or data.image_key,
                "features": inputs,
                "ignore": tuple(dict.fromkeys((*data.no_input, *config.ignore))),
            }
        )
        looked_at = {
            split: proto
            for split, proto in protos.items()
            if split not in config.exclude_splits
        }
        schema = statistics.infer_schema(protos)
        anomalies = feature_checks.find_anomalies(looked_at, schema)
        return feature_checks.validate(looked_at, anomalies, config)


def _guarded(name: str, step: Callable[[], list[Finding]]) -> list[Finding]:
    """Runs a guard; one that raises is a blocking finding, never a pass."""
    try:
        return list(step())
    except InputError:
        raise
    except Exception as error:
        logging.exception("%s failed", name)
        return [failed_check(name, error)]


def _make_pipeline() -> beam.Pipeline:
    # The plain DirectRunner first tries to download another engine.
    return beam.Pipeline(runner=FnApiRunner())
