# SPDX-License-Identifier: Apache-2.0
"""What the command line shows while a pipeline runs, and the verdict at its end."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from components.findings import Finding
from components.records.evaluation import CANDIDATE, TRAINING_MODE, EvaluationRecord
from components.records.training import Remedy
from components.settings import Settings

if TYPE_CHECKING:
    from pipeline.local_runner import RunResult, Step

_DOING = {
    "ImportExampleGen": "reading the examples",
    "CsvExampleGen": "reading the examples",
    "ParquetExampleGen": "reading the examples",
    "ImageExampleGen": "reading the pictures",
    "ExampleSplitter": "setting examples apart for evaluation",
    "StatisticsGen": "computing statistics",
    "SchemaGen": "inferring the schema",
    "ExampleValidator": "checking the examples against the schema",
    "ClassBalanceValidator": "checking the balance of the classes",
    "FeatureValidator": "checking the features of both splits",
    "LeakageValidator": "looking for examples that are in both splits",
    "DataReport": "reporting on the data",
    "GuardedTrainer": "training under safeguards",
    "LatestBlessedModel": "fetching the newest model in production",
    "GuardedEvaluator": "asking the model in inference and in training mode",
    "GuardedPusher": "publishing, if blessed",
    "Report": "writing the report",
}


_OUTCOMES = {True: "[green]repaired[/]", False: "[yellow]no help[/]", None: "changed"}
"""What became of a remedy: whether the trouble was gone, or training ended before."""


class StepDisplay:
    """Shows each step as it runs: a spinner, or a bar while training; then a line.

    Warnings of the components are shown when they come, such as each remedy and each
    roll-back of a training.
    """

    def __init__(self, console: Console):
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: Any = None
        self._node = ""
        self._started = 0.0
        self._handler = _LogHandler(self._on_progress, self._on_warning)

    def __enter__(self) -> "StepDisplay":
        self._log = logging.getLogger("components")
        self._before = (self._log.level, self._log.propagate)
        self._log.addHandler(self._handler)
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._progress.stop()
        if kind is not None and self._node:
            self._console.print(f"  [red]failed[/] {self._node}")
        self._log.removeHandler(self._handler)
        self._log.level, self._log.propagate = self._before

    def on_step(self, step: "Step") -> None:
        """Shows that a step has begun, or what became of it."""
        if not step.finished:
            self._node, self._started = step.node, time.monotonic()
            self._task = self._progress.add_task(_describe(step.node), total=None)
            return
        self._progress.remove_task(self._task)
        self._node, node = "", self._node
        if step.how == "skipped" and node == "Report":
            return  # The report on the data takes its place.
        if step.how == "skipped":
            self._console.print(f"  [dim]skipped {_describe(node)}[/]")
            return
        spent = step.how or f"{time.monotonic() - self._started:.1f} s"
        self._console.print(f"  [green]done[/]    {_describe(node):<75} {spent:>8}")

    def _on_progress(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def _on_warning(self, message: str) -> None:
        self._console.print(f"  [yellow]note[/]  {escape(message)}")


class _LogHandler(logging.Handler):
    """Hears the components: `progress = (done, total)`, and warnings."""

    def __init__(
        self,
        on_progress: Callable[[int, int], None],
        on_warning: Callable[[str], None],
    ):
        super().__init__(logging.INFO)
        self._on_progress = on_progress
        self._on_warning = on_warning

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", None)
        if progress is not None:
            self._on_progress(*progress)
        elif record.levelno >= logging.WARNING:
            self._on_warning(record.getMessage())


def print_verdict(console: Console, name: str, result: "RunResult") -> None:
    """Prints the outcome, its reasons and where things are."""
    verdict = result.verdict
    console.print()
    if result.blessed:
        console.print(f"[bold white on green] BLESSED [/] {escape(name)}")
    else:
        first = verdict.blocking[0].cause if verdict.blocking else "no reason given"
        console.print(
            f"[bold white on red] BLOCKED [/] {escape(name)}: [bold]{first}[/]"
        )
    remedies = result.training.remedies if result.training else ()
    if verdict.findings or remedies:
        console.print(_findings_table(verdict.findings, remedies))
    for line in _accuracies(result.evaluation):
        console.print(f"  use     {line}", soft_wrap=True)
    console.print(f"  model   {result.pushed or 'not pushed'}", soft_wrap=True)
    console.print(f"  report  {result.report}", soft_wrap=True)


def _accuracies(evaluation: EvaluationRecord | None) -> Iterator[str]:
    """Says how good the model is in use, and in training mode beside it."""
    for result in evaluation.results if evaluation else ():
        if result.model != CANDIDATE or result.split == "train":
            continue
        trained = evaluation and evaluation.result(TRAINING_MODE, result.split)
        beside = f", {trained.accuracy:.1%} in training mode" if trained else ""
        yield (
            f"accuracy {result.accuracy:.1%} on {result.num_examples} {result.split} "
            f"examples{beside}"
        )


def result_as_json(result: "RunResult") -> str:
    """Returns the outcome as one JSON object, for machines.

    The findings come with the most likely root cause first, the remedies in the order
    of time, with epochs counted from 0 as in the training record.
    """
    findings = [
        _as_json(
            finding,
            include={
                "cause",
                "severity",
                "subject",
                "measured",
                "limit",
                "unit",
                "message",
                "remedy",
            },
        )
        for finding in result.verdict.findings
    ]
    training = result.training
    recalibration = training.recalibration if training else None
    return json.dumps(
        {
            "blessed": result.blessed,
            "findings": findings,
            "remedies": [_as_json(r) for r in (training.remedies if training else ())],
            "recalibration": _as_json(recalibration) if recalibration else None,
            "model": str(result.pushed) if result.pushed else None,
            "report": str(result.report),
        },
        indent=2,
    )


def _as_json(record: Settings, include: set[str] | None = None) -> Any:
    # By way of text: infinity is a word there, which JSON has no number for.
    return json.loads(record.model_dump_json(include=include))


def _describe(node: str) -> str:
    return f"{node:<22} {_DOING.get(node, '')}"


def _findings_table(
    findings: tuple[Finding, ...], remedies: tuple[Remedy, ...]
) -> Table:
    table = Table(box=None, padding=(0, 1), show_edge=False, header_style="dim")
    for column in ("", "cause", "measured", "limit", "what was found, and what to do"):
        right = column in ("measured", "limit")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    styles = {"block": "red", "warn": "yellow", "info": "blue"}
    for finding in findings:
        style = styles[finding.severity.value]
        table.add_row(
            f"[{style}]{finding.severity.value}[/]",
            f"[bold]{finding.cause}[/]",
            _number(finding.measured),
            _number(finding.limit),
            f"{escape(finding.message)}\n[dim]{escape(finding.remedy)}[/]",
        )
    for remedy in remedies:
        table.add_row(
            _OUTCOMES[remedy.helped],
            f"[bold]{escape(remedy.cause)}[/]",
            "",
            "",
            f"{escape(remedy.message)}\n[dim]{escape(_change(remedy))}[/]",
        )
    return table


def _change(remedy: Remedy) -> str:
    """Returns what was changed, from what to what, and how far training went back."""
    change = remedy.action.replace("_", " ")
    if remedy.before is not None or remedy.after is not None:
        change += f": {_number(remedy.before)} -> {_number(remedy.after)}"
    if remedy.back_to_epoch is None:
        return change
    if remedy.back_to_epoch < 0:
        return f"{change}; back to the initial weights"
    return f"{change}; back to epoch {remedy.back_to_epoch + 1}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
