# SPDX-License-Identifier: Apache-2.0
"""Declares the ExampleGen for pictures."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.code_version import code_sha256
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.driver import Driver
from components.image_example_gen.executor import Executor
from components.image_example_gen.folder import check_base


class ImageExampleGenSpec(component_spec.ComponentSpec):
    """What the ExampleGen for pictures takes and gives."""

    PARAMETERS = {
        "input_base": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Turns a folder with one sub-folder of pictures per class into examples.

    Reads JPEG, PNG, BMP, GIF and WebP files, and writes one tf.train.Example each:
    the encoded picture, its class (the name of the folder), its path, and what a CSV
    file says about it. Folders `train` and `eval` above the classes become splits;
    otherwise there is one split, `all`, for an ExampleSplitter to divide:

    ```python
    example_gen = ImageExampleGen(
        input_base="photos/",
        config=ImageExampleGenConfig(metadata="photos/metadata.csv"),
    )
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    ```

    Component `outputs` contains:
      - `examples`: Channel of type `standard_artifacts.Examples`, as every ExampleGen
        writes them; beside the splits lies `image_example_gen.json`, which counts and
        names what was rewritten, skipped or left out.
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, input_base: str, config: ImageExampleGenConfig | None = None):
        """Declares one ExampleGen.

        Args:
          input_base: The folder, local or mounted.
          config: Names of the features and limits; the defaults if None.

        Raises:
          InputError: If `input_base` is empty or a URL.
        """
        check_base(input_base)
        super().__init__(
            ImageExampleGenSpec(
                code_sha256=code_sha256(),
                input_base=input_base,
                config=(config or ImageExampleGenConfig()).to_json(),
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
