# SPDX-License-Identifier: Apache-2.0
"""Reads the records of a run and writes its report."""

import logging
from typing import Any

from tfx.dsl.components.base import base_executor

from components import artifact_io
from components.artifact_io import InputDict, OutputDict
from components.report.inputs import DEFAULT_TITLE, ReportInputs
from components.report.reading import read_data_inputs, read_inputs
from components.report.render import render_report

REPORT_FILE = "report.html"
VERDICT_FILE = "verdict.json"

_LOGGER = logging.getLogger("components.report")


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
            `class_weights`, `pushed_model`, `class_balance_findings`,
            `leakage_findings` and `feature_findings`.
          output_dict: `report`, one `GuardReport`.
          exec_properties: `title`, the heading of the page.
        """
        _write(read_inputs(input_dict, _title(exec_properties)), output_dict)


class DataExecutor(base_executor.BaseExecutor):
    """Executor of the `DataReport` component."""

    def Do(
        self,
        input_dict: InputDict,
        output_dict: OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `report.html` and `verdict.json`.

        The report comes out whatever happened before. Findings that cannot be
        read are the blocking finding `check_failed`.

        Args:
          input_dict: Any of `class_balance_findings`, `leakage_findings`,
            `feature_findings` and `class_weights`.
          output_dict: `report`, one `GuardReport`.
          exec_properties: `title`, the heading of the page.
        """
        _write(read_data_inputs(input_dict, _title(exec_properties)), output_dict)


def _title(exec_properties: dict[str, Any]) -> str:
    return exec_properties.get("title") or DEFAULT_TITLE


def _write(inputs: ReportInputs, output_dict: OutputDict) -> None:
    report = artifact_io.single(output_dict, "report")
    artifact_io.write_text(report.uri, REPORT_FILE, render_report(inputs))
    artifact_io.write_text(
        report.uri, VERDICT_FILE, inputs.verdict.model_dump_json(indent=2)
    )
    _LOGGER.info("Report of %s: %s/%s", inputs.verdict, report.uri, REPORT_FILE)
