# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.causes import Severity
from components.guarded_evaluator.checks import check_signal, check_underfit

NAN = float("nan")


@pytest.mark.parametrize(
    ("hits", "signal"), [(50, False), (55, False), (62, True), (100, True)]
)
def test_guessing_is_no_signal(make_evidence, hits, signal):
    evidence = make_evidence([[hits, 100 - hits], [100 - hits, hits]])
    assert [f.cause for f in check_signal(evidence)] == ["no_signal"] * (not signal)


def test_worse_than_guessing_is_no_signal(make_evidence):
    assert [f.cause for f in check_signal(make_evidence([[9, 91], [91, 9]]))] == [
        "no_signal"
    ]


def test_rare_hits_among_many_classes_are_a_signal(make_evidence, diagonal):
    evidence = make_evidence(diagonal([100] * 100, [15] * 100))
    assert list(check_signal(evidence)) == []


def test_too_few_examples_to_tell_a_signal_are_said_to_be_few(make_evidence):
    [finding] = check_signal(make_evidence([[197, 1], [1, 1]]))
    assert (finding.cause, finding.blocks) == ("insufficient_evidence", True)


@pytest.mark.parametrize(("right", "signal"), [(0.001, False), (0.02, True)])
def test_one_in_fifty_of_a_thousand_classes_is_a_signal(make_evidence, right, signal):
    # Two examples of each class are enough to see it, in all of them together.
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1000), 2)
    hit = np.arange(2000) % int(1 / right) == 0
    predicted = np.where(hit, labels, (labels + rng.integers(1, 1000, 2000)) % 1000)
    evidence = make_evidence((labels, predicted), num_classes=1000, modes=False)
    assert (not list(check_signal(evidence))) == signal


def test_two_classes_of_few_examples_are_judged_exactly(make_evidence):
    # All six right of three and three: one pairing of twenty, which may be chance;
    # of five and five, one of 252.
    [finding] = check_signal(make_evidence(np.diag([3, 3])))
    assert finding.cause == "insufficient_evidence"
    assert finding.evidence["p_value"] == pytest.approx(1 / 20, abs=0.02)
    assert list(check_signal(make_evidence(np.diag([5, 5])))) == []


def test_no_signal_tells_that_training_examples_are_not_known_either(make_evidence):
    guessing = [[50, 50], [50, 50]]
    [finding] = check_signal(make_evidence(guessing, guessing))
    assert finding.message.endswith("On 200 train examples it is 50.0%.")


@pytest.mark.parametrize(
    ("hits", "severity"),
    [
        (500, Severity.WARN),
        (700, Severity.WARN),
        (740, None),  # Below the limit, and may be chance.
        (750, None),  # Exactly the limit: half of the way from 0.5 to 1.
        (990, None),
    ],
)
def test_poor_on_the_very_training_examples_is_underfit(make_evidence, hits, severity):
    wrong = 1000 - hits
    train = [[hits, wrong], [wrong, hits]]
    found = list(check_underfit(make_evidence(np.diag([50, 50]), train)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.subject.split == "train" for f in found)


@pytest.mark.parametrize(
    ("train", "spread"), [([[90, 0], [90, 0]], 0.3), ([[50, 50]] * 2, 0.0)]
)
def test_what_a_collapse_says_is_not_told_again(make_evidence, train, spread):
    evidence = make_evidence(np.diag([50, 50]), train, train_spread=spread)
    assert list(check_underfit(evidence)) == []


def test_one_class_alone_cannot_be_underfit(make_evidence):
    evidence = make_evidence(np.diag([50, 50]), [[0, 0], [90, 0]])
    assert list(check_underfit(evidence)) == []


def test_an_empty_training_split_is_not_judged(make_evidence):
    evidence = make_evidence(np.diag([50, 50]), np.zeros((2, 2), int))
    with pytest.raises(ValueError, match="no predictions"):
        list(check_underfit(evidence))
