# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from components.causes import Severity
from components.findings import Verdict
from components.guarded_evaluator.checks import CHECKS, check_slices
from components.guarded_evaluator.decision import decide
from components.records.evaluation import UnjudgedSlice

NUM_EXAMPLES = 600
LABELS = np.arange(NUM_EXAMPLES) % 3
SITES = np.arange(NUM_EXAMPLES) // 3 % 4
BY_SITE = {f"site={site}": np.flatnonzero(SITES == site) for site in range(4)}


def healthy(seed=0):
    """Answers of which nine of ten are right."""
    rng = np.random.default_rng(seed)
    wrong = (LABELS + rng.integers(1, 3, NUM_EXAMPLES)) % 3
    return np.where(rng.random(NUM_EXAMPLES) < 0.9, LABELS, wrong)


def by_site(make_evidence, answers=None, **settings):
    return make_evidence(
        (LABELS, healthy() if answers is None else answers),
        num_classes=3,
        **{"by_slice": BY_SITE, "slices": ("site",), **settings},
    )


def told(findings):
    return [(f.cause, f.subject.slice, f.severity.value) for f in findings]


def test_healthy_slices_are_no_findings(make_evidence):
    assert decide(by_site(make_evidence), CHECKS) == Verdict()


def test_without_slices_there_is_nothing_to_say(make_evidence):
    evidence = make_evidence((LABELS, healthy()), num_classes=3)
    assert list(check_slices(evidence)) == []


def test_a_collapse_in_one_slice_blocks(make_evidence):
    answers = np.where(SITES == 2, 0, healthy())
    [finding] = check_slices(by_site(make_evidence, answers))
    assert told([finding]) == [("collapse", "site=2", "block")]
    assert finding.message.startswith("In the slice site=2: the model answers 'c0'")
    assert finding.subject.class_name == "c0"


def test_a_collapse_of_the_whole_is_not_told_by_slice(make_evidence):
    verdict = decide(by_site(make_evidence, np.zeros(NUM_EXAMPLES, int)), CHECKS)
    assert {f.subject.slice for f in verdict.findings} == {None}


def test_equal_outputs_in_one_slice_block(make_evidence):
    evidence = by_site(make_evidence, spreads={"site=1": 1e-4})
    assert told(check_slices(evidence)) == [("constant_output", "site=1", "block")]


def test_equal_outputs_for_examples_of_one_class_are_right(make_evidence):
    rows = {"kind=a": np.flatnonzero(LABELS == 1), "kind=b": np.arange(300)}
    evidence = by_site(
        make_evidence, LABELS, by_slice=rows, slices=("kind",), spreads={"kind=a": 0}
    )
    assert list(check_slices(evidence)) == []


def test_a_class_dead_in_one_slice_blocks(make_evidence):
    answers = np.where((SITES == 3) & (LABELS == 2), 1, healthy())
    assert told(check_slices(by_site(make_evidence, answers))) == [
        ("dead_class", "site=3", "block")
    ]


def test_a_mode_gap_in_one_slice_blocks(make_evidence):
    lost = (SITES == 0) & (np.arange(NUM_EXAMPLES) < 300)
    answers = np.where(lost, (LABELS + 1) % 3, healthy())
    training = np.where(SITES == 0, LABELS, answers)
    whole_is_well = by_site(
        make_evidence, answers, batch_statistics=training, max_mode_gap=0.3
    )
    assert told(check_slices(whole_is_well)) == [("mode_gap", "site=0", "block")]


def test_a_model_in_production_that_is_better_in_one_slice_blocks(make_evidence):
    old = healthy()
    answers = old.copy()
    rows = BY_SITE["site=1"][:40]
    answers[rows] = (LABELS[rows] + 1) % 3
    evidence = by_site(make_evidence, answers, baseline=old, max_accuracy_drop=0.08)
    assert told(check_slices(evidence)) == [("below_threshold", "site=1", "block")]


@pytest.mark.parametrize(
    ("wrong", "severity"),
    [(0, None), (30, None), (40, "warn"), (75, "block"), (110, "block")],
)
def test_an_accuracy_far_below_the_rest_is_told(make_evidence, wrong, severity):
    # Of 150 examples; a fifth more than elsewhere is too much, and blocks if sure.
    answers = LABELS.copy()
    rows = np.random.default_rng(0).permutation(BY_SITE["site=2"])[:wrong]
    answers[rows] = (LABELS[rows] + 1 + np.arange(wrong) % 2) % 3
    found = list(check_slices(by_site(make_evidence, answers)))
    expected = [("weak_slice", "site=2", severity)] if severity else []
    assert told(found) == expected
    if found:
        assert found[0].measured == pytest.approx(wrong / 150)


