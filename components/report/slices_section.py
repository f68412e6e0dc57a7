# SPDX-License-Identifier: Apache-2.0
"""The part of the page that shows the splits by the values of a feature."""

from collections.abc import Sequence

from components.findings import Finding
from components.records.evaluation import CANDIDATE, EvaluationRecord, ModelResult
from components.report import charts, formats
from components.report.charts import BarChart, Series
from components.report.inputs import ReportInputs
from components.report.intervals import share_interval
from components.report.page import Section, Table

MAX_SLICES = 200
"""Rows in the table of the slices."""
_OPEN_TABLE = 20  # Rows up to which the table is shown unfolded.


def slices_section(inputs: ReportInputs) -> Section | None:
    """Shows the accuracy in each slice of the judged split, the worst first.

    Returns:
      None where no slices were asked for: the page then says nothing.
    """
    evaluation = inputs.evaluation
    if evaluation is None:
        return None
    judged = _worst_first(evaluation)
    if not judged and not evaluation.unjudged_slices:
        return None
    split = charts.judged_split(evaluation)
    whole = evaluation.result(CANDIDATE, split) if split else None
    intro = (
        [
            f"Accuracy on the whole split {formats.name(whole.split)}: "
            f"{formats.share(whole.accuracy)}."
        ]
        if whole
        else []
    )
    intro += [
        f"Not judged: {formats.name(unjudged.slice)}: {formats.clean(unjudged.reason)}"
        for unjudged in evaluation.unjudged_slices[:MAX_SLICES]
    ]
    if len(judged) > MAX_SLICES:
        intro.append(
            f"The {MAX_SLICES} of {len(judged):,} slices of the least accuracy."
        )
    shown = judged[:MAX_SLICES]
    return Section(
        id="slices",
        title="Slices",
        intro=tuple(intro),
        charts=_charts(evaluation, shown),
        healthy="the bars are about equally long, as far as their intervals tell.",
        unhealthy="a bar far shorter than the others, beyond its interval: the model "
        "fails there, however good it is on the whole.",
        table=_table(shown, inputs.verdict.findings) if shown else None,
        table_title="The worst first",
        table_open=len(shown) <= _OPEN_TABLE,
    )


def _worst_first(evaluation: EvaluationRecord) -> list[ModelResult]:
    split = charts.judged_split(evaluation)
    slices = [
        result
        for result in evaluation.results
        if result.model == CANDIDATE and result.slice and result.split == split
    ]
    return sorted(slices, key=_badness)


def _badness(result: ModelResult) -> tuple[float, int, str]:
    """Orders by accuracy, no finite predictions first; then the larger one."""
    accuracy = result.accuracy if charts.has_predictions(result) else -1.0
    return accuracy, -result.num_examples, result.slice


def _charts(
    evaluation: EvaluationRecord, shown: Sequence[ModelResult]
) -> tuple[BarChart, ...]:
    drawn = [result for result in shown if charts.has_predictions(result)]
    drawn = drawn[: charts.MAX_BARS]
    if not drawn:
        return ()
    split = drawn[0].split
    whole = evaluation.result(CANDIDATE, split)
    accuracies = tuple(result.accuracy for result in drawn)
    title = f"Accuracy, split {formats.name(split, charts.NAME_LENGTH)}"
    beside = f"; the whole split has {formats.share(whole.accuracy)}" if whole else ""
    return (
        BarChart(
            id="slices-accuracy",
            title=title,
            labels=tuple(formats.name(r.slice, charts.NAME_LENGTH) for r in drawn),
            series=(Series("accuracy", accuracies),),
            texts=tuple(map(formats.share, accuracies)),
            intervals=tuple(_interval(result) for result in drawn),
            percent=True,
            alt=f"{title}, in {formats.counted(len(drawn), 'slice')}, the worst first: "
            f"{formats.name(drawn[0].slice)} has {formats.share(accuracies[0])}"
            f"{beside}.",
        ),
    )


def _interval(result: ModelResult) -> tuple[float, float] | None:
    right = sum(row[k] for k, row in enumerate(result.confusion))
    return share_interval(right, sum(result.true_counts))


def _table(shown: Sequence[ModelResult], findings: Sequence[Finding]) -> Table:
    return Table(
        (
            "Slice",
            "Examples",
            "Accuracy",
            "95 % interval",
            "Effective classes predicted",
            "Found",
        ),
        tuple(
            (
                formats.name(result.slice),
                formats.count(result.num_examples),
                formats.share(result.accuracy),
                formats.interval(_interval(result)),
                formats.number(result.effective_predicted_classes, 3),
                _found(result, findings),
            )
            for result in shown
        ),
        texts=(5,),
    )


def _found(result: ModelResult, findings: Sequence[Finding]) -> str:
    """Names what was found in the slice; the page itself judges nothing."""
    causes = dict.fromkeys(
        f"{finding.cause} ({finding.severity.value})"
        for finding in findings
        if finding.subject.slice == result.slice
    )
    return ", ".join(causes) or "–"
