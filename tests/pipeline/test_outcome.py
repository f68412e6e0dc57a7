# SPDX-License-Identifier: Apache-2.0
import json
import math
from pathlib import Path

import pytest

from components.errors import InputError
from components.findings import Subject, Verdict, find
from components.judging.judgement import Judgement
from components.records.evaluation import CANDIDATE, EvaluationRecord, ModelResult
from components.records.training import Recalibration, Remedy, TrainingRecord
from pipeline import outcome
from pipeline.local_runner import RunResult
from pipeline.outcome import Outcome

GAP = find(
    "mode_gap",
    "17.5% in inference mode, 97.3% in training mode.",
    subject=Subject(split="eval"),
    measured=0.798,
    limit=0.05,
    unit="accuracy",
    found_by="GuardedEvaluator: mode_gap",
    evidence={"only_training_right": 9},
)
NOTE = find("class_imbalance", "One class is rare [1 of 100].", measured=0.01)
KEYS = {
    "blessed",
    "findings",
    "remedies",
    "recalibration",
    "accuracies",
    "not_run",
    "model",
    "report",
}
REMEDY = Remedy(
    action="lower_learning_rate",
    cause="not_a_number",
    rule="NotFinite",
    epoch=4,
    back_to_epoch=2,
    before=1.0,
    after=0.1,
    message="The loss became NaN [epoch 5].",
    helped=True,
)


def run(*findings, blessed=False, pushed=None, **parts):
    result = RunResult(
        Verdict.of(findings), blessed, pushed, Path("/runs/report.html"), **parts
    )
    return outcome.of_run("digits", result, {"group_leakage": "no group"}, 1.5)


def trained(*remedies, recalibration=None):
    return TrainingRecord(
        class_names=("a", "b"),
        num_parameters=1,
        num_train_examples=9,
        num_held_out=0,
        batch_size=3,
        steps_per_epoch=3,
        epochs=(),
        best_epoch=None,
        stopped_because="",
        remedies=remedies,
        recalibration=recalibration,
        seed=0,
        seconds=1,
        versions={},
    )


def evaluated(confusion, mean_loss=0.5, **changes):
    return EvaluationRecord(
        class_names=("a", "b"),
        results=(
            ModelResult(
                model=CANDIDATE,
                split="eval",
                num_examples=10,
                confusion=confusion,
                mean_loss=mean_loss,
                output_spread=(0.1, 0.1),
                **changes,
            ),
        ),
    )


def parsed(told):
    """Reads strictly: JSON has neither NaN nor infinity."""
    return json.loads(outcome.as_json(told), parse_constant=pytest.fail)


def test_json_is_one_object_with_the_root_cause_first():
    read = parsed(run(NOTE, GAP))
    assert set(read) == KEYS
    assert read["remedies"] == read["not_run"] == read["accuracies"] == []
    assert read["recalibration"] is None
    assert read["blessed"] is False
    assert read["model"] is None
    assert read["report"] == "/runs/report.html"
    assert [f["cause"] for f in read["findings"]] == ["mode_gap", "class_imbalance"]
    first = read["findings"][0]
    assert set(first) == {
        "cause",
        "severity",
        "subject",
        "measured",
        "limit",
        "unit",
        "message",
        "remedy",
    }
    assert (first["severity"], first["measured"]) == ("block", 0.798)


def test_json_of_a_check_has_the_same_keys():
    judgement = Judgement(
        findings=(NOTE, GAP), not_run=("training mode: none was saved.",)
    )
    told = outcome.of_check(
        Path("models/model.keras"), judgement, {}, Path("report.html"), 2.0
    )
    assert told.name == "model.keras"
    read = parsed(told)
    assert set(read) == KEYS
    assert read["blessed"] is False
    assert read["findings"][0]["cause"] == "mode_gap"
    assert read["not_run"] == ["training mode: none was saved."]
    assert (read["model"], read["report"]) == ("models/model.keras", "report.html")
    good = outcome.of_check(Path("m.keras"), Judgement(), {}, None, 2.0)
    assert good.blessed
    assert parsed(good)["report"] is None


def test_json_carries_remedies_and_recalibration():
    recalibration = Recalibration(
        kept=True,
        num_examples=9,
        num_held_out=3,
        loss_before=math.inf,
        loss_after=0.1,
        accuracy_before=0.3,
        accuracy_after=1.0,
    )
    read = parsed(run(GAP, training=trained(REMEDY, recalibration=recalibration)))
    assert read["remedies"] == [
        {
            "action": "lower_learning_rate",
            "cause": "not_a_number",
            "rule": "NotFinite",
            "epoch": 4,
            "back_to_epoch": 2,
            "before": 1.0,
            "after": 0.1,
            "message": "The loss became NaN [epoch 5].",
            "helped": True,
        }
    ]
    assert read["recalibration"]["loss_before"] == "Infinity"


def test_json_has_no_numbers_that_json_does_not_know():
    endless = find("not_a_number", "Infinite.", measured=math.inf)
    nothing = evaluated(((0, 0), (0, 0)), math.nan, num_not_finite=10)
    read = parsed(run(endless, evaluation=nothing))
    assert read["findings"][0]["measured"] == "Infinity"
    (accuracy,) = read["accuracies"]
    assert (accuracy["accuracy"], accuracy["mean_loss"]) == (None, "NaN")


def test_json_has_the_accuracy_of_each_mode_unrounded():
    read = parsed(run(evaluation=evaluated(((1, 2), (0, 0)), slice="a=b")))
    assert read["accuracies"] == [
        {
            "model": "candidate",
            "split": "eval",
            "slice": "a=b",
            "num_examples": 10,
            "mean_loss": 0.5,
            "accuracy": 1 / 3,
        }
    ]


class TestKept:
    def test_an_outcome_is_read_back_as_it_was(self, tmp_path):
        told = run(
            NOTE,
            GAP,
            pushed=Path("/serving/17"),
            evaluation=evaluated(((3, 2), (1, 4)), math.inf),
            training=trained(REMEDY),
        )
        outcome.save(told, tmp_path)
        assert outcome.load(tmp_path) == told

    def test_the_verdict_stands_beside_the_report_as_the_page_says(self, tmp_path):
        outcome.save(run(NOTE, GAP), tmp_path)
        text = (tmp_path / "verdict.json").read_text()
        assert Verdict.from_json(text).findings[0] == GAP

    @pytest.mark.parametrize(
        ("content", "came"),
        [
            (None, "there is none"),
            ("", "Outcome"),
            ('{"format_version": 2}', "Outcome"),
        ],
        ids=["absent", "empty", "newer"],
    )
    def test_what_is_no_outcome_is_wrong_use(self, tmp_path, content, came):
        if content is not None:
            (tmp_path / outcome.OUTCOME_FILE).write_text(content)
        with pytest.raises(InputError, match=came) as raised:
            outcome.load(tmp_path)
        assert str(tmp_path) in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            outcome.load(tmp_path / "nowhere")

    def test_a_file_that_cannot_be_written_is_wrong_use(self, tmp_path):
        with pytest.raises(InputError, match="Is a directory"):
            outcome.write_text(tmp_path, "text")


def test_an_outcome_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="blest"):
        Outcome(kind="run", name="n", blessed=True, verdict=Verdict(), blest=True)
