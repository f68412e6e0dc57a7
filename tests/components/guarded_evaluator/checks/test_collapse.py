# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.causes import Severity
from components.guarded_evaluator.checks import (
    CHECKS,
    check_collapse,
    check_constant_output,
    check_dead_classes,
    check_signal,
)
from components.guarded_evaluator.decision import decide

NAN = float("nan")


def causes_of(evidence):
    return [finding.cause for finding in decide(evidence, CHECKS).blocking]


def one_answer(counts, answer=0):
    confusion = np.zeros((len(counts), len(counts)), int)
    confusion[:, answer] = counts
    return confusion


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_a_healthy_model_passes(make_evidence, diagonal, num_classes):
    counts, hits = [20] * num_classes, [17] * num_classes
    assert decide(make_evidence(diagonal(counts, hits)), CHECKS).findings == ()


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_one_answer_on_balanced_data_is_collapse(make_evidence, num_classes):
    evidence = make_evidence(one_answer([20] * num_classes))
    [finding] = check_collapse(evidence)
    assert causes_of(evidence)[0] == "collapse"
    assert (finding.subject.class_name, finding.measured) == ("c0", 0)
    assert f"to {20 * num_classes} of {20 * num_classes} eval" in finding.message
    assert finding.evidence["never_predicted"][0] == "c1"


def test_all_negative_on_one_percent_positives_is_collapse(make_evidence):
    assert causes_of(make_evidence(one_answer([990, 10]))) == ["collapse", "no_signal"]


def test_one_percent_positives_with_recall_of_four_fifths_pass(make_evidence):
    evidence = make_evidence([[985, 5], [2, 8]])
    assert decide(evidence, CHECKS).findings == ()


@pytest.mark.parametrize(
    ("leaving", "collapses"), [(0, True), (49, True), (50, False), (51, False)]
)
def test_a_class_left_a_tenth_as_often_as_due_is_the_limit(
    make_evidence, leaving, collapses
):
    evidence = make_evidence([[500, 0], [500 - leaving, leaving]])
    assert [f.measured for f in check_collapse(evidence)] == (
        [leaving / 500] if collapses else []
    )


@pytest.mark.parametrize(("count", "collapses"), [(2, False), (9, False), (20, True)])
def test_few_examples_do_not_make_a_collapse(make_evidence, count, collapses):
    evidence = make_evidence(one_answer([990, count]))
    assert bool(list(check_collapse(evidence))) == collapses
    # Not seen to collapse is not seen to be good.
    assert not decide(evidence, CHECKS).passed


def test_one_class_alone_in_the_split_is_no_collapse(make_evidence):
    evidence = make_evidence(one_answer([100, 0]))
    assert list(check_collapse(evidence)) == []
    assert causes_of(evidence) == ["insufficient_evidence"]


@pytest.mark.parametrize("check", [check_collapse, check_dead_classes])
def test_nothing_to_count_is_not_judged(make_evidence, check):
    with pytest.raises(ValueError, match="no predictions of the candidate"):
        list(check(make_evidence(one_answer([0, 0]))))


@pytest.mark.parametrize(
    ("spread", "blocks"), [(0.0, 1), (0.99e-3, 1), (1e-3, 0), (0.3, 0), (NAN, 1)]
)
def test_equal_outputs_block(make_evidence, diagonal, spread, blocks):
    evidence = make_evidence(diagonal([50, 50], [45, 45]), spread=spread)
    found = list(check_constant_output(evidence))
    assert [f.cause for f in found] == ["constant_output"] * blocks


def test_one_example_has_no_spread_to_judge(make_evidence):
    evidence = make_evidence([[1, 0], [0, 0]], spread=0.0)
    assert list(check_constant_output(evidence)) == []
    assert causes_of(evidence) == ["insufficient_evidence"] * 2


def test_a_class_never_predicted_is_dead(make_evidence):
    confusion = np.array([[36, 4, 0], [4, 36, 0], [20, 20, 0]])
    evidence = make_evidence(confusion)
    [finding] = check_dead_classes(evidence)
    assert finding.blocks
    assert finding.subject.class_name == "c2"
    assert "'c2' (0 of 40 found, never predicted)" in finding.message


def test_several_dead_classes_are_one_finding(make_evidence):
    confusion = np.zeros((10, 10), int)
    confusion[:, 0], confusion[:, 1] = 10, 10
    [finding] = check_dead_classes(make_evidence(confusion))
    assert finding.message.startswith("8 of 10 classes")
    assert finding.evidence["classes"] == [f"c{k}" for k in range(2, 10)]
    assert finding.subject.class_name is None


@pytest.mark.parametrize(
    ("hits", "count", "severity"),
    [
        (0, 5, Severity.WARN),
        (0, 20, Severity.WARN),
        (0, 21, Severity.BLOCK),
        (1, 20, Severity.WARN),
        (4, 100, Severity.BLOCK),
        (9, 100, Severity.BLOCK),
        (10, 100, None),
        (11, 100, None),
    ],
)
def test_a_recall_below_a_tenth_is_dead_if_it_is_sure(
    make_evidence, hits, count, severity
):
    confusion = np.diag([300, 300, hits])
    # Predicted now and then, but for others.
    confusion[0, 2] += count
    confusion[2, 0] += count - hits
    found = list(check_dead_classes(make_evidence(confusion)))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_a_class_without_examples_is_not_called_dead(make_evidence):
    evidence = make_evidence(np.diag([50, 50, 0]))
    assert list(check_dead_classes(evidence)) == []


def test_a_collapse_is_not_told_again_as_dead_classes(make_evidence):
    assert list(check_dead_classes(make_evidence(one_answer([30] * 10)))) == []


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


@given(st.data())
def test_an_answer_that_ignores_the_input_never_passes(make_evidence, data):
    size = data.draw(st.integers(2, 12))
    counts = data.draw(
        st.lists(st.integers(0, 400), min_size=size, max_size=size).filter(any)
    )
    answer = data.draw(st.integers(0, size - 1))
    assert not decide(make_evidence(one_answer(counts, answer)), CHECKS).passed
