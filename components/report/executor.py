# SPDX-License-Identifier: Apache-2.0
"""Reads the records of a run and writes its report."""

import logging
from typing import Any, TypeVar

from tfx.dsl.components.base import base_executor
from tfx.types import artifact

from components import artifact_io, findings
from components.artifact_io import InputDict, OutputDict
from components.findings import Verdict
from components.labels import ClassTable
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.evaluation import EVALUATION_FILE, EvaluationRecord
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord
from components.report.inputs import DEFAULT_TITLE, Push, ReportInputs
from components.report.render import render_report
from components.settings import Settings

REPORT_FILE = "report.html"
VERDICT_FILE = "verdict.json"

_LOGGER = logging.getLogger("components.report")
_LONGEST_REASON = 500
_SettingsT = TypeVar("_SettingsT", bound=Settings)


class Executor(base_executor.BaseExecutor):
    """Executor of the `Report` component."""

    def Do(
        self,
        input_dict: InputDict,
        output_dict: OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `report.html` and `verdict.json`.

        The report comes out whatever happened before: a record that cannot be
        read is named on the page. Without a readable blessing, the verdict is
        the blocking finding `check_failed`.

        Args:
          input_dict: `blessing`, and optionally `evaluation`, `model_run`,
            `class_weights` and `pushed_model`.
          output_dict: `report`, one `GuardReport`.
          exec_properties: `title`, the heading of the page.
        """
        inputs = read_inputs(input_dict, exec_properties.get("title") or DEFAULT_TITLE)
        report = artifact_io.single(output_dict, "report")
        artifact_io.write_text(report.uri, REPORT_FILE, render_report(inputs))
        artifact_io.write_text(
            report.uri, VERDICT_FILE, inputs.verdict.model_dump_json(indent=2)
        )
        _LOGGER.info("Report of %s: %s/%s", inputs.verdict, report.uri, REPORT_FILE)


def read_inputs(input_dict: InputDict, title: str) -> ReportInputs:
    """Reads what can be read of a run's artifacts, and notes what cannot.

    Args:
      input_dict: As in `Executor.Do`; here every artifact may be absent.
      title: Heading of the page.
    """
    unreadable: dict[str, str] = {}

    def read(
        part: str, key: str, name: str, record: type[_SettingsT]
    ) -> _SettingsT | None:
        source = artifact_io.optional(input_dict, key)
        if source is None:
            return None
        try:
            return record.from_json(artifact_io.read_text(source.uri, name))
        except Exception as error:
            _LOGGER.exception("The report goes without %s of %s.", name, source.uri)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            unreadable[part] = reason[:_LONGEST_REASON]
            return None

    blessing = read("blessing", "blessing", BLESSING_FILE, Blessing)
    pushed_model = artifact_io.optional(input_dict, "pushed_model")
    return ReportInputs(
        verdict=blessing.verdict if blessing else _undecided(unreadable),
        title=title,
        blessing=blessing,
        evaluation=read("evaluation", "evaluation", EVALUATION_FILE, EvaluationRecord),
        training=read("training", "model_run", TRAINING_RECORD_FILE, TrainingRecord),
        classes=read(
            "classes", "class_weights", artifact_io.CLASS_WEIGHTS_FILE, ClassTable
        ),
        push=_push(pushed_model) if pushed_model else None,
        unreadable=unreadable,
    )


def _undecided(unreadable: dict[str, str]) -> Verdict:
    """Blocks: what nobody decided is not good."""
    reason = unreadable.get("blessing", "the run has no blessing")
    message = f"The decision on the model could not be read: {reason}"
    return Verdict.of([findings.find("check_failed", message, found_by="report")])


def _push(pushed_model: artifact.Artifact) -> Push:
    return Push(
        pushed=pushed_model.get_int_custom_property("pushed") == 1,
        version=pushed_model.get_string_custom_property("pushed_version"),
        destination=pushed_model.get_string_custom_property("pushed_destination"),
        reason=pushed_model.get_string_custom_property("reason"),
    )
