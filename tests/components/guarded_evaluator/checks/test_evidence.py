# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from components.causes import Severity
from components.guarded_evaluator.checks import (
    CHECKS,
    check_enough_examples,
    check_finite,
)
from components.guarded_evaluator.decision import decide
from components.records.evaluation import CANDIDATE


def summary(findings):
    return [(f.severity, f.unit, f.measured) for f in findings]


@pytest.mark.parametrize(
    ("count", "blocks"), [(1, True), (29, True), (30, False), (31, False)]
)
def test_thirty_examples_are_enough(make_evidence, count, blocks):
    evidence = make_evidence(
        (np.arange(count) % 2, np.arange(count) % 2),
        np.eye(2, dtype=int),
        num_classes=2,
    )
    found = [f for f in check_enough_examples(evidence) if f.unit == "examples"]
    few = [f for f in found if f.blocks]
    assert bool(few) == blocks
    assert all(f.cause == "insufficient_evidence" for f in found)


def test_an_empty_split_blocks(make_evidence):
    found = list(check_enough_examples(make_evidence(np.zeros((2, 2), int))))
    assert summary(found) == [
        (Severity.BLOCK, "examples", 0),
        (Severity.BLOCK, "classes", 0),
    ]


def test_one_class_blocks(make_evidence):
    found = check_enough_examples(make_evidence([[90, 10], [0, 0]]))
    assert summary(found) == [(Severity.BLOCK, "classes", 1)]


def test_a_class_that_is_learnt_but_not_judged_blocks(make_evidence):
    evidence = make_evidence(np.diag([50, 50, 0]), np.diag([50, 50, 1]))
    [finding] = check_enough_examples(evidence)
    assert finding.blocks
    assert finding.message.endswith("how they are recognised: c2.")


def test_an_output_without_examples_anywhere_is_not_missed(make_evidence):
    # Labels from 1 to K leave output 0 of a model unused.
    assert list(check_enough_examples(make_evidence(np.diag([0, 50, 50])))) == []


@pytest.mark.parametrize(("count", "warns"), [(1, True), (4, True), (5, False)])
def test_fewer_than_five_of_a_class_warn(make_evidence, count, warns):
    found = check_enough_examples(make_evidence(np.diag([50, 50, count])))
    assert summary(found) == [(Severity.WARN, "examples", count)] * warns


@pytest.mark.parametrize("count", [0, 1, 100])
def test_any_answer_that_is_not_finite_blocks(make_evidence, count):
    found = list(check_finite(make_evidence(np.diag([50, 50]), num_not_finite=count)))
    assert [(f.cause, f.measured, f.blocks) for f in found] == (
        [("not_a_number", count, True)] if count else []
    )


def test_a_model_that_answers_nothing_finite_is_told_so_and_no_more(make_evidence):
    nothing = np.zeros((2, 2), int)
    evidence = make_evidence(nothing, nothing, num_not_finite=90, modes=False)
    train = evidence.result(CANDIDATE, "train")
    record = evidence.evaluation.model_copy(
        update={
            "results": (
                evidence.result(CANDIDATE, "eval"),
                train.model_copy(update={"num_examples": 90, "num_not_finite": 90}),
            ),
        }
    )
    verdict = decide(dataclasses.replace(evidence, evaluation=record), CHECKS)
    assert {f.cause for f in verdict.findings} == {"not_a_number", "check_failed"}
    failed = [f.found_by for f in verdict.findings if f.cause == "check_failed"]
    # What needs the copy for judging, and what is asked apart from all others.
    assert failed == [
        "GuardedEvaluator: mode_gap",
        "GuardedEvaluator: batch_dependence",
    ]
