# SPDX-License-Identifier: Apache-2.0
"""Moves artifacts in and out of the leakage validator."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from absl import logging
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from components import artifact_io
from components.anomalies import by_split, write_anomalies
from components.errors import InputError
from components.findings import Finding, Verdict, failed_check
from components.leakage import core, preconditions
from components.leakage.config import LeakageConfig
from components.leakage.summary import Summary
from components.leakage.transforms import SummarizeExamples

_SUMMARY_FILE = "leakage_summary.json"
_PAYLOAD, _FILE_FORMAT = "FORMAT_TF_EXAMPLE", "tfrecords_gzip"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Counts equal examples with Beam and judges the counts."""

    def Do(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the findings and the anomalies of all splits.

        Args:
          input_dict: `examples`, one or more artifacts with the same splits, and
            optionally one `schema`.
          output_dict: `findings` and `anomalies`.
          exec_properties: `label_key`, and `config`, a `LeakageConfig` as JSON.

        Raises:
          InputError: If the examples cannot be read, or do not have what the
            configuration names.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = LeakageConfig.from_json(exec_properties["config"])
        label_key = exec_properties["label_key"]
        examples = input_dict["examples"]
        splits = _splits(examples)
        preconditions.require_split(config.reference_split, splits)
        if schema := artifact_io.optional(input_dict, "schema"):
            _require_in_schema(schema, label_key, config)

        verdict = Verdict.of(self._check(examples, splits, label_key, config))

        artifact_io.write_findings(artifact_io.single(output_dict, "findings"), verdict)
        write_anomalies(
            artifact_io.single(output_dict, "anomalies"),
            by_split(verdict.findings, splits),
            span=max(each.span for each in examples),
        )
        logging.info("Leakage between %s: %s", ", ".join(splits), verdict)

    def _check(
        self,
        examples: Sequence[artifact.Artifact],
        splits: Sequence[str],
        label_key: str,
        config: LeakageConfig,
    ) -> Iterable[Finding]:
        """Counts and judges; what cannot be counted blocks."""
        try:
            summary = self._summarize(examples, splits, label_key, config)
        except InputError:
            raise
        except Exception as error:
            logging.exception("The examples could not be counted.")
            return [failed_check(core.CHECK, error)]
        return core.judge(summary, label_key, config)

    def _summarize(
        self,
        examples: Sequence[artifact.Artifact],
        splits: Sequence[str],
        label_key: str,
        config: LeakageConfig,
    ) -> Summary:
        """Counts with Beam, whose one result travels through a temporary file."""
        folder = self._get_tmp_dir()
        files = {split: _files(examples, split) for split in splits}
        try:
            with self._make_beam_pipeline() as pipeline:
                _ = (
                    {split: _read(pipeline, split, files[split]) for split in splits}
                    | "SummarizeExamples"
                    >> SummarizeExamples(
                        label_key,
                        ignore=config.ignore,
                        reference_split=config.reference_split,
                        max_groups=config.max_evidence,
                    )
                    | "WriteSummary"
                    >> beam.io.WriteToText(
                        os.path.join(folder, _SUMMARY_FILE),
                        num_shards=1,
                        shard_name_template="",
                    )
                )
        except Exception as error:
            for split in splits:
                if f"[while running '{_read_label(split)}" in str(error):
                    raise _unreadable(split, files[split], error) from error
            raise
        return Summary.from_json(artifact_io.read_text(folder, _SUMMARY_FILE))


def _splits(examples: Sequence[artifact.Artifact]) -> list[str]:
    """Returns the names of the splits, which all artifacts must share."""
    names = {
        each.uri: artifact_utils.decode_split_names(each.split_names)
        for each in examples
    }
    first = next(iter(names.values()))
    for each in examples:
        if set(names[each.uri]) != set(first):
            raise InputError(
                f"{each.uri}: all examples must have the splits {first}, but these "
                f"have {names[each.uri]}; make them with the same output "
                "configuration"
            )
        payload = examples_utils.get_payload_format_string(each)
        file_format = examples_utils.get_file_format(each)
        if (payload, file_format) != (_PAYLOAD, _FILE_FORMAT):
            raise InputError(
                f"{each.uri}: examples must be {_PAYLOAD} in {_FILE_FORMAT}, but "
                f"these are {payload} in {file_format}; have the ExampleGen write "
                "tf.train.Example into TFRecord files"
            )
    return first


def _files(examples: Sequence[artifact.Artifact], split: str) -> list[str]:
    """Returns the split's file patterns that match some file."""
    patterns = examples_utils.get_split_file_patterns(list(examples), split)
    return [pattern for pattern in patterns if fileio.glob(pattern)]


def _read(
    pipeline: beam.Pipeline, split: str, patterns: Sequence[str]
) -> beam.PCollection:
    """Reads the records of a split; none where there are no files."""
    return (
        pipeline
        | f"ListFiles[{split}]" >> beam.Create(patterns)
        | _read_label(split) >> beam.io.ReadAllFromTFRecord()
    )


def _read_label(split: str) -> str:
    return f"ReadExamples[{split}]"


def _unreadable(split: str, files: Sequence[str], error: Exception) -> InputError:
    reason = str(error).split(" [while running")[0].strip().splitlines()[-1]
    return InputError(
        f"split {split!r} in {', '.join(files)}: expected whole TFRecord files, but "
        f"reading failed: {reason[:300]}; make the examples again"
    )


def _require_in_schema(
    schema: artifact.Artifact, label_key: str, config: LeakageConfig
) -> None:
    """Refuses names that the schema does not have, before any example is read."""
    path = io_utils.get_only_uri_in_dir(schema.uri)
    names = tuple(each.name for each in io_utils.SchemaReader().read(path).feature)
    preconditions.require_features(names, label_key, config)
