# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from components.findings import Verdict
from components.records.evaluation import (
    CANDIDATE,
    NUM_CALIBRATION_BINS,
    CalibrationBin,
    EvaluationRecord,
    ModelResult,
)
from components.report import plots
from components.report.calibration_section import calibration_section
from components.report.inputs import ReportInputs

PERCENT = "\u202f%"


def inputs(bins=(), **changes):
    result = ModelResult(
        **{
            "model": CANDIDATE,
            "split": "eval",
            "num_examples": 10,
            "confusion": ((5, 0), (5, 0)),
            "mean_loss": 0.7,
            "output_spread": (0.1, 0.1),
            "calibration": bins,
            **changes,
        }
    )
    record = EvaluationRecord(class_names=("a", "b"), results=(result,))
    return ReportInputs(verdict=Verdict(), evaluation=record)


def bins(**by_bin):
    """Returns all bins, with (examples, sum of confidence, right) of some."""
    filled = {int(name[1:]): values for name, values in by_bin.items()}
    made = []
    for k in range(NUM_CALIBRATION_BINS):
        examples, total, right = filled.get(k, (0, 0.0, 0))
        made.append(
            CalibrationBin(num_examples=examples, confidence_sum=total, num_right=right)
        )
    return tuple(made)


def test_each_split_shows_how_often_answers_of_one_confidence_are_right():
    part = calibration_section(inputs(bins(b7=(4, 2.0, 2), b14=(6, 6.0, 3))))
    (chart,) = part.charts
    assert chart.counts[7] == 4
    assert chart.accuracies[7] == chart.accuracies[14] == 0.5
    assert chart.accuracies[0] is None
    assert chart.intervals[0] is None
    assert chart.intervals[14][0] < 0.5 < chart.intervals[14][1]
    assert part.table.rows == (
        (
            "eval",
            f"80.0{PERCENT}",
            f"50.0{PERCENT}",
            f"30.0{PERCENT}",
            f"0 (0{PERCENT})",
        ),
    )
    assert f"expected calibration error 30.0{PERCENT}" in chart.alt


@pytest.mark.parametrize(
    "measured", [(), bins()], ids=["older-record", "no-finite-prediction"]
)
def test_what_was_not_measured_is_not_shown(measured):
    assert calibration_section(inputs(measured)) is None
    assert calibration_section(ReportInputs(verdict=Verdict())) is None


def test_saturated_answers_are_counted():
    part = calibration_section(inputs(bins(b14=(10, 10.0, 5)), num_saturated=5))
    assert part.table.header[-1] == f"Answers of 99.9{PERCENT} and more"
    assert part.table.rows[0][-1] == f"5 (50.0{PERCENT})"


def test_outputs_that_are_no_probabilities_are_named():
    part = calibration_section(
        inputs(
            bins(b14=(10, 10.0, 5)), num_not_probabilities=10, output_range=(-3.5, 8.25)
        )
    )
    assert (
        "10 outputs of split eval are no probabilities; they lie between \u22123.5 and "
        "8.25" in part.intro[1]
    )


def test_slices_have_no_picture_of_their_own(measured_run):
    part = calibration_section(measured_run)
    assert [row[0] for row in part.table.rows] == ["train", "eval"]


def test_the_picture_is_drawn_in_words_and_shapes(measured_run):
    for chart in calibration_section(measured_run).charts:
        svg = plots.draw(chart)
        assert "confidence" in svg
        assert chart.title in svg
        assert plots.draw(dataclasses.replace(chart)) == svg
        assert "<image" not in svg
