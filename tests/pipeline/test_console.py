# SPDX-License-Identifier: Apache-2.0
import io
import logging

import pytest
from rich.console import Console

from components.findings import Subject, Verdict, find
from components.records.evaluation import (
    CANDIDATE,
    TRAINING_MODE,
    EvaluationRecord,
    ModelResult,
)
from components.records.training import Remedy
from pipeline import console as display
from pipeline.local_runner import Step
from pipeline.outcome import Outcome

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


def made(*findings, blessed=False, model=None, **changes):
    """Returns the outcome of a run."""
    return Outcome(
        **{
            "kind": "run",
            "name": "digits",
            "blessed": blessed,
            "verdict": Verdict.of(findings),
            "model": model,
            "report": "/runs/report.html",
            **changes,
        }
    )


def test_a_blocked_verdict_names_cause_numbers_remedy_and_report(screen):
    display.print_verdict(screen, made(GAP, NOTE))
    text = shown(screen)
    assert "BLOCKED" in text
    for part in ("mode_gap", "0.798", "0.05", "97.3%", "recalibration", "not pushed"):
        assert part in text
    assert "/runs/report.html" in text
    assert text.index("mode_gap") < text.index("class_imbalance")


def test_a_blessed_verdict_names_the_model(screen):
    display.print_verdict(screen, made(blessed=True, model="/serving/17"))
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
    display.print_verdict(screen, made(GAP, evaluation=record))
    line = "accuracy 28.0% on 100 eval examples, 98.0% in training mode"
    assert line in shown(screen)


def test_a_model_that_was_only_judged_passes_and_names_what_was_not_run(screen):
    checked = made(
        blessed=True,
        kind="check",
        name="model.keras",
        model="models/model.keras",
        report=None,
        not_run=("training mode: [none] was saved.",),
    )
    display.print_verdict(screen, checked)
    text = shown(screen)
    assert "PASSED  model.keras" in text
    assert "  not run training mode: [none] was saved." in text
    assert "  model   models/model.keras" in text
    assert "report" not in text


def test_the_verdict_comes_first(screen):
    record = EvaluationRecord(
        class_names=("a", "b"), results=(measured(CANDIDATE, 28),)
    )
    display.print_verdict(screen, made(GAP, evaluation=record, not_run=("x: y.",)))
    assert shown(screen).strip().startswith("BLOCKED  digits: mode_gap")


def test_both_splits_are_shown_and_the_worst_slice(screen):
    def at(split, right, slice=""):
        changes = {"split": split, "slice": slice}
        return measured(CANDIDATE, right).model_copy(update=changes)

    record = EvaluationRecord(
        class_names=("a", "b"),
        results=(
            at("train", 99),
            at("eval", 90),
            at("eval", 20, "site=[b]"),
            at("eval", 95, "site=a"),
        ),
    )
    display.print_verdict(screen, made(evaluation=record))
    text = shown(screen)
    use = "  use     accuracy 90.0% on 100 eval examples\n"
    trained = "  trained accuracy 99.0% on 100 train examples\n"
    assert text.index(use) < text.index(trained)
    assert "2 judged; the worst is site=[b]: accuracy 20.0% on 100 eval" in text


def test_a_model_that_predicts_nothing_finite_has_no_accuracy(screen):
    nothing = measured(CANDIDATE, 0).model_copy(
        update={"confusion": ((0, 0), (0, 0)), "num_not_finite": 100}
    )
    record = EvaluationRecord(class_names=("a", "b"), results=(nothing,))
    display.print_verdict(screen, made(evaluation=record))
    assert "nan" not in shown(screen)
    assert "for want of finite predictions, on 100 eval examples" in shown(screen)


def test_control_characters_of_the_data_do_not_reach_the_terminal(screen):
    hostile = "\x1b]0;owned\x07\x1b[2J"
    finding = find(
        "dead_class",
        f"Class {hostile} is dead.",
        subject=Subject(class_name=hostile),
        remedy=hostile,
    )
    checked = made(finding, name=hostile, not_run=(hostile,), model=hostile)
    display.print_verdict(screen, checked)
    assert "\x1b]" not in shown(screen)
    assert "\x1b[2J" not in shown(screen)
    assert "\x07" not in shown(screen)


def test_square_brackets_of_the_data_are_shown_as_they_are(screen):
    display.print_verdict(screen, made(NOTE))
    assert "[1 of 100]" in shown(screen)


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
        good = made(*findings, blessed=True, remedies=(remedy(**changes),))
        display.print_verdict(screen, good)
        text = shown(screen)
        assert outcome in text
        assert "not_a_number" in text
        assert "The loss became NaN [epoch 5]." in text
        assert change in text


def test_a_training_that_needed_no_remedy_adds_nothing(screen):
    display.print_verdict(screen, made(blessed=True))
    assert "what was found" not in shown(screen)


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
