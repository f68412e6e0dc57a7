# SPDX-License-Identifier: Apache-2.0
import dataclasses
import io
import json
import logging
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
    assert set(parsed) == {"blessed", "findings", "model", "report"}
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
