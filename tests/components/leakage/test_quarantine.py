# SPDX-License-Identifier: Apache-2.0
import pytest

from components.causes import Severity
from components.leakage import core, quarantine
from components.leakage.config import LeakageConfig
from components.leakage.quarantine import KEPT, expected_counts, settle
from components.leakage.summary import KeyCounts, Oddities, Summary, Tally, TimeCounts

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def tally(shared, evaluated=100):
    counts = KeyCounts(
        examples=evaluated,
        distinct=evaluated,
        shared_examples=shared,
        shared_distinct=shared,
    )
    splits = {"train": KeyCounts(examples=200, distinct=200), "eval": counts}
    return Tally(splits=splits)


SUMMARY = Summary(
    contents=tally(3),
    near=tally(1),
    groups=tally(40),
    times={
        "train": TimeCounts(examples=200, newest="9"),
        "eval": TimeCounts(examples=100, older_examples=7),
    },
    oddities={"eval": Oddities(time_kinds={"integer": 100})},
)
COUNTS = {
    ("eval", "duplicate_leakage"): 3,
    ("eval", "near_duplicate_leakage"): 1,
    ("eval", "group_leakage"): 40,
    ("eval", "temporal_leakage"): 7,
    ("eval", KEPT): 55,
}
CONFIG = LeakageConfig(group="patient", time="day")


def settled(counts, summary=SUMMARY, config=CONFIG):
    findings = list(core.judge(summary, "label", config))
    return list(settle(findings, summary, counts, config))


def test_what_was_left_out_warns_and_no_longer_blocks():
    findings = settled(COUNTS)
    assert [finding.cause for finding in findings] == list(quarantine.LEAKS)
    assert {finding.severity for finding in findings} == {WARN}
    for finding in findings:
        left_out = COUNTS["eval", finding.cause]
        assert finding.evidence["num_left_out"] == left_out
        assert f"{left_out} of 100 examples of split eval were left out" in (
            finding.message
        )


def test_leaks_that_are_counted_are_those_to_be_left_out():
    wanted = {key: count for key, count in COUNTS.items() if key[1] != KEPT}
    assert expected_counts(SUMMARY, CONFIG) == wanted


@pytest.mark.parametrize("came", [None, 0, 39, 41])
def test_another_number_than_was_counted_blocks(came):
    counts = {**COUNTS, ("eval", "group_leakage"): came}
    if came is None:
        del counts["eval", "group_leakage"]
    *_, failed = settled(counts)
    assert (failed.cause, failed.blocks) == ("check_failed", True)
    assert f"but {came or 0} were" in failed.message
    (leak,) = [f for f in settled(counts) if f.cause == "group_leakage"]
    assert leak.severity is BLOCK


def test_leaving_out_what_does_not_leak_blocks():
    summary = Summary(contents=tally(0))
    counts = {("eval", "group_leakage"): 1, ("eval", KEPT): 99}
    (failed,) = settled(counts, summary, LeakageConfig())
    assert failed.cause == "check_failed"


@pytest.mark.parametrize("unreadable", [0, 2])
def test_split_of_which_nothing_is_left_blocks(unreadable):
    summary = Summary(
        contents=tally(100), oddities={"eval": Oddities(unreadable=unreadable)}
    )
    config = LeakageConfig(max_unreadable_share=0.1)
    counts = {("eval", "duplicate_leakage"): 100, ("eval", KEPT): unreadable}
    (empty,) = settle([], summary, counts, config)
    assert (empty.cause, empty.blocks) == ("insufficient_evidence", True)
    assert "All 100 examples of split eval leak" in empty.message


def test_without_leaks_nothing_is_to_be_said():
    summary = Summary(contents=tally(0))
    assert settled({("eval", KEPT): 100}, summary, LeakageConfig()) == []
