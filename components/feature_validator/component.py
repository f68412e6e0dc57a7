# SPDX-License-Identifier: Apache-2.0
"""Declares the feature validator."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.artifacts import GuardFindings
from components.code_version import code_sha256
from components.feature_validator.config import FeatureConfig
from components.feature_validator.executor import Executor


class FeatureValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of `FeatureValidator`."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics
        ),
        "schema": component_spec.ChannelParameter(
            type=standard_artifacts.Schema, optional=True
        ),
        # Not `anomalies`: inputs and outputs share one set of names.
        "schema_anomalies": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies, optional=True
        ),
    }
    OUTPUTS = {
        "findings": component_spec.ChannelParameter(type=GuardFindings),
        "anomalies": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies
        ),
    }


class FeatureValidator(base_component.BaseComponent):
    """Finds features that cannot be learnt from, or that differ between the splits.

    Reads the statistics that StatisticsGen computed, never the examples, and what
    ExampleValidator found in them. Writes

    - `findings` (`GuardFindings`): causes `schema_anomaly`, `not_a_number`,
      `low_variance`, `unscaled_input` and `train_eval_skew`;
    - `anomalies` (`ExampleAnomalies`): the findings by split and feature, as
      ExampleValidator would write them.

        feature_validator = FeatureValidator(
            statistics=statistics_gen.outputs["statistics"],
            anomalies=example_validator.outputs["anomalies"],
            config=FeatureConfig(label_key="label", ignore=("id",)),
        )

    with `FeatureConfig` from `components.feature_validator.config`. StatisticsGen and
    ExampleValidator need no options of their own.
    """

    SPEC_CLASS = FeatureValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: channel.BaseChannel,
        schema: channel.BaseChannel | None = None,
        anomalies: channel.BaseChannel | None = None,
        config: FeatureConfig | None = None,
    ):
        """Declares one feature validator.

        Args:
          statistics: Channel of type `ExampleStatistics`.
          schema: Channel of type `Schema`; the statistics are validated against it,
            as ExampleValidator does it. Not used if `anomalies` are given.
          anomalies: Channel of type `ExampleAnomalies` from ExampleValidator.
          config: Which features are judged, and limits; the defaults if None.
        """
        super().__init__(
            FeatureValidatorSpec(
                code_sha256=code_sha256(),
                statistics=statistics,
                schema=schema,
                schema_anomalies=anomalies,
                config=(config or FeatureConfig()).to_json(),
                findings=channel.Channel(type=GuardFindings),
                anomalies=channel.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
