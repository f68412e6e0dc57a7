# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_evaluator import intervals
from components.guarded_trainer.rules import measures
from components.guarded_trainer.rules.limits import RuleLimits
from components.records.training import Epoch, ProbeReading


@given(
    st.lists(st.integers(0, 3), min_size=10, max_size=60).filter(
        lambda labels: len(set(labels)) > 1
    ),
    st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4),
)
def test_model_that_ignores_its_input_gains_nothing(labels, weights):
    """Whatever it answers: its accuracy, recalls and loss are all no better."""
    answer = np.array(weights) / sum(weights)
    classes = range(4)
    shares = [labels.count(k) / len(labels) for k in classes]
    chosen = int(answer.argmax())
    reading = ProbeReading(
        num_examples=len(labels),
        inference_accuracy=shares[chosen],
        inference_loss=float(-np.dot(shares, np.log(answer))),
        true_shares=tuple(shares),
        recalls=tuple(float(k == chosen) if shares[k] else None for k in classes),
    )
    assert measures.probe_gain(reading) <= 1e-9


def test_perfect_model_gains_all(probe):
    reading = probe(inference_accuracy=1.0, inference_loss=0.0, recalls=(1.0, 1.0))
    assert measures.probe_gain(reading) == pytest.approx(1.0)


def test_gain_of_rare_classes_shows_in_recall(probe):
    reading = probe(
        true_shares=(0.99, 0.01),
        training_accuracy=0.95,
        inference_accuracy=0.95,
        training_loss=0.2,
        inference_loss=0.2,
        recalls=(0.95, 0.9),
    )
    assert measures.probe_gain(reading) == pytest.approx(0.85)


@pytest.mark.parametrize("fields", [{}, {"true_shares": (1.0,), "recalls": (1.0,)}])
def test_nothing_can_be_gained_where_nothing_is_known(fields):
    assert measures.probe_gain(ProbeReading(num_examples=0, **fields)) is None


@pytest.mark.parametrize(
    ("accuracy", "baseline", "gain"),
    [
        (0.75, 0.5, 0.5),
        (0.5, 0.5, 0.0),
        (0.25, 0.5, -0.5),
        (1.0, 1.0, None),
        (None, 0.5, None),
        (math.nan, 0.5, None),
        (0.5, None, None),
    ],
)
def test_accuracy_gain(accuracy, baseline, gain):
    assert measures.accuracy_gain(accuracy, baseline) == gain


@pytest.mark.parametrize(
    ("first", "second"), [((90, 100), (60, 80)), ((10, 10), (0, 10)), ((1, 3), (1, 3))]
)
def test_lower_bound_of_a_gap_is_that_of_the_evaluator(first, second):
    ours = measures.gap_lower_bound(
        (first[0] / first[1], first[1]), (second[0] / second[1], second[1]), 0.99
    )
    theirs = intervals.difference_lower_bound(first, second, 0.99)
    assert ours == pytest.approx(theirs)


def test_no_rows_tell_no_gap():
    assert measures.gap_lower_bound((1.0, 0), (0.0, 10), 0.99) == -1.0
    assert measures.gap_lower_bound((1.0, 10), (0.0, 0), 0.99) == -1.0


def test_chances_are_of_the_exact_binomial_test():
    assert measures.share_below(0.0, 2, 0.5) == pytest.approx(0.25)
    assert measures.share_below(1.0, 2, 0.5) == pytest.approx(1.0)
    assert measures.share_below(0.5, 0, 0.5) == 1.0
    assert measures.share_above(1.0, 2, 0.5) == pytest.approx(0.25)
    assert measures.share_above(0.0, 2, 0.5) == pytest.approx(1.0)
    assert measures.share_above(0.5, 0, 0.5) == 1.0


def test_held_out_baseline_is_of_the_held_out_rows(facts):
    uneven = facts(class_counts=(950, 50), held_out_counts=(100, 300))
    assert measures.held_out_baseline(uneven) == 0.25
    uncounted = facts(class_counts=(950, 50), held_out_counts=())
    assert measures.held_out_baseline(uncounted) == 0.95


def test_no_counts_have_no_baseline(facts):
    assert measures.majority_share(facts(class_counts=(0, 0))) is None


def test_median_update_leaves_out_what_was_not_measured(layer, probe):
    layers = [layer("a", update_ratio=0.1), layer("b", update_ratio=None)]
    assert measures.median_update(Epoch(probe=probe(*layers))) == 0.1
    assert measures.median_update(Epoch()) is None


def test_limits_survive_as_json():
    limits = RuleLimits()
    assert RuleLimits.from_json(limits.to_json()) == limits