def test_a_slice_of_hard_classes_is_not_weak(make_evidence):
    # Class 2 is recognised half the time everywhere; the slice holds little else.
    half = np.random.default_rng(0).random(NUM_EXAMPLES) < 0.5
    hard = (LABELS == 2) & half
    answers = np.where(hard, 0, LABELS)
    mostly_hard = np.r_[np.flatnonzero(LABELS == 2)[:100], np.arange(0, 30)]
    evidence = by_site(
        make_evidence, answers, by_slice={"site=0": mostly_hard, **BY_SITE}
    )
    assert list(check_slices(evidence)) == []


def test_a_slice_that_is_the_whole_split_has_no_rest(make_evidence):
    evidence = by_site(make_evidence, by_slice={"site=0": np.arange(NUM_EXAMPLES)})
    assert list(check_slices(evidence)) == []


def test_many_slices_ask_for_more_evidence(make_evidence):
    # 10 examples outside the answered class: 0 of them found is 0.4 % by chance.
    labels = np.r_[np.zeros(90, int), np.ones(10, int), np.tile([0, 1], 1000)]
    answers = np.r_[np.zeros(100, int), np.tile([0, 1], 1000)]
    one = {"site=0": np.arange(100)}
    more = {f"site={k}": np.arange(100 * k, 100 * (k + 1)) for k in range(1, 20)}

    def causes(slices):
        evidence = make_evidence(
            (labels, answers), num_classes=2, by_slice=slices, slices=("site",)
        )
        return [f.cause for f in check_slices(evidence)]

    assert causes(one) == ["collapse"]
    assert causes({**one, **more}) == []


def test_more_than_five_slices_with_the_same_failure_are_counted(make_evidence):
    rows = {f"site={k:02}": np.arange(60 * k, 60 * (k + 1)) for k in range(10)}
    answers = np.where(np.arange(NUM_EXAMPLES) < 420, 0, LABELS)
    evidence = by_site(make_evidence, answers, by_slice=rows, min_leaving_share=0.05)
    found = [f for f in check_slices(evidence) if f.cause == "collapse"]
    assert len(found) == 5
    assert found[0].evidence["more_slices"] == ["site=05", "site=06"]
    assert "in 6 other slices" in found[0].message


@pytest.mark.parametrize(("size", "listed"), [(1, 1), (29, 1), (30, 0)])
def test_slices_too_small_to_judge_are_listed(make_evidence, size, listed):
    rows = {**BY_SITE, "site=9": np.arange(size)}
    evidence = by_site(make_evidence, by_slice=rows)
    found = list(check_slices(evidence))
    assert [(f.cause, f.severity) for f in found] == [
        ("insufficient_evidence", Severity.INFO)
    ] * listed


def test_a_feature_asked_for_of_which_no_slice_could_be_judged_blocks(make_evidence):
    nothing = by_site(make_evidence, by_slice={})
    small = by_site(make_evidence, by_slice={"site=0": np.arange(9)})
    reason = UnjudgedSlice(slice="site", reason="it has 500 values, more than 100")
    refused = by_site(make_evidence, by_slice={}, unjudged=[reason])
    for evidence, cause, words in (
        (nothing, "check_failed", "nothing was measured by it"),
        (small, "insufficient_evidence", "none of its 1 slices has 30 examples"),
        (refused, "check_failed", "it has 500 values, more than 100"),
    ):
        [finding] = [f for f in check_slices(evidence) if f.blocks]
        assert (finding.cause, finding.subject.slice) == (cause, "site")
        assert finding.message.endswith(f"could not be judged: {words}.")


def test_single_values_that_were_not_judged_are_listed(make_evidence):
    left = UnjudgedSlice(slice="site=x", reason="it has 3 examples")
    [finding] = check_slices(by_site(make_evidence, unjudged=[left]))
    assert finding.severity is Severity.INFO
    assert "site=x (it has 3 examples)" in finding.message


def test_an_empty_slice_is_listed(make_evidence):
    evidence = by_site(make_evidence, by_slice={**BY_SITE, "site=z": np.arange(0)})
    assert [f.measured for f in check_slices(evidence)] == [0]


def test_a_slice_that_was_not_measured_in_a_mode_is_not_judged(make_evidence):
    evidence = by_site(make_evidence)
    record = evidence.evaluation
    results = tuple(
        r for r in record.results if (r.model, r.slice) != ("training", "site=1")
    )
    cut = dataclasses.replace(
        evidence, evaluation=record.model_copy(update={"results": results})
    )
    with pytest.raises(LookupError, match="in the slice site=1"):
        list(check_slices(cut))
