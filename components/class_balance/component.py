# SPDX-License-Identifier: Apache-2.0
"""Declares the class balance validator."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.artifacts import ClassWeights, GuardFindings
from components.class_balance.config import ClassBalanceConfig
from components.class_balance.executor import Executor
from components.code_version import code_sha256
from components.errors import InputError


class ClassBalanceValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of `ClassBalanceValidator`."""

    PARAMETERS = {
        "label_key": component_spec.ExecutionParameter(type=str),
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
    }
    OUTPUTS = {
        "findings": component_spec.ChannelParameter(type=GuardFindings),
        "class_weights": component_spec.ChannelParameter(type=ClassWeights),
        "anomalies": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies
        ),
    }


class ClassBalanceValidator(base_component.BaseComponent):
    """Finds classes that are missing or rare, and weighs classes for the loss.

    Reads the statistics that StatisticsGen computed, never the examples, and, if
    given, the classes that the schema lists. Writes

    - `findings` (`GuardFindings`): causes `missing_class`, `class_imbalance`,
      `insufficient_evidence`, `train_eval_skew` where the classes are distributed
      unlike in the training split, `schema_anomaly` where labels are absent or
      unknown, and `check_failed` where they were not counted;
    - `class_weights` (`ClassWeights`): all classes in the order of the model's
      outputs, their counts, weights and priors in the training split;
    - `anomalies` (`ExampleAnomalies`): the findings by split, as ExampleValidator
      would write them.

    TFDV counts the values of an integer label only if it is told to:

        statistics_gen = StatisticsGen(
            examples=example_gen.outputs["examples"],
            stats_options=label_statistics_options("label"),
        )
        class_balance = ClassBalanceValidator(
            statistics=statistics_gen.outputs["statistics"], label_key="label"
        )

    with `label_statistics_options` from `components.class_balance.statistics`.
    """

    SPEC_CLASS = ClassBalanceValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: channel.BaseChannel,
        label_key: str,
        schema: channel.BaseChannel | None = None,
        config: ClassBalanceConfig | None = None,
    ):
        """Declares one class balance validator.

        Args:
          statistics: Channel of type `ExampleStatistics`.
          label_key: Name of the label feature: integers or texts, one per example, or
            one-hot integers.
          schema: Channel of type `Schema`; adds the classes that it lists.
          config: Limits and weighting; the defaults if None.

        Raises:
          InputError: If `label_key` is empty.
        """
        if not label_key:
            raise InputError(
                "ClassBalanceValidator: expected the name of the label in "
                "`label_key`, but it is empty; name the label's column"
            )
        super().__init__(
            ClassBalanceValidatorSpec(
                code_sha256=code_sha256(),
                statistics=statistics,
                schema=schema,
                label_key=label_key,
                config=(config or ClassBalanceConfig()).to_json(),
                findings=channel.Channel(type=GuardFindings),
                class_weights=channel.Channel(type=ClassWeights),
                anomalies=channel.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
