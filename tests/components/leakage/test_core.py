# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.causes import Severity
from components.leakage import core
from components.leakage.config import LeakageConfig
from components.leakage.core import judge
from components.leakage.summary import (
    Group,
    KeyCounts,
    Oddities,
    Place,
    Summary,
    Tally,
    TimeCounts,
)

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO
PLACE = Place(file="a.gz", position=7, reason="zero bytes", row="path='x.png'")


def group(fingerprint, **examples):
    return Group(
        fingerprint=fingerprint,
        examples=examples,
        num_labels=1,
        labels={split: {"1": count} for split, count in examples.items()},
        records={split: ("00" * 8,) for split in examples},
    )


def tally(shared=0, train=200, evaluated=100, groups=(), conflicting=0, repeats=0):
    return Tally(
        splits={
            "train": KeyCounts(examples=train, distinct=train - repeats),
            "eval": KeyCounts(
                examples=evaluated,
                distinct=evaluated,
                shared_examples=shared,
                shared_distinct=shared,
                conflicting_examples=conflicting,
            ),
        },
        conflicting_distinct=conflicting // 2,
        outvoted_examples=conflicting // 2,
        shared={"eval": groups},
    )


def summary(near=None, near_groups=(), grouped=None, times=None, odd=None, **contents):
    return Summary(
        contents=tally(**contents),
        near=None if near is None else tally(near, groups=near_groups),
        groups=None if grouped is None else tally(**grouped),
        times=times,
        oddities=odd or {"train": Oddities(time_kinds={"integer": 1})},
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
    counts = KeyCounts(examples=10, distinct=10, shared_examples=1, shared_distinct=1)
    contents = Tally(
        splits={
            "fit": KeyCounts(examples=9, distinct=9),
            "eval": counts,
            "test": counts,
        },
        shared={
            "eval": (group("e", fit=1, eval=1),),
            "test": (group("t", fit=1, test=1),),
        },
    )
    findings = judged(Summary(contents=contents), reference_split="fit")
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
    contents = Tally(splits={"train": KeyCounts(examples=5, distinct=5)})
    (finding,) = judged(Summary(contents=contents))
    assert finding.blocks
    assert "no second split to compare with" in finding.message


@pytest.mark.parametrize(
    ("repeats", "severities"),
    [
        pytest.param(0, [], id="none"),
        pytest.param(10, [], id="exactly-at-the-limit"),
        pytest.param(11, [INFO], id="just-beyond-the-limit"),
        pytest.param(199, [INFO], id="nearly-all"),
    ],
)
def test_repeats_within_the_reference_inform(repeats, severities):
    findings = judged(summary(repeats=repeats))
    assert [finding.severity for finding in findings] == severities
    for finding in findings:
        assert (finding.cause, finding.subject.split) == ("duplicate_leakage", "train")
        assert finding.measured == repeats / 200


@pytest.mark.parametrize(
    ("near", "limit", "severities"),
    [
        pytest.param(None, 0.01, [], id="not-looked-for"),
        pytest.param(0, 0.01, [], id="none"),
        pytest.param(1, 0.01, [INFO], id="exactly-at-the-limit"),
        pytest.param(2, 0.01, [BLOCK], id="just-beyond-the-limit"),
        pytest.param(1, 0.0, [BLOCK], id="one-where-none-is-allowed"),
    ],
)
def test_near_duplicates_are_held_against_the_limit(near, limit, severities):
    star = group("ab", train=1, eval=2).model_copy(update={"similarity": 0.98})
    findings = judged(
        summary(near=near, near_groups=(star,)), max_near_duplicate_share=limit
    )
    assert [finding.severity for finding in findings] == severities
    for finding in findings:
        assert finding.cause == "near_duplicate_leakage"
        assert finding.measured == near / 100
        assert finding.evidence["groups"][0]["similarity"] == 0.98


@pytest.mark.parametrize(
    ("shared", "limit", "severities"),
    [
        pytest.param(0, 0.0, [], id="none"),
        pytest.param(1, 0.0, [BLOCK], id="one-where-none-is-allowed"),
        pytest.param(5, 0.05, [INFO], id="exactly-at-the-limit"),
        pytest.param(6, 0.05, [BLOCK], id="just-beyond-the-limit"),
    ],
)
def test_shared_groups_are_held_against_the_limit(shared, limit, severities):
    findings = judged(
        summary(grouped={"shared": shared}), group="patient", max_group_share=limit
    )
    assert [finding.severity for finding in findings] == severities
    for finding in findings:
        assert finding.cause == "group_leakage"
        assert finding.measured == shared / 100
        assert finding.subject.feature == "patient"
        assert "feature 'patient' that is also in split train" in finding.message


@pytest.mark.parametrize(
    ("older", "limit", "severities"),
    [
        pytest.param(0, 0.0, [], id="none"),
        pytest.param(1, 0.0, [BLOCK], id="one-where-none-is-allowed"),
        pytest.param(5, 0.05, [INFO], id="exactly-at-the-limit"),
        pytest.param(6, 0.05, [BLOCK], id="just-beyond-the-limit"),
    ],
)
def test_older_examples_are_held_against_the_limit(older, limit, severities):
    times = {
        "train": TimeCounts(examples=200, oldest="1", newest="9"),
        "eval": TimeCounts(
            examples=100,
            older_examples=older,
            oldest="8",
            newest="12",
            oldest_records=("ab",),
        ),
    }
    findings = judged(summary(times=times), time="day", max_older_share=limit)
    assert [finding.severity for finding in findings] == severities
    for finding in findings:
        assert finding.cause == "temporal_leakage"
        assert finding.measured == older / 100
        assert "'day': 8 to 12, against 9" in finding.message
        assert finding.evidence["times"]["train"] == {"oldest": "1", "newest": "9"}
        assert finding.evidence["groups"] == [{"records": {"eval": ["ab"]}}]


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        pytest.param(100, None, id="all"),
        pytest.param(99, "schema_anomaly", id="exactly-at-the-limit"),
        pytest.param(98, "check_failed", id="just-beyond-the-limit"),
        pytest.param(0, "check_failed", id="none"),
    ],
)
@pytest.mark.parametrize("role", ["group", "time"])
def test_examples_of_which_nothing_can_be_told_are_reported(known, cause, role):
    if role == "group":
        counted = summary(grouped={"evaluated": known})
    else:
        times = {"train": TimeCounts(examples=200), "eval": TimeCounts(examples=known)}
        counted = summary(
            times=times,
            odd={
                "train": Oddities(time_kinds={"text": 200}),
                "eval": Oddities(odd_times=1, odd_time_places=(PLACE,)),
            },
        )
    findings = judged(counted, **{role: "x"})
    assert [finding.cause for finding in findings] == ([cause] if cause else [])
    for finding in findings:
        assert finding.severity is (BLOCK if cause == "check_failed" else WARN)
        assert finding.measured == (100 - known) / 100
        assert f"no {role} that can be read in feature 'x'" in finding.message
        assert (role == "time") == ("record 7 of a.gz" in finding.message)


