# SPDX-License-Identifier: Apache-2.0
"""What a command came to: one shape for a run, for a check, and for either told again.

The table, the JSON and the JUnit file are made from it, so that they cannot differ.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from components.errors import InputError
from components.findings import Verdict
from components.records.evaluation import CANDIDATE, EvaluationRecord
from components.records.training import Recalibration, Remedy
from components.settings import Settings

if TYPE_CHECKING:
    from components.judging.judgement import Judgement
    from pipeline.local_runner import RunResult

OUTCOME_FILE = "outcome.json"
"""Name of the record in the output folder of a run."""
VERDICT_FILE = "verdict.json"
"""Name of the verdict beside the report of a run."""
REPORT_FILE = "report.html"
"""Name of the report in the output folder of a run."""

_SHOWN = {
    "cause",
    "severity",
    "subject",
    "measured",
    "limit",
    "unit",
    "message",
    "remedy",
}


class Outcome(Settings):
    """What was decided on a model, with the numbers, and where things are."""

    format_version: Literal[1] = 1
    kind: Literal["run", "check"]
    """Whether the model was trained here, or trained elsewhere and judged only."""
    name: str
    """Name of the pipeline, or of the model's file."""
    blessed: bool
    """Whether the model is good to be used."""
    verdict: Verdict
    """What was found, the most likely root cause first."""
    evaluation: EvaluationRecord | None = None
    """What was measured; None where nothing could be."""
    remedies: tuple[Remedy, ...] = ()
    """What was changed while training, in the order of time."""
    recalibration: Recalibration | None = None
    """What became of BatchNorm's statistics; None where they were left alone."""
    not_run: tuple[str, ...] = ()
    """Checks that were left out, each with the reason, in one sentence."""
    not_looked_for: dict[str, str] = {}
    """Causes that nothing looked for, by id, each with the reason."""
    model: str | None = None
    """Folder of the published model after a run, None if nothing was published; the
    model that was judged after a check."""
    report: str | None = None
    """The HTML report; None where none was asked for."""
    seconds: float = pydantic.Field(default=0.0, ge=0)
    """Wall time."""


def of_run(
    name: str, result: "RunResult", not_looked_for: Mapping[str, str], seconds: float
) -> Outcome:
    """Gathers what a run of the pipeline came to."""
    training = result.training
    return Outcome(
        kind="run",
        name=name,
        blessed=result.blessed,
        verdict=result.verdict,
        evaluation=result.evaluation,
        remedies=training.remedies if training else (),
        recalibration=training.recalibration if training else None,
        not_looked_for=dict(not_looked_for),
        model=str(result.pushed) if result.pushed else None,
        report=str(result.report),
        seconds=seconds,
    )


def of_check(
    model: Path,
    judgement: "Judgement",
    not_looked_for: Mapping[str, str],
    report: Path | None,
    seconds: float,
) -> Outcome:
    """Gathers what the check of a model came to."""
    return Outcome(
        kind="check",
        name=model.name or str(model),
        blessed=judgement.passed,
        verdict=Verdict(findings=judgement.findings),
        evaluation=judgement.evaluation,
        not_run=judgement.not_run,
        not_looked_for=dict(not_looked_for),
        model=str(model),
        report=str(report) if report else None,
        seconds=seconds,
    )


def as_json(outcome: Outcome) -> str:
    """Returns the outcome as one JSON object, for machines.

    The findings come with the most likely root cause first, the remedies in the order
    of time, with epochs counted from 0 as in the training record. Numbers that JSON
    does not know are the texts `NaN`, `Infinity` and `-Infinity`.
    """
    recalibration = outcome.recalibration
    return json.dumps(
        {
            "blessed": outcome.blessed,
            "findings": [
                _plain(finding, include=_SHOWN) for finding in outcome.verdict.findings
            ],
            "remedies": [_plain(remedy) for remedy in outcome.remedies],
            "recalibration": _plain(recalibration) if recalibration else None,
            "accuracies": _accuracies(outcome.evaluation),
            "not_run": list(outcome.not_run),
            "model": outcome.model,
            "report": outcome.report,
        },
        indent=2,
    )


def _accuracies(evaluation: EvaluationRecord | None) -> list[dict[str, Any]]:
    """Lists accuracy and loss of the model and of its modes, by split and slice."""
    return [
        {
            **_plain(result, {"model", "split", "slice", "num_examples", "mean_loss"}),
            # No predictions have no accuracy, which JSON says by `null`.
            "accuracy": result.accuracy if any(result.true_counts) else None,
        }
        for result in (evaluation.results if evaluation else ())
    ]


def _plain(record: Settings, include: set[str] | None = None) -> Any:
    # By way of text: infinity is a word there, which JSON has no number for.
    return json.loads(record.model_dump_json(include=include))


def candidate_splits(evaluation: EvaluationRecord | None) -> tuple[str, ...]:
    """Returns the splits that the model was judged on, in the order of the record."""
    results = evaluation.results if evaluation else ()
    return tuple(
        dict.fromkeys(r.split for r in results if r.model == CANDIDATE and not r.slice)
    )


def save(outcome: Outcome, folder: Path) -> None:
    """Writes the outcome, and the verdict alone, into the output folder of a run."""
    write_text(folder / OUTCOME_FILE, outcome.to_json())
    write_text(folder / VERDICT_FILE, outcome.verdict.model_dump_json(indent=2))


def load(folder: Path) -> Outcome:
    """Reads the outcome of an earlier run.

    Raises:
      InputError: If there is none, or it cannot be read.
    """
    path = folder / OUTCOME_FILE
    if not path.is_file():
        came = "there is none"
        if not folder.is_dir():
            came = f"there is {'a file' if folder.exists() else 'no such folder'}"
        raise InputError(
            f"{folder}: expected the output folder of a finished run, with its "
            f"{OUTCOME_FILE}, but {came}; give the folder that `tfx-guard run` wrote "
            "to, such as runs/digits"
        )
    try:
        return Outcome.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: expected the outcome of a run of this version of tfx-guard, but "
            f"{reason}; run the pipeline again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a file.

    Raises:
      InputError: If it cannot be written.
    """
    try:
        # What no file can hold is written as Python shows it.
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(
            f"{path}: expected a file to write to, but {error.strerror}; choose "
            "another, or mend its permissions"
        ) from error
