# SPDX-License-Identifier: Apache-2.0
"""Lets TFX's cache see whether the pictures have changed."""

import copy

from tfx.components.example_gen import driver
from tfx.orchestration import data_types_utils
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.folder import fingerprint

_FINGERPRINT, _SPAN = "input_fingerprint", "span"


class Driver(driver.Driver):
    """Adds a fingerprint of the files to what the cache compares.

    TFX's own driver adds numbers of files, bytes and seconds up, and finds files by
    patterns of a fixed depth: it sees neither a picture that is moved to the folder
    of another class nor one in a folder below it.
    """

    def run(
        self, execution_info: data_types.ExecutionInfo
    ) -> driver_output_pb2.DriverOutput:
        """Returns the fingerprint as a property of the execution and the examples."""
        properties = dict(execution_info.exec_properties)
        config = ImageExampleGenConfig.from_json(properties["config"])
        properties[_FINGERPRINT] = fingerprint(
            properties["input_base"], config.metadata
        )
        properties[_SPAN] = 0
        output = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            data_types_utils.set_metadata_value(output.exec_properties[name], value)
        examples = copy.deepcopy(
            execution_info.output_dict["examples"][0].mlmd_artifact
        )
        custom = examples.custom_properties
        custom[_FINGERPRINT].string_value = properties[_FINGERPRINT]
        custom[_SPAN].int_value = properties[_SPAN]
        output.output_artifacts["examples"].artifacts.append(examples)
        return output
