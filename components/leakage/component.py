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
        # A key stands for one channel only, and `examples` is what comes out.
        "all_examples": component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        "schema": component_spec.ChannelParameter(
            type=standard_artifacts.Schema, optional=True
        ),
    }
    OUTPUTS = {
        "findings": component_spec.ChannelParameter(type=GuardFindings),
        "anomalies": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies
        ),
        "examples": component_spec.ChannelParameter(
            type=standard_artifacts.Examples, optional=True
        ),
    }


class LeakageValidator(base_beam_component.BaseBeamComponent):
    """Finds what lets a model look better on the other splits than it is.

    Reads the examples of all splits with Beam, two to four times, and writes the
    findings, the same as TFDV anomalies, and on request the examples without those
    that leak:

    ```python
    leakage = LeakageValidator(
        examples=example_gen.outputs["examples"],
        label_key="species",
        config=LeakageConfig(ignore=("image_path",), group="nest", quarantine=True),
    )
    statistics_gen = StatisticsGen(examples=leakage.outputs["examples"])
    ```

    Causes that block: `duplicate_leakage`, `near_duplicate_leakage`,
    `group_leakage`, `temporal_leakage`, `label_leakage`, `insufficient_evidence`,
    `check_failed`. Causes that warn: `conflicting_labels`, `low_variance` of
    pictures, `schema_anomaly`.

    Component `outputs` contains:
      - `findings`: Channel of type `components.artifacts.GuardFindings`; under its
        uri also lie `pictures/<digest>.png`, which the evidence names.
      - `anomalies`: Channel of type `standard_artifacts.ExampleAnomalies`.
      - `examples`: Channel of type `standard_artifacts.Examples`, the same splits;
        only with `LeakageConfig(quarantine=True)`.
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
        config = config or LeakageConfig()
        clean = types.Channel(type=standard_artifacts.Examples)
        super().__init__(
            spec=LeakageValidatorSpec(
                code_sha256=code_sha256(),
                all_examples=examples,
                schema=schema,
                label_key=label_key,
                config=config.to_json(),
                findings=types.Channel(type=GuardFindings),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
                examples=clean if config.quarantine else None,
            )
        )
