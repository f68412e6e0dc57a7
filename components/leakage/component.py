# SPDX-License-Identifier: Apache-2.0
"""Declares the leakage validator."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import GuardFindings
from components.code_version import code_sha256
from components.leakage.config import LeakageConfig
from components.leakage.executor import Executor


class LeakageValidatorSpec(component_spec.ComponentSpec):
    """What the leakage validator takes and gives."""

    PARAMETERS = {
        "label_key": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(
            type=standard_artifacts.Schema, optional=True
        ),
    }
    OUTPUTS = {
        "findings": component_spec.ChannelParameter(type=GuardFindings),
        "anomalies": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies
        ),
    }


class LeakageValidator(base_beam_component.BaseBeamComponent):
    """Finds examples that stand in the training and in another split.

    Reads the examples of all splits in one Beam pass and groups them by content.
    Writes the findings (`duplicate_leakage` blocks, `conflicting_labels` warns)
    and the same as TFDV anomalies:

    ```python
    leakage = LeakageValidator(
        examples=example_gen.outputs["examples"],
        label_key="species",
        config=LeakageConfig(ignore=("image_path",)),
    )
    ```

    Component `outputs` contains:
      - `findings`: Channel of type `components.artifacts.GuardFindings`.
      - `anomalies`: Channel of type `standard_artifacts.ExampleAnomalies`.
    """

    SPEC_CLASS = LeakageValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        label_key: str,
        schema: types.BaseChannel | None = None,
        config: LeakageConfig | None = None,
    ):
        """Wires the component.

        Args:
          examples: Channel of `standard_artifacts.Examples`: tf.train.Example in
            TFRecord files, in two or more splits.
          label_key: Name of the label feature, integer or text.
          schema: Channel of `standard_artifacts.Schema`. With it, a misspelt name
            of a feature is refused before any example is read.
          config: What to look for; the defaults if None.
        """
        super().__init__(
            spec=LeakageValidatorSpec(
                code_sha256=code_sha256(),
                examples=examples,
                schema=schema,
                label_key=label_key,
                config=(config or LeakageConfig()).to_json(),
                findings=types.Channel(type=GuardFindings),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
