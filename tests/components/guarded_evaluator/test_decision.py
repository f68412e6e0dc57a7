# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from components import causes
from components.findings import Verdict, find
from components.guarded_evaluator import decision
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.decision import decide
from components.records.evaluation import BASELINE, CANDIDATE

names = [check.__name__ for check in CHECKS]


@pytest.fixture(scope="module")
def healthy(make_evidence, diagonal):
    return make_evidence(diagonal([50, 40, 60], [48, 38, 57]))


@pytest.fixture(scope="module")
def collapsed(make_evidence):
    return make_evidence([[100, 0, 0], [100, 0, 0], [100, 0, 0]])


def raising(check):
    def raises(evidence):
        yield from check(evidence)
        raise OverflowError("the check is broken")

    raises.__name__ = check.__name__
    return raises


def test_a_healthy_model_gets_no_findings(healthy):
    assert decide(healthy, CHECKS) == Verdict()


@pytest.mark.parametrize("broken", CHECKS, ids=names)
def test_a_check_that_raises_blocks_and_the_others_still_run(collapsed, broken):
    checks = [raising(check) if check is broken else check for check in CHECKS]
    verdict = decide(collapsed, checks)
    [failed] = [f for f in verdict.findings if f.cause == "check_failed"]
    assert failed.blocks
    assert failed.found_by == f"GuardedEvaluator: {broken.__name__[6:]}"
    assert "OverflowError: the check is broken" in failed.message
    others = [finding for finding in verdict.findings if finding is not failed]
    # Also what the broken check had found before it broke.
    assert others == list(decide(collapsed, CHECKS).findings)


@pytest.mark.parametrize("broken", CHECKS, ids=names)
def test_one_broken_check_keeps_a_healthy_model_back(healthy, broken):
    checks = [raising(check) if check is broken else check for check in CHECKS]
    assert [f.cause for f in decide(healthy, checks).blocking] == ["check_failed"]


@pytest.mark.parametrize("check", CHECKS, ids=names)
def test_no_check_passes_what_was_not_measured(healthy, without, check):
    unmeasured = without(without(healthy, split="eval"), split="train")
    assert not decide(unmeasured, [check]).passed


def test_no_candidate_blocks(healthy, without):
    assert not decide(without(healthy, model=CANDIDATE), CHECKS).passed


def test_an_empty_evaluation_split_blocks(make_evidence):
    nothing = np.zeros((3, 3), int)
    verdict = decide(make_evidence(nothing, [[9, 0, 0]] * 3), CHECKS)
    assert {"insufficient_evidence", "check_failed"} <= {
        finding.cause for finding in verdict.blocking
    }


def test_a_root_cause_that_cannot_be_looked_for_blocks(healthy, monkeypatch):
    def broken(findings, evidence):
        raise OverflowError("no reason to be found")

    monkeypatch.setattr(decision, "explain", broken)
    [failed] = decide(healthy, CHECKS).blocking
    assert failed.cause == "check_failed"
    assert "no reason to be found" in failed.message


def test_findings_stand_with_the_root_cause_first(collapsed):
    upstream = (find("missing_class", "c1 is absent"), find("low_variance", "flat"))
    verdict = decide(dataclasses.replace(collapsed, upstream=upstream), CHECKS)
    assert [f.cause for f in verdict.blocking] == [
        "missing_class",
        "collapse",
        "no_signal",
    ]
    assert verdict.findings[-1].cause == "low_variance"


def test_upstream_alone_blocks_a_healthy_model(healthy):
    upstream = (find("duplicate_leakage", "the same example is in both splits"),)
    verdict = decide(dataclasses.replace(healthy, upstream=upstream), CHECKS)
    assert verdict.blocking == upstream


def test_every_finding_names_its_check_and_survives_json(make_evidence):
    awful = make_evidence(
        [[0, 300, 0], [0, 300, 0], [2, 300, 0]],
        np.diag([300, 300, 300]),
        training_mode=[0] * 300 + [1] * 300 + [2] * 302,
        baseline=[0] * 300 + [1] * 300 + [2] * 302,
        distance=0.7,
        alone=0.5,
        spread=0.0,
        num_not_finite=3,
        min_accuracy=0.5,
        min_eval_examples=2000,
    )
    verdict = decide(awful, CHECKS)
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert {f.cause for f in verdict.findings} == {
        "not_a_number",
        "mode_gap",
        "batch_dependence",
        "overfit",
        "constant_output",
        "collapse",
        "no_signal",
        "below_threshold",
        "insufficient_evidence",
    }
    assert all(f.found_by.startswith("GuardedEvaluator: ") for f in verdict.findings)
    ranks = [causes.rank(f.cause) for f in verdict.findings]
    assert ranks == sorted(ranks)
    assert awful.evaluation.result(BASELINE, "eval").accuracy == 1