def test_unreadable_records_below_the_limit_warn():
    odd = {"eval": Oddities(unreadable=1, unreadable_places=(PLACE,))}
    (finding,) = judged(summary(odd=odd, evaluated=99), image="image")
    assert (finding.cause, finding.severity) == ("schema_anomaly", WARN)
    assert finding.measured == finding.limit == 0.01
    assert "record 7 of a.gz (path='x.png'): zero bytes" in finding.message
    assert finding.subject.feature == "image"


def test_evidence_can_be_left_out():
    times = {
        "train": TimeCounts(examples=200, newest="9"),
        "eval": TimeCounts(examples=100, older_examples=1, oldest_records=("ab",)),
    }
    counted = summary(shared=1, groups=(group("a", train=1, eval=1),), times=times)
    for finding in judged(counted, time="day", max_evidence=0):
        assert finding.evidence["groups"] == []


def test_check_that_raises_blocks_and_the_others_still_run(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("nothing left")

    monkeypatch.setattr(core, "judge_duplicates", broken)
    failed, conflicts = judged(summary(shared=1, conflicting=2))
    assert (failed.cause, failed.blocks) == ("check_failed", True)
    assert "duplicate leakage could not run: ZeroDivisionError" in failed.message
    assert conflicts.cause == "conflicting_labels"
