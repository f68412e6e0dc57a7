# SPDX-License-Identifier: Apache-2.0
import pytest

from components.findings import Subject, Verdict, find
from components.records.evaluation import (
    CANDIDATE,
    EvaluationRecord,
    ModelResult,
    UnjudgedSlice,
)
from components.report import charts, slices_section
from components.report.inputs import ReportInputs

PERCENT = "\u202f%"


def result(slice="", right=9, wrong=1, split="eval"):
    return ModelResult(
        model=CANDIDATE,
        split=split,
        slice=slice,
        num_examples=right + wrong,
        confusion=((right, wrong), (0, 0)),
        mean_loss=0.5,
        output_spread=(0.1, 0.1),
    )


def make(*results, findings=(), unjudged=()):
    record = EvaluationRecord(
        class_names=("a", "b"), results=results, unjudged_slices=unjudged
    )
    return slices_section.slices_section(
        ReportInputs(verdict=Verdict.of(findings), evaluation=record)
    )


def test_the_worst_slice_comes_first_with_what_was_found_in_it():
    found = find(
        "collapse",
        "The slice collapsed.",
        subject=Subject(split="eval", slice="site=south"),
    )
    part = make(
        result(),
        result("site=north"),
        result("site=south", right=1, wrong=9),
        findings=[found],
    )
    first, second = part.table.rows
    assert first[:3] == ("site=south", "10", f"10.0{PERCENT}")
    assert first[3] == f"0.3{PERCENT} to 44.5{PERCENT}"
    assert first[-1] == "collapse (block)"
    assert second[0] == "site=north"
    assert second[-1] == "–"
    (chart,) = part.charts
    assert chart.labels == ("site=south", "site=north")
    assert f"the whole split has 90.0{PERCENT}" in chart.alt
    assert part.intro == (f"Accuracy on the whole split eval: 90.0{PERCENT}.",)


def test_slices_of_the_training_split_are_left_to_the_decision():
    part = make(result(), result("a=1"), result("a=1", split="train"))
    assert len(part.table.rows) == 1


def test_a_slice_without_finite_predictions_is_the_worst_and_not_drawn():
    part = make(result(), result("a=1", 0, 0), result("a=2"))
    assert [row[0] for row in part.table.rows] == ["a=1", "a=2"]
    assert part.charts[0].labels == ("a=2",)
    assert part.table.rows[0][2:4] == ("not a number", "–")


def test_slices_that_could_not_be_judged_are_named():
    part = make(result(), unjudged=[UnjudgedSlice(slice="age", reason="no category.")])
    assert part.intro[-1] == "Not judged: age: no category."
    assert part.table is None
    assert part.charts == ()


@pytest.mark.parametrize(
    ("count", "rows", "is_told"),
    [
        (slices_section.MAX_SLICES, slices_section.MAX_SLICES, False),
        (slices_section.MAX_SLICES + 1, slices_section.MAX_SLICES, True),
    ],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_the_table_is_bounded(count, rows, is_told):
    part = make(result(), *(result(f"a={k}") for k in range(count)))
    assert len(part.table.rows) == rows
    assert (
        any("of the least accuracy" in sentence for sentence in part.intro) == is_told
    )
    assert len(part.charts[0].labels) == charts.MAX_BARS


def test_without_slices_nothing_is_shown():
    assert make(result()) is None
    assert slices_section.slices_section(ReportInputs(verdict=Verdict())) is None
