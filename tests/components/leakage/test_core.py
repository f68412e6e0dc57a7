# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.causes import Severity
from components.leakage import core
from components.leakage.config import LeakageConfig
from components.leakage.core import judge
from components.leakage.summary import Group, SplitCounts, Summary

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def group(fingerprint, **examples):
    return Group(
        fingerprint=fingerprint,
        examples=examples,
        num_labels=1,
        labels={split: {"1": count} for split, count in examples.items()},
    )


def summary(shared=0, conflicting=0, train=200, evaluated=100, groups=()):
    return Summary(
        splits={
            "train": SplitCounts(examples=train, contents=train),
            "eval": SplitCounts(
                examples=evaluated,
                contents=evaluated,
                shared_examples=shared,
                shared_contents=shared,
                conflicting_examples=conflicting,
            ),
        },
        conflicting_contents=conflicting // 2,
        outvoted_examples=conflicting // 2,
        shared={"eval": groups},
    )


def judged(counted, **config):
    return list(judge(counted, "label", LeakageConfig(**config)))


def test_clean_splits_have_no_findings():
    assert judged(summary()) == []


@pytest.mark.parametrize(
    ("shared", "limit", "severities"),
    [
        pytest.param(0, 0.0, [], id="none"),
        pytest.param(1, 0.0, [BLOCK], id="one-where-none-is-allowed"),
        pytest.param(4, 0.05, [INFO], id="below-the-limit"),
        pytest.param(5, 0.05, [INFO], id="exactly-at-the-limit"),
        pytest.param(6, 0.05, [BLOCK], id="just-beyond-the-limit"),
        pytest.param(100, 1.0, [INFO], id="all-where-all-are-allowed"),
    ],
)
def test_shared_examples_are_held_against_the_limit(shared, limit, severities):
    findings = judged(summary(shared=shared), max_duplicate_share=limit)
    assert [finding.severity for finding in findings] == severities
    for finding in findings:
        assert finding.cause == "duplicate_leakage"
        assert finding.measured == shared / 100
        assert finding.limit == limit
        assert finding.unit == "share"
        assert finding.subject.split == "eval"


def test_message_tells_counts_and_shares_however_small():
    (finding,) = judged(summary(shared=1, evaluated=1_000_000))
    assert finding.message == (
        "1 of 1000000 examples of split eval (0.0001 %) also stand in split train "
        "(different contents: 1); allowed are at most 0 %."
    )


@given(st.integers(1, 500), st.integers(0, 500))
def test_interval_holds_the_share(shared, others):
    (finding,) = judged(summary(shared=shared, evaluated=shared + others))
    low, high = finding.evidence["share_interval_95"]
    assert 0 <= low <= finding.measured <= high <= 1


def test_interval_is_that_of_clopper_and_pearson():
    (finding,) = judged(summary(shared=10))
    # R: binom.test(10, 100)$conf.int
    assert finding.evidence["share_interval_95"] == pytest.approx(
        [0.04900469, 0.17622260], abs=1e-7
    )


def test_each_split_but_the_reference_is_judged():
    counts = SplitCounts(examples=10, shared_examples=1, shared_contents=1)
    splits = {"fit": SplitCounts(examples=9), "eval": counts, "test": counts}
    shared = {
        "eval": (group("e", fit=1, eval=1),),
        "test": (group("t", fit=1, test=1),),
    }
    findings = judged(Summary(splits=splits, shared=shared), reference_split="fit")
    assert [finding.subject.split for finding in findings] == ["eval", "test"]
    assert [f.evidence["groups"][0]["fingerprint"] for f in findings] == ["e", "t"]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_evidence_is_bounded(most):
    groups = tuple(group(str(n), train=1, eval=1) for n in range(3))
    counted = summary(shared=3, groups=groups)
    (finding,) = judged(counted, max_evidence=most)
    assert len(finding.evidence["groups"]) == most
    assert finding.evidence["num_groups"] == 3


@pytest.mark.parametrize(
    ("conflicting", "limit", "severity"),
    [
        pytest.param(100, None, WARN, id="no-limit"),
        pytest.param(2, 0.0, BLOCK, id="two-where-none-is-allowed"),
        pytest.param(30, 0.1, WARN, id="exactly-at-the-limit"),
        pytest.param(32, 0.1, BLOCK, id="just-beyond-the-limit"),
    ],
)
def test_conflicts_warn_and_block_beyond_a_limit(conflicting, limit, severity):
    (finding,) = judged(summary(conflicting=conflicting), max_conflict_share=limit)
    assert finding.cause == "conflicting_labels"
    assert finding.severity is severity
    assert finding.measured == conflicting / 300
    assert finding.limit == limit
    assert finding.subject.feature == "label"
    best = 1 - conflicting / 2 / 300
    assert finding.evidence["highest_possible_accuracy"] == pytest.approx(best)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        pytest.param({"evaluated": 0}, [("insufficient_evidence", "eval")], id="eval"),
        pytest.param({"train": 0}, [("check_failed", "train")], id="train"),
        pytest.param(
            {"train": 0, "evaluated": 0},
            [("check_failed", "train"), ("insufficient_evidence", "eval")],
            id="both",
        ),
    ],
)
def test_empty_split_blocks(counts, found):
    findings = judged(summary(**counts))
    assert [(f.cause, f.subject.split) for f in findings] == found
    assert all(finding.blocks for finding in findings)


def test_single_split_blocks():
    (finding,) = judged(Summary(splits={"train": SplitCounts(examples=5)}))
    assert finding.blocks
    assert "no second split to compare with" in finding.message


def test_check_that_raises_blocks_and_the_others_still_run(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("nothing left")

    monkeypatch.setattr(core, "judge_duplicates", broken)
    failed, conflicts = judged(summary(shared=1, conflicting=2))
    assert (failed.cause, failed.blocks) == ("check_failed", True)
    assert "duplicate leakage could not run: ZeroDivisionError" in failed.message
    assert conflicts.cause == "conflicting_labels"
