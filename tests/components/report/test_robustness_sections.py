# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from components.findings import Verdict
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    ONE_BY_ONE,
    TRAINING_MODE,
    EvaluationRecord,
    PairedResult,
)
from components.report import charts
from components.report.inputs import ReportInputs
from components.report.robustness_sections import changes_section, companions_section

PERCENT = "\u202f%"


def inputs(*pairs, **changes):
    record = EvaluationRecord(
        class_names=("a", "b"), results=(), pairs=pairs, **changes
    )
    return ReportInputs(verdict=Verdict(), evaluation=record)


def pair(other, **changes):
    return PairedResult(
        **{
            "other": other,
            "split": "eval",
            "both_right": 70,
            "only_candidate_right": 10,
            "only_other_right": 5,
            "both_wrong": 15,
            "mean_distance": 0.125,
            "num_different": 18,
            **changes,
        }
    )


class TestCompanions:
    def test_each_way_of_asking_is_a_row(self):
        part = companions_section(inputs(pair(ONE_BY_ONE), pair("other_batch")))
        assert part.table.rows == (
            ("eval · one by one", "100", "18", "10", "5", "0.125"),
            ("eval · other batch", "100", "18", "10", "5", "0.125"),
        )

    def test_other_models_and_changes_stand_elsewhere(self):
        others = (TRAINING_MODE, BATCH_STATISTICS_MODE, BASELINE, "perturbed:darker")
        assert companions_section(inputs(*map(pair, others))) is None

    def test_a_record_that_did_not_count_other_answers_shows_none(self):
        part = companions_section(inputs(pair(ONE_BY_ONE), format_version=1))
        assert part.table.rows[0][2] == "–"

    def test_slices_are_left_to_the_decision(self):
        assert companions_section(inputs(pair(ONE_BY_ONE, slice="a=b"))) is None


class TestChanges:
    def test_the_share_of_the_right_answers_that_turn_is_drawn(self):
        part = changes_section(inputs(pair("perturbed:jpeg_quality_75")))
        (chart,) = part.charts
        assert chart.labels == ("jpeg quality 75",)
        assert chart.series[0].values == (10 / 80,)
        low, high = chart.intervals[0]
        assert low < 10 / 80 < high
        row = part.table.rows[0]
        assert row[2:5] == ("80", f"10 (12.5{PERCENT})", "5")

    def test_a_model_that_was_never_right_has_numbers_but_no_picture(self):
        nothing = pair("perturbed:darker", both_right=0, only_candidate_right=0)
        part = changes_section(inputs(nothing))
        assert part.charts == ()
        assert part.table.rows[0][2:4] == ("0", "0")

    def test_each_split_has_its_own_picture(self):
        part = changes_section(
            inputs(pair("perturbed:darker"), pair("perturbed:darker", split="train"))
        )
        assert [chart.id for chart in part.charts] == ["changes-eval", "changes-train"]

    def test_of_many_changes_those_that_turn_most_are_drawn(self):
        pairs = [
            pair(f"perturbed:change_{k}", only_candidate_right=k, both_right=100 - k)
            for k in range(charts.MAX_BARS + 5)
        ]
        part = changes_section(inputs(*pairs))
        assert len(part.charts[0].labels) == charts.MAX_BARS
        assert part.charts[0].labels[0] == "change 5"
        assert len(part.table.rows) == charts.MAX_BARS + 5
        assert not part.table_open


@pytest.mark.parametrize(
    "make", [companions_section, changes_section], ids=lambda f: f.__name__
)
def test_what_was_not_measured_is_not_shown(make, good_run):
    assert make(inputs()) is None
    assert make(ReportInputs(verdict=Verdict())) is None
    assert make(good_run) is None
    broken = dataclasses.replace(good_run, evaluation=None)
    assert make(broken) is None
