# SPDX-License-Identifier: Apache-2.0
"""What the command line shows while a pipeline runs, and the verdict at its end."""

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
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
    EvaluationRecord,
    ModelResult,
)
from components.records.training import Remedy
from components.report import formats
from pipeline.outcome import Outcome, candidate_splits

if TYPE_CHECKING:
    from pipeline.local_runner import Step

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
_CAUSE_WIDTH = 26
"""Characters of a column that holds the longest names of causes, and some more."""
_MODES = {
    TRAINING_MODE: "in training mode",
    BATCH_STATISTICS_MODE: "with batch statistics",
}
"""Modes whose accuracy stands beside that in use."""


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
        self._console.print(f"  [yellow]note[/]  {_safe(message)}")


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


def print_verdict(console: Console, outcome: Outcome) -> None:
    """Prints the decision, its reasons and where things are, the decision first."""
    findings = outcome.verdict.findings
    console.print()
    if outcome.blessed:
        word = "BLESSED" if outcome.kind == "run" else "PASSED"
        console.print(f"[bold white on green] {word} [/] {_safe(outcome.name)}")
    else:
        blocking = outcome.verdict.blocking
        first = blocking[0].cause if blocking else "no reason given"
        console.print(
            f"[bold white on red] BLOCKED [/] {_safe(outcome.name)}: [bold]{first}[/]"
        )
    if findings or outcome.remedies:
        console.print(_findings_table(findings, outcome.remedies))
    for name, line in _lines(outcome):
        console.print(f"  {name:<7} {_safe(line)}", soft_wrap=True)


def _lines(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Says how good the model is, what was not looked at, and where things are."""
    if outcome.evaluation is not None:
        yield from _accuracies(outcome.evaluation)
    for sentence in outcome.not_run:
        yield "not run", sentence
    if outcome.kind == "run" or outcome.model:
        yield "model", outcome.model or "not pushed"
    if outcome.report:
        yield "report", outcome.report


def _accuracies(evaluation: EvaluationRecord) -> Iterator[tuple[str, str]]:
    """Says how good the model is in each split, and in training mode beside it."""
    names = {"train": "trained", "eval": "use"}
    # How it does in use comes first: that is what is judged.
    for split in sorted(candidate_splits(evaluation), key=lambda s: s == "train"):
        result = evaluation.result(CANDIDATE, split)
        if result is None:
            continue
        beside = "".join(
            f", {other.accuracy:.1%} {words}"
            for model, words in _MODES.items()
            if (other := evaluation.result(model, split)) and any(other.true_counts)
        )
        yield (
            names.get(split, "use"),
            f"accuracy {_percent(result)} on {result.num_examples} {split} examples"
            f"{beside}",
        )
    if worst := _worst_slice(evaluation):
        yield (
            "slices",
            f"{len(evaluation.slices)} judged; the worst is {worst.slice}: accuracy "
            f"{_percent(worst)} on {worst.num_examples} {worst.split} examples",
        )


def _worst_slice(evaluation: EvaluationRecord) -> ModelResult | None:
    """Returns the slice of the least accuracy; None where none has examples."""
    slices = [
        result
        for result in evaluation.results
        if result.slice
        and result.model == CANDIDATE
        and result.split != "train"
        and any(result.true_counts)
    ]
    return min(slices, key=lambda result: result.accuracy, default=None)


def _percent(result: ModelResult) -> str:
    if any(result.true_counts):
        return f"{result.accuracy:.1%}"
    return "unknown, for want of finite predictions,"


def _describe(node: str) -> str:
    return f"{node:<22} {_DOING.get(node, '')}"


def _findings_table(
    findings: tuple[Finding, ...], remedies: tuple[Remedy, ...]
) -> Table:
    table = Table(box=None, padding=(0, 1), show_edge=False, header_style="dim")
    for column in ("", "cause", "measured", "limit", "what was found, and what to do"):
        right = column in ("measured", "limit")
        table.add_column(
            column,
            justify="right" if right else "left",
            overflow="fold",
            # What a finding is about must not take the room of what was found.
            max_width=_CAUSE_WIDTH if column == "cause" else None,
        )
    styles = {"block": "red", "warn": "yellow", "info": "blue"}
    for finding in findings:
        style = styles[finding.severity.value]
        table.add_row(
            f"[{style}]{finding.severity.value}[/]",
            f"[bold]{finding.cause}[/]{_about(finding)}",
            _number(finding.measured),
            _number(finding.limit),
            f"{_safe(finding.message)}\n[dim]{_safe(finding.remedy)}[/]",
        )
    for remedy in remedies:
        table.add_row(
            _OUTCOMES[remedy.helped],
            f"[bold]{_safe(remedy.cause)}[/]",
            "",
            "",
            f"{_safe(remedy.message)}\n[dim]{_safe(_change(remedy))}[/]",
        )
    return table


def _about(finding: Finding) -> str:
    """Returns what a finding is about as a second line; empty if it is everything."""
    subject = str(finding.subject)
    return "" if subject == "everything" else f"\n[dim]{_safe(subject)}[/]"


def _safe(text: str) -> str:
    """Returns a text that a terminal shows as it is, whatever the data hold.

    Square brackets would be read as styles, and control characters would act.
    """
    return escape(formats.visible(text))


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
