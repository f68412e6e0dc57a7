# SPDX-License-Identifier: Apache-2.0
"""Moves artifacts in and out of the example splitter."""

import json
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from absl import logging
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact, artifact_utils

from components import artifact_io
from components.content.files import (
    FILE_FORMAT,
    PAYLOAD,
    split_files,
    split_names,
)
from components.content.records import DAMAGED, RECORDS, Damage, ReadRecords
from components.errors import InputError
from components.example_splitter import transforms
from components.example_splitter.config import SplitConfig
from components.example_splitter.plan import ClassSplit, Plan
from components.example_splitter.survey import (
    Survey,
    Trouble,
    classes_without_eval,
    make_plan,
    require_good,
)

_SURVEY_FILE, _DAMAGE_FILE = "survey.json", "damage.json"
_COPIED = ("span", "version", "input_fingerprint")
"""Custom properties by which TFX tells where examples come from."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Surveys the examples with Beam, plans the split, and writes it with Beam."""

    def Do(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the examples again, in two splits.

        Args:
          input_dict: `unsplit_examples`, one or more artifacts, of any splits.
          output_dict: `examples`.
          exec_properties: `label_key`, and `config`, a `SplitConfig` as JSON.

        Raises:
          InputError: If the examples cannot be read, lack what they are to be split
            by, or cannot be in both splits. Nothing is written then.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = SplitConfig.from_json(exec_properties["config"])
        label_key = exec_properties["label_key"]
        examples = input_dict["unsplit_examples"]
        files = _files(examples)

        survey = self._survey(files, label_key, config)
        require_good(survey, label_key, config)
        plan = make_plan(survey, config)

        output = artifact_io.single(output_dict, "examples")
        self._write(files, label_key, config, plan, output)
        _describe(output, examples, config)
        if without := classes_without_eval(survey.classes):
            logging.warning(
                "Too few to be in both splits, all in %s: %d classes, such as %s",
                config.train_split,
                len(without),
                ", ".join(without[:5]),
            )
        logging.info("Split %d examples by %s", survey.num_examples, config.by.value)

    def _survey(
        self, files: Sequence[str], label_key: str, config: SplitConfig
    ) -> Survey:
        """Surveys with Beam, whose results travel through temporary files."""
        folder = self._get_tmp_dir()
        with self._make_beam_pipeline() as pipeline:
            read = pipeline | "ReadExamples" >> ReadRecords(files)
            results = read[RECORDS] | "SurveyExamples" >> transforms.SurveyExamples(
                label_key, config
            )
            damage = read[DAMAGED] | "DamageAsJson" >> beam.Map(_damage_as_json)
            for name, lines in ((_SURVEY_FILE, results), (_DAMAGE_FILE, damage)):
                _ = lines | f"Write[{name}]" >> beam.io.WriteToText(
                    os.path.join(folder, name), num_shards=1, shard_name_template=""
                )
        _require_whole_files(artifact_io.read_text(folder, _DAMAGE_FILE))
        return _read_survey(artifact_io.read_text(folder, _SURVEY_FILE))

    def _write(
        self,
        files: Sequence[str],
        label_key: str,
        config: SplitConfig,
        plan: Plan,
        output: artifact.Artifact,
    ) -> None:
        """Writes both splits, as ExampleGen does but for the order: it stays."""
        with self._make_beam_pipeline() as pipeline:
            read = pipeline | "ReadExamples" >> ReadRecords(files)
            splits = read[RECORDS] | "SplitRecords" >> transforms.SplitRecords(
                label_key, config, plan
            )
            for name in (config.train_split, config.eval_split):
                folder = os.path.join(output.uri, f"Split-{name}")
                _ = splits[name] | f"Write[{name}]" >> beam.io.WriteToTFRecord(
                    os.path.join(folder, "data_tfrecord"), file_name_suffix=".gz"
                )


def _files(examples: Sequence[artifact.Artifact]) -> list[str]:
    """Returns the files of all splits."""
    return sorted(
        file
        for each in examples
        for split in split_names(each)
        for file in split_files([each], split)
    )


def _describe(
    output: artifact.Artifact,
    examples: Sequence[artifact.Artifact],
    config: SplitConfig,
) -> None:
    """Sets the properties that readers of examples look at."""
    output.split_names = artifact_utils.encode_split_names(
        [config.train_split, config.eval_split]
    )
    output.set_string_custom_property("payload_format", PAYLOAD)
    output.set_string_custom_property("file_format", FILE_FORMAT)
    newest = max(examples, key=lambda each: each.span or 0)
    output.span = newest.span or 0
    output.version = newest.version or 0
    for name in _COPIED:
        value = newest.get_custom_property(name)
        if isinstance(value, str):
            output.set_string_custom_property(name, value)
        elif value is not None:
            output.set_int_custom_property(name, int(value))


def _damage_as_json(damage: Damage) -> str:
    return json.dumps([damage.file, damage.position, damage.reason])


def _require_whole_files(text: str) -> None:
    damages = sorted(json.loads(line) for line in text.splitlines())
    if damages:
        file, position, reason = damages[0]
        raise InputError(
            f"{file}: expected a whole TFRecord file, but reading broke off at record "
            f"{position} ({reason}), as in {len(damages)} of the files; make the "
            "examples again"
        )


def _read_survey(text: str) -> Survey:
    """Sorts the results of the first pass, which come in any order."""
    found: dict[str, list[Any]] = {}
    for line in text.splitlines():
        kind, value = json.loads(line)
        found.setdefault(kind, []).append(value)
    return Survey(
        labels=dict(sorted(found.get(transforms.LABELS, ()))),
        classes=tuple(
            ClassSplit(
                each["label"],
                each["num_units"],
                each["num_eval"],
                tuple(map(bytes.fromhex, each["into_eval"])),
                tuple(map(bytes.fromhex, each["into_train"])),
            )
            for each in sorted(
                found.get(transforms.CLASSES, ()), key=lambda each: each["label"]
            )
        ),
        times=tuple(sorted(map(tuple, found.get(transforms.TIMES, ())))),
        troubles=tuple(
            Trouble(kind=kind, count=count, first=first)
            for kind, (count, first) in sorted(found.get(transforms.TROUBLES, ()))
        ),
    )
