# SPDX-License-Identifier: Apache-2.0
import limits
import pytest

from components.guarded_evaluator.config import EvaluationConfig
from components.records.evaluation import (
    CANDIDATE,
    CalibrationBin,
    EvaluationRecord,
    ModelResult,
    PairedResult,
)


def _row(value, half, found, falsely_blocked):
    return {
        "value": value,
        "half": half,
        "blocked": (10, 10),
        "first cause right": (10, 10),
        "falsely blocked": falsely_blocked,
        "found": found,
    }


def _rows(*found_and_false):
    return [
        _row(value, half, (found, 10), (false, 10))
        for value, (found, false) in enumerate(found_and_false)
        for half in ("choosing", "confirming")
    ]


class TestPlateau:
    def test_ends_where_something_is_missed_or_wronged(self):
        rows = _rows((10, 1), (10, 0), (10, 0), (10, 0), (9, 0))
        assert limits.plateau(rows, 2) == (1, 3)

    def test_goes_on_where_one_model_is_missed_or_more_are_found(self):
        rows = [
            _row(value, "choosing", (found, 10), (0, 10))
            for value, found in enumerate((8, 9, 10, 9))
        ]
        assert limits.plateau(rows, 1) == (0, 3)

    def test_may_reach_both_ends(self):
        assert limits.plateau(_rows((10, 0), (10, 0)), 0) == (0, 1)

    def test_is_one_value_at_an_edge(self):
        assert limits.plateau(_rows((8, 0), (10, 0), (8, 0)), 1) == (1, 1)

    def test_does_not_go_on_behind_a_gap(self):
        rows = _rows((10, 0), (9, 0), (10, 0))
        assert limits.plateau(rows, 0) == (0, 0)


def _split(name, right, wrong):
    total = 2 * (right + wrong)
    filled = CalibrationBin(
        num_examples=total,
        confidence_sum=float(total * right / (right + wrong)),
        num_right=2 * right,
    )
    return ModelResult(
        model=CANDIDATE,
        split=name,
        num_examples=total,
        confusion=((right, wrong), (wrong, right)),
        mean_loss=0.5,
        output_spread=(0.3, 0.3),
        output_range=(0.0, 1.0),
        calibration=(filled,),
    )


@pytest.fixture
def overfit_case():
    """Right for 95 % of the training rows, and for 80 % of the others."""
    alone = PairedResult(
        other="one_by_one",
        split="eval",
        both_right=80,
        only_candidate_right=0,
        only_other_right=0,
        both_wrong=20,
        mean_distance=0.0,
    )
    record = EvaluationRecord(
        class_names=("a", "b"),
        results=(_split("train", 950, 50), _split("eval", 800, 200)),
        pairs=(alone,),
        has_no_modes=True,
    )
    return {
        "name": "overfit-some",
        "seed": 0,
        "half": "choosing",
        "causes": ["overfit"],
        "left_out": [],
        "evidence": {
            "config": {"max_perturbed_examples": 0},
            "evaluation": record.model_dump(mode="json", exclude_defaults=True),
            "upstream": [],
            "batch_norm": [],
        },
    }


def test_decides_anew_by_other_limits(overfit_case):
    evidence = limits.evidence_of(overfit_case)
    blocked = limits.decided(overfit_case, evidence)["verdict"]["blocking"]
    assert blocked == ["overfit"]
    passed = limits.decided(overfit_case, evidence, max_generalization_gap=0.2)
    assert passed["verdict"]["blocking"] == []


def test_what_was_refused_stays_as_it_is():
    case = {"name": "refused", "refused": "no probabilities", "causes": ["overfit"]}
    assert limits.evidence_of(case) is None
    assert limits.decided(case, None, max_mode_gap=0.5) == case


def test_sweeps_a_limit_over_either_half(overfit_case):
    sweep = limits.Sweep("max_generalization_gap", (0.1, 0.2), ("overfit",))
    rows = limits.swept([overfit_case], sweep)
    told = {(row["value"], row["half"]): row["found"] for row in rows}
    assert told == {
        (0.1, "choosing"): (1, 1),
        (0.1, "confirming"): (0, 0),
        (0.2, "choosing"): (0, 1),
        (0.2, "confirming"): (0, 0),
    }


def test_every_default_is_among_the_values_tried():
    defaults = EvaluationConfig()
    for sweep in limits.SWEEPS:
        assert getattr(defaults, sweep.limit) in sweep.values
        assert sorted(sweep.values) == list(sweep.values)


def test_the_table_has_a_line_for_each_limit():
    results = {"max_mode_gap": [_row(0.05, "choosing", (3, 4), (0, 5))]}
    lines = limits.table(results).splitlines()
    assert lines[-1] == "| `max_mode_gap` | 0.05 | 0.05 to 0.05 | 3 of 4 | 0 of 5 |"


def test_draws_a_picture(tmp_path):
    results = {
        "max_mode_gap": [
            _row(value, half, (3, 4), (0, 5))
            for value in (0.01, 0.05, 0.6)
            for half in ("choosing", "confirming")
        ]
    }
    limits.draw(results, tmp_path / "limits.png")
    assert (tmp_path / "limits.png").stat().st_size > 1000
