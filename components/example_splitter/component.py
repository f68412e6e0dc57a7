# SPDX-License-Identifier: Apache-2.0
"""Declares the example splitter."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.code_version import code_sha256
from components.errors import InputError
from components.example_splitter.config import SplitConfig
from components.example_splitter.executor import Executor


class ExampleSplitterSpec(component_spec.ComponentSpec):
    """What the example splitter takes and gives."""

    PARAMETERS = {
        "label_key": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        # A key stands for one channel only, and `examples` is what comes out.
        "unsplit_examples": component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
    }
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class ExampleSplitter(base_beam_component.BaseBeamComponent):
    """Sets examples apart for evaluation in such a way that nothing can leak.

    Reads the examples of all splits, normally the single one that an ExampleGen
    wrote, and writes them again in two: equal contents, or the examples of one
    group, are never torn apart, or evaluation is newer than training. Records are
    kept byte for byte.

    ```python
    splitter = ExampleSplitter(
        examples=example_gen.outputs["examples"],
        label_key="label",
        config=SplitConfig(by="group", group="patient"),
    )
    statistics_gen = StatisticsGen(examples=splitter.outputs["examples"])
    ```

    Component `outputs` contains:
      - `examples`: Channel of type `standard_artifacts.Examples`, with the splits
        `train` and `eval`.
    """

    SPEC_CLASS = ExampleSplitterSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        label_key: str,
        config: SplitConfig | None = None,
    ):
        """Wires the component.

        Args:
          examples: Channel of `standard_artifacts.Examples`: tf.train.Example in
            TFRecord files, in any splits.
          label_key: Name of the label feature, integer or text.
          config: How to split; by content if None.

        Raises:
          InputError: If `label_key` is empty, or also what to split by.
        """
        config = config or SplitConfig()
        if not label_key or label_key in (config.image, *config.no_content):
            raise InputError(
                "ExampleSplitter: expected in `label_key` the name of a feature that "
                "is neither image, group, time nor ignored, but it is "
                f"{label_key!r}; name the label's column"
            )
        super().__init__(
            spec=ExampleSplitterSpec(
                code_sha256=code_sha256(),
                unsplit_examples=examples,
                label_key=label_key,
                config=config.to_json(),
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
