# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.guarded_evaluator.checks import (
    CHECKS,
    check_collapse,
    check_constant_output,
    check_dead_classes,
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
    # And that the classes are uneven is why.
    assert causes_of(make_evidence(one_answer([990, 10]))) == [
        "class_imbalance",
        "collapse",
        "no_signal",
    ]


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
    assert causes_of(evidence) == ["insufficient_evidence"]


@settings(deadline=None)  # Judging it all takes long on a busy machine.
@given(st.data())
def test_an_answer_that_ignores_the_input_never_passes(make_evidence, data):
    size = data.draw(st.integers(2, 12))
    counts = data.draw(
        st.lists(st.integers(0, 400), min_size=size, max_size=size).filter(any)
    )
    answer = data.draw(st.integers(0, size - 1))
    assert not decide(make_evidence(one_answer(counts, answer)), CHECKS).passed


@pytest.mark.parametrize(
    ("num_classes", "spread", "blocks"),
    [(10, 0.5e-3, True), (10, 0.61e-3, False), (1000, 6e-5, True), (1000, 7e-5, False)],
)
def test_of_many_classes_each_varies_less(make_evidence, num_classes, spread, blocks):
    # A perfect model of K equal classes has a spread of sqrt(K - 1) / K.
    evidence = make_evidence(np.eye(num_classes, dtype=int), spread=spread)
    assert bool(list(check_constant_output(evidence))) == blocks


def test_answers_that_are_equal_and_certain_are_said_to_be_of_one_unit(make_evidence):
    evidence = make_evidence(
        one_answer([50, 50]), spread=0.0, judged_fields={"num_saturated": 100}
    )
    [finding] = check_constant_output(evidence)
    assert finding.message.endswith("as of a softmax over one unit.")
