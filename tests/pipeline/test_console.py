# SPDX-License-Identifier: Apache-2.0
import dataclasses
import io
import json
import logging
import math
from pathlib import Path

import pytest
from rich.console import Console

from components.causes import Severity
from components.findings import Subject, Verdict, find
from components.records.evaluation import (
    CANDIDATE,
    TRAINING_MODE,
    EvaluationRecord,
    ModelResult,
)
from components.records.training import Recalibration, Remedy, TrainingRecord
from pipeline import console as display
from pipeline.local_runner import RunResult, Step

GAP = find(
    "mode_gap",
    "17.5% in inference mode, 97.3% in training mode.",
    subject=Subject(split="eval"),
    measured=0.798,
    limit=0.05,
    unit="accuracy",
)
NOTE = find("class_imbalance", "One class is rare [1 of 100].", measured=0.01)


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), width=120, highlight=False)


def shown(screen):
    return screen.file.getvalue()


def result(*findings, blessed=False, pushed=None):
    verdict = Verdict.of(findings)
    return RunResult(verdict, blessed, pushed, Path("/runs/report.html"))


def test_a_blocked_verdict_names_cause_numbers_remedy_and_report(screen):
    display.print_verdict(screen, "digits", result(GAP, NOTE))
    text = shown(screen)
    assert "BLOCKED" in text
    for part in ("mode_gap", "0.798", "0.05", "97.3%", "recalibration", "not pushed"):
        assert part in text
    assert "/runs/report.html" in text
    assert text.index("mode_gap") < text.index("class_imbalance")


def test_a_blessed_verdict_names_the_model(screen):
    model = Path("/serving/17")
    display.print_verdict(screen, "digits", result(blessed=True, pushed=model))
    assert "BLESSED" in shown(screen)
    assert "/serving/17" in shown(screen)


def measured(model, right):
    return ModelResult(
        model=model,
        split="eval",
        num_examples=100,
        confusion=((right, 100 - right), (0, 0)),
        mean_loss=0.1,
        output_spread=(0.1, 0.1),
    )


def test_the_accuracy_in_use_stands_beside_that_in_training_mode(screen):
    record = EvaluationRecord(
        class_names=("a", "b"),
        results=(measured(CANDIDATE, 28), measured(TRAINING_MODE, 98)),
    )
    blocked = dataclasses.replace(result(GAP), evaluation=record)
    display.print_verdict(screen, "digits", blocked)
    line = "accuracy 28.0% on 100 eval examples, 98.0% in training mode"
    assert line in shown(screen)


def test_square_brackets_of_the_data_are_shown_as_they_are(screen):
    display.print_verdict(screen, "digits", result(NOTE))
    assert "[1 of 100]" in shown(screen)


def test_json_is_one_object_with_the_root_cause_first():
    parsed = json.loads(display.result_as_json(result(NOTE, GAP)))
    assert set(parsed) == {
        "blessed",
        "findings",
        "remedies",
        "recalibration",
        "model",
        "report",
    }
    assert parsed["remedies"] == []
    assert parsed["recalibration"] is None
    assert parsed["blessed"] is False
    assert parsed["model"] is None
    assert [f["cause"] for f in parsed["findings"]] == ["mode_gap", "class_imbalance"]
    assert set(parsed["findings"][0]) == {
        "cause",
        "severity",
        "subject",
        "measured",
        "limit",
        "unit",
        "message",
        "remedy",
    }
    assert parsed["findings"][0]["severity"] == Severity.BLOCK.value


def repaired(*remedies, recalibration=None):
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


