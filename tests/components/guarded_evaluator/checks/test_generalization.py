# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.causes import Severity
from components.guarded_evaluator.checks import (
    CHECKS,
    check_overfit,
    check_thresholds,
)
from components.guarded_evaluator.decision import decide


def balanced(accuracy, count=1000):
    """The confusion of a model of two equal classes."""
    hits = round(accuracy * count / 2)
    return [[hits, count // 2 - hits], [count // 2 - hits, hits]]


@pytest.mark.parametrize(
    ("train", "judged", "severity"),
    [
        (0.9, 0.9, None),
        (0.8, 0.9, None),
        (1.0, 0.9, None),
        (0.4, 0.3, None),  # As floats their difference is above 0.1.
        (1.0, 0.88, Severity.WARN),
        (1.0, 0.8, Severity.BLOCK),
        (1.0, 0.5, Severity.BLOCK),
    ],
)
def test_more_than_a_tenth_lost_on_new_examples_is_overfit(
    make_evidence, train, judged, severity
):
    found = list(check_overfit(make_evidence(balanced(judged), balanced(train))))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_the_finding_tells_both_accuracies(make_evidence):
    [finding] = check_overfit(make_evidence(balanced(0.7), balanced(0.99)))
    assert "99.0% on 1000 training examples and 70.0% on 1000" in finding.message
    assert finding.measured == pytest.approx(0.29)


def test_a_small_sample_warns_where_a_large_one_blocks(make_evidence):
    [finding] = check_overfit(make_evidence(balanced(0.8, 30), balanced(1.0)))
    assert finding.severity is Severity.WARN


@pytest.mark.parametrize(
    ("max_train_examples", "severity"),
    [(1000, Severity.BLOCK), (45, Severity.BLOCK), (44, Severity.WARN)],
)
def test_training_examples_are_counted_unless_they_may_be_a_sample(
    make_evidence, max_train_examples, severity
):
    evidence = make_evidence(
        balanced(0.84, 400),
        balanced(1.0, 40),
        max_train_examples=max_train_examples,
    )
    [finding] = check_overfit(evidence)
    assert finding.severity is severity


def test_a_rare_class_learnt_by_heart_is_overfit(make_evidence):
    # 1 % positives: accuracy falls by 0.007, their recall from 1 to 0.3.
    judged, train = [[9900, 0], [70, 30]], [[9900, 0], [0, 100]]
    [finding] = check_overfit(make_evidence(judged, train))
    assert (finding.severity, finding.unit) == (Severity.BLOCK, "mean recall")
    assert finding.measured == pytest.approx(0.35)


def test_answering_the_frequent_class_is_not_learnt_by_heart(make_evidence):
    # 95 % right where 95 % are of the class, half where half are.
    evidence = make_evidence([[500, 0], [500, 0]], [[950, 0], [50, 0]])
    assert list(check_overfit(evidence)) == []
    # The classes that are recognised no worse hide nothing either.
    evidence = make_evidence([[500, 0], [250, 250]], [[950, 0], [0, 50]])
    assert [f.blocks for f in check_overfit(evidence)] == [True]


def test_the_recall_of_a_few_rare_examples_is_noise(make_evidence):
    assert list(check_overfit(make_evidence(np.diag([98, 2]), np.diag([98, 2])))) == []
    assert (
        list(check_overfit(make_evidence([[98, 0], [1, 1]], [[98, 0], [0, 2]]))) == []
    )


@pytest.mark.parametrize("empty", ["eval", "train"])
def test_an_empty_split_is_not_judged(make_evidence, empty):
    nothing = np.zeros((2, 2), int)
    splits = (nothing, balanced(0.9)) if empty == "eval" else (balanced(0.9), nothing)
    with pytest.raises(ValueError, match=f"no predictions .* {empty!r}"):
        list(check_overfit(make_evidence(*splits)))


@pytest.mark.parametrize(
    ("least", "blocks"), [(None, False), (0.89, False), (0.9, False), (0.901, True)]
)
def test_the_accuracy_asked_for_is_held_to(make_evidence, least, blocks):
    found = check_thresholds(make_evidence(balanced(0.9), min_accuracy=least))
    assert [f.cause for f in found] == ["below_threshold"] * blocks


def test_an_empty_split_misses_any_accuracy(make_evidence):
    evidence = make_evidence(np.zeros((2, 2), int), balanced(0.9), min_accuracy=0.0)
    assert [f.cause for f in check_thresholds(evidence)] == ["below_threshold"]


def better_on(evidence_of, gained, lost=0, count=1000):
    """Evidence with a baseline that is right on `gained` more and `lost` fewer."""
    confusion = np.array(balanced(0.8, count))
    labels = np.repeat([0, 1], count // 2)
    predicted = np.repeat([0, 1, 0, 1], confusion.ravel())
    baseline = predicted.copy()
    wrong, right = (
        np.flatnonzero(predicted != labels),
        np.flatnonzero(predicted == labels),
    )
    # Half of them in each class.
    for rows, number in ((wrong, gained), (right, lost)):
        baseline[np.r_[rows[: number // 2], rows[len(rows) - number // 2 :]]] ^= 1
    return evidence_of(confusion, baseline=baseline)


@pytest.mark.parametrize(
    ("gained", "lost", "blocks"),
    [
        (0, 0, False),
        (0, 100, False),
        (20, 0, False),  # Exactly the limit, and sure.
        (24, 0, True),
        (124, 100, False),  # Above the limit, and chance.
        (150, 20, True),
    ],
)
def test_a_model_worse_than_production_blocks(make_evidence, gained, lost, blocks):
    found = list(check_thresholds(better_on(make_evidence, gained, lost)))
    assert [f.cause for f in found] == ["below_threshold"] * blocks
    if found:
        assert found[0].measured == (gained - lost) / 1000
        assert found[0].subject.model == "baseline"


def test_a_rare_class_lost_against_production_blocks(make_evidence):
    # 1 % positives: accuracy falls by 0.006, their recall from 0.9 to 0.3.
    baseline = [0] * 9900 + [1] * 90 + [0] * 10
    evidence = make_evidence([[9900, 0], [70, 30]], baseline=baseline)
    [finding] = check_thresholds(evidence)
    assert (finding.unit, finding.blocks) == ("mean recall", True)
    assert finding.measured == pytest.approx(0.3)


def test_without_a_drop_to_hold_production_is_not_compared(make_evidence):
    confusion = balanced(0.5)
    evidence = make_evidence(
        confusion, baseline=[0] * 500 + [1] * 500, max_accuracy_drop=None
    )
    assert list(check_thresholds(evidence)) == []


def test_a_baseline_as_good_leaves_a_healthy_model_alone(make_evidence):
    evidence = better_on(make_evidence, 10, 10)
    assert decide(evidence, CHECKS).findings == ()
