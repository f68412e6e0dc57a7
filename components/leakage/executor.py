# SPDX-License-Identifier: Apache-2.0
"""Moves artifacts in and out of the leakage validator."""

import os
import uuid
from collections.abc import Sequence
from typing import Any

from absl import logging
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from components import artifact_io
from components.anomalies import by_split, write_anomalies
from components.content.files import FILE_FORMAT, split_files, split_names
from components.errors import InputError
from components.findings import Verdict
from components.leakage import preconditions
from components.leakage.config import LeakageConfig
from components.leakage.search import Search
from components.leakage.validation import validate


class Executor(base_beam_executor.BaseBeamExecutor):
    """Counts with Beam what the splits share, and judges the counts."""

    def Do(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the findings, the anomalies of all splits, and the clean examples.

        Args:
          input_dict: `all_examples`, one or more artifacts with the same splits, and
            optionally one `schema`.
          output_dict: `findings` and `anomalies`; for quarantine, `examples`.
          exec_properties: `label_key`, and `config`, a `LeakageConfig` as JSON.

        Raises:
          InputError: If the examples cannot be read, or do not have what the
            configuration names.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = LeakageConfig.from_json(exec_properties["config"])
        label_key = exec_properties["label_key"]
        examples = input_dict["all_examples"]
        splits = _splits(examples)
        preconditions.require_split(config.reference_split, splits)
        if schema := artifact_io.optional(input_dict, "schema"):
            _require_in_schema(schema, label_key, config)
        findings = artifact_io.single(output_dict, "findings")

        search = Search(
            self._make_beam_pipeline,
            {split: split_files(examples, split) for split in splits},
            label_key,
            config,
            # Of its own: a folder that an earlier attempt has left holds other files.
            os.path.join(self._get_tmp_dir(), uuid.uuid4().hex),
        )
        clean = artifact_io.optional(output_dict, "examples")
        verdict = Verdict.of(
            validate(
                search,
                label_key,
                config,
                findings.uri,
                None if clean is None else _split_folders(clean, examples, splits),
            )
        )

        artifact_io.write_findings(findings, verdict)
        write_anomalies(
            artifact_io.single(output_dict, "anomalies"),
            by_split(verdict.findings, splits),
            span=max(each.span for each in examples),
        )
        logging.info("Leakage between %s: %s", ", ".join(splits), verdict)


def _split_folders(
    clean: artifact.Artifact, examples: Sequence[artifact.Artifact], splits: list[str]
) -> dict[str, str]:
    """Describes the clean examples like those that came; returns their folders."""
    clean.split_names = artifact_utils.encode_split_names(splits)
    clean.span = max(each.span for each in examples)
    examples_utils.set_payload_format(
        clean, examples_utils.get_payload_format(examples[0])
    )
    examples_utils.set_file_format(clean, FILE_FORMAT)
    return {split: artifact_utils.get_split_uri([clean], split) for split in splits}


def _splits(examples: Sequence[artifact.Artifact]) -> list[str]:
    """Returns the names of the splits, which all artifacts must share."""
    names = {each.uri: split_names(each) for each in examples}
    first = next(iter(names.values()))
    for uri, came in names.items():
        if set(came) != set(first):
            raise InputError(
                f"{uri}: all examples must have the splits {first}, but these have "
                f"{came}; make them with the same output configuration"
            )
    return first


def _require_in_schema(
    schema: artifact.Artifact, label_key: str, config: LeakageConfig
) -> None:
    """Refuses names that the schema does not have, before any example is read."""
    path = io_utils.get_only_uri_in_dir(schema.uri)
    names = tuple(each.name for each in io_utils.SchemaReader().read(path).feature)
    preconditions.require_features(names, label_key, config)
