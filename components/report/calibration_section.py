# SPDX-License-Identifier: Apache-2.0
"""The part of the page that shows whether the model is as sure as it is right."""

from collections.abc import Iterator

from components.records.evaluation import (
    CANDIDATE,
    SATURATION,
    EvaluationRecord,
    ModelResult,
)
from components.report import charts, formats
from components.report.charts import ReliabilityChart
from components.report.inputs import ReportInputs
from components.report.intervals import share_interval
from components.report.page import Section, Table


def calibration_section(inputs: ReportInputs) -> Section | None:
    """Shows how often answers of about the same confidence are right.

    Returns:
      None where it was not measured, as in older records: the page then says nothing.
    """
    evaluation = inputs.evaluation
    measured = list(_measured(evaluation)) if evaluation else []
    if not measured:
        return None
    return Section(
        id="calibration",
        title="Confidence",
        intro=(
            "The confidence of an answer is the probability that the model gives it. "
            "Bars show how often answers of about that confidence are right, with the "
            "95 % interval; below, how many there are.",
            *_no_probabilities(measured),
        ),
        charts=tuple(map(_chart, measured)),
        healthy="the bars end at the dashed line: of the answers given with 80 % "
        "confidence, 80 % are right.",
        unhealthy="the bars end far below the dashed line: the model is surer than it "
        "is right, and its probabilities cannot be trusted. Answers that are all at "
        "100 % and often wrong are saturated.",
        table=_table(measured),
        table_title="Confidence and accuracy",
    )


def _measured(evaluation: EvaluationRecord) -> Iterator[ModelResult]:
    for split in charts.ordered_splits(evaluation):
        result = evaluation.result(CANDIDATE, split)
        if result and any(bin.num_examples for bin in result.calibration):
            yield result


def _no_probabilities(measured: list[ModelResult]) -> Iterator[str]:
    for result in measured:
        if not result.num_not_probabilities:
            continue
        between = ""
        if result.output_range is not None:
            low, high = (formats.number(end, 3) for end in result.output_range)
            between = f"; they lie between {low} and {high}"
        yield (
            f"{formats.counted(result.num_not_probabilities, 'output')} of split "
            f"{formats.name(result.split)} are no probabilities{between}, so what is "
            "called confidence here is none."
        )


def _chart(result: ModelResult) -> ReliabilityChart:
    shown = formats.name(result.split, charts.NAME_LENGTH)
    bins = result.calibration
    return ReliabilityChart(
        id=f"reliability-{charts.fragment(result.split)}",
        title=f"Split {shown}",
        accuracies=tuple(
            bin.num_right / bin.num_examples if bin.num_examples else None
            for bin in bins
        ),
        intervals=tuple(
            share_interval(bin.num_right, bin.num_examples) for bin in bins
        ),
        counts=tuple(bin.num_examples for bin in bins),
        alt=f"Accuracy by confidence on split {shown}: mean confidence "
        f"{formats.share(result.mean_confidence)}, accuracy "
        f"{formats.share(result.accuracy)}, expected calibration error "
        f"{formats.share(result.calibration_error)}.",
    )


def _table(measured: list[ModelResult]) -> Table:
    rows = []
    for result in measured:
        asked = sum(bin.num_examples for bin in result.calibration)
        rows.append(
            (
                formats.name(result.split),
                formats.share(result.mean_confidence),
                formats.share(result.accuracy),
                formats.share(result.calibration_error),
                f"{formats.count(result.num_saturated)} "
                f"({formats.share(result.num_saturated / asked)})",
            )
        )
    return Table(
        (
            "Split",
            "Mean confidence",
            "Accuracy",
            "Expected calibration error",
            f"Answers of {formats.share(SATURATION)} and more",
        ),
        tuple(rows),
    )
