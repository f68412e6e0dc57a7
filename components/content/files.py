# SPDX-License-Identifier: Apache-2.0
"""Finds the files of examples artifacts, and refuses those that cannot be read."""

from collections.abc import Sequence

from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils

from components.errors import InputError

PAYLOAD = "FORMAT_TF_EXAMPLE"
"""What a record must be: a serialized tf.train.Example."""
FILE_FORMAT = "tfrecords_gzip"
"""How the records must be stored."""


def split_names(examples: artifact.Artifact) -> list[str]:
    """Returns the names of an artifact's splits.

    Raises:
      InputError: If it holds anything but tf.train.Examples in TFRecord files.
    """
    payload = examples_utils.get_payload_format_string(examples)
    file_format = examples_utils.get_file_format(examples)
    if (payload, file_format) != (PAYLOAD, FILE_FORMAT):
        raise InputError(
            f"{examples.uri}: examples must be {PAYLOAD} in {FILE_FORMAT}, but "
            f"these are {payload} in {file_format}; have the ExampleGen write "
            "tf.train.Example into TFRecord files"
        )
    return list(artifact_utils.decode_split_names(examples.split_names))


def split_files(examples: Sequence[artifact.Artifact], split: str) -> list[str]:
    """Returns the paths of the files of one split, in a fixed order.

    Args:
      examples: Artifacts that all have the split.
      split: Name of the split.
    """
    patterns = examples_utils.get_split_file_patterns(list(examples), split)
    return sorted(path for pattern in patterns for path in fileio.glob(pattern))