def remedy(**changes):
    return Remedy(
        **{
            "action": "lower_learning_rate",
            "cause": "not_a_number",
            "rule": "NotFinite",
            "epoch": 4,
            "back_to_epoch": 2,
            "before": 1.0,
            "after": 0.1,
            "message": "The loss became NaN [epoch 5].",
            "helped": True,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "outcome", "change"),
    [
        ({}, "repaired", "lower learning rate: 1 -> 0.1; back to epoch 3"),
        ({"helped": False}, "no help", "back to epoch 3"),
        ({"helped": None}, "changed", "back to epoch 3"),
        ({"back_to_epoch": -1}, "repaired", "back to the initial weights"),
        ({"back_to_epoch": None}, "repaired", "lower learning rate: 1 -> 0.1 "),
        ({"before": None}, "repaired", "lower learning rate: - -> 0.1"),
        ({"before": None, "after": None}, "repaired", "lower learning rate; back"),
    ],
    ids=[
        "helped",
        "did-not-help",
        "not-seen",
        "from-the-start",
        "not-gone-back",
        "nothing-before",
        "no-numbers",
    ],
)
def test_the_verdict_names_what_was_repaired(screen, changes, outcome, change):
    for findings in ((), (NOTE,)):
        good = dataclasses.replace(
            result(*findings, blessed=True), training=repaired(remedy(**changes))
        )
        display.print_verdict(screen, "digits", good)
        text = shown(screen)
        assert outcome in text
        assert "not_a_number" in text
        assert "The loss became NaN [epoch 5]." in text
        assert change in text


def test_a_training_that_needed_no_remedy_adds_nothing(screen):
    good = dataclasses.replace(result(blessed=True), training=repaired())
    display.print_verdict(screen, "digits", good)
    assert "what was found" not in shown(screen)


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
    record = repaired(remedy(), remedy(before=None), recalibration=recalibration)
    text = display.result_as_json(
        dataclasses.replace(result(GAP), training=record),
    )
    parsed = json.loads(text, parse_constant=pytest.fail)
    assert parsed["remedies"][0] == {
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
    assert parsed["recalibration"]["loss_before"] == "Infinity"


def test_json_has_no_numbers_that_json_does_not_know():
    endless = find("not_a_number", "Infinite.", measured=math.inf)
    text = display.result_as_json(result(endless))
    parsed = json.loads(text, parse_constant=pytest.fail)
    assert parsed["findings"][0]["measured"] == "Infinity"


def test_remedies_are_shown_as_they_happen(screen):
    with display.StepDisplay(screen) as steps:
        steps.on_step(Step("GuardedTrainer", finished=False))
        log = logging.getLogger("components.guarded_trainer")
        log.info("epoch 5", extra={"progress": (5, 50)})
        log.warning("The loss became NaN: back to epoch 3 at a rate of %g.", 0.1)
        # A roll-back takes the bar back.
        log.info("epoch 4", extra={"progress": (4, 50)})
        steps.on_step(Step("GuardedTrainer", finished=True))
    text = shown(screen)
    assert text.count("back to epoch 3 at a rate of 0.1.") == 1
    assert text.index("back to epoch 3") < text.index("done")


@pytest.mark.parametrize(
    ("how", "expected"),
    [("", "done"), ("cached", "cached"), ("skipped", "skipped GuardedTrainer")],
)
def test_each_step_leaves_a_line(screen, how, expected):
    with display.StepDisplay(screen) as steps:
        steps.on_step(Step("GuardedTrainer", finished=False))
        logging.getLogger("components.guarded_trainer").info(
            "epoch", extra={"progress": (1, 3)}
        )
        steps.on_step(Step("GuardedTrainer", finished=True, how=how))
    assert expected in shown(screen)
    assert "training under safeguards" in shown(screen)


def test_a_step_that_fails_is_named(screen):
    with pytest.raises(RuntimeError), display.StepDisplay(screen) as steps:  # noqa: PT012
        steps.on_step(Step("StatisticsGen", finished=False))
        raise RuntimeError
    assert "failed" in shown(screen)
    assert "StatisticsGen" in shown(screen)


def test_warnings_of_components_are_shown_and_the_logger_is_left_as_it_was(screen):
    log = logging.getLogger("components")
    before = (log.level, log.propagate, list(log.handlers))
    with display.StepDisplay(screen):
        logging.getLogger("components.registry").warning("a foreign model [x]")
    assert "a foreign model [x]" in shown(screen)
    assert (log.level, log.propagate, list(log.handlers)) == before
