# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.guarded_evaluator.metrics.paired import (
    PairedOutcomes,
    PairedOutcomesCombineFn,
    paired_outcome,
)

KEY = metric_types.MetricKey(name="paired", model_name="new")
NAN = float("nan")


def as_input(label, ours, theirs):
    return metric_util.to_standard_metric_inputs(
        {
            "labels": np.array([label]),
            "predictions": {"ours": np.array(ours), "theirs": np.array(theirs)},
            "example_weights": np.array([1.0]),
        }
    )


def combine(shards):
    fn = PairedOutcomesCombineFn(KEY, None, "ours", "theirs")
    accumulators = []
    for shard in shards:
        accumulator = fn.create_accumulator()
        for element in shard:
            accumulator = fn.add_input(accumulator, element)
        accumulators.append(accumulator)
    return fn.extract_output(fn.merge_accumulators(iter(accumulators)))[KEY]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, [0, 1, 0, 0, 0.4]),
        (1, [0, 0, 1, 0, 0.4]),
        (2, [0, 0, 0, 1, 0.4]),
    ],
)
def test_each_example_counts_once(label, expected):
    ours, theirs = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.7, 0.1])
    assert paired_outcome(label, ours, theirs).tolist() == pytest.approx(expected)


def test_equal_predictions_are_no_distance_apart():
    same = np.array([0.6, 0.4])
    assert paired_outcome(0, same, same).tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("bad", [[NAN, 1.0], [np.inf, 0.0], [NAN, NAN]])
def test_what_is_not_finite_is_wrong_and_far_away(bad):
    good, bad = np.array([0.9, 0.1]), np.array(bad)
    assert paired_outcome(0, good, bad).tolist() == [0, 1, 0, 0, 1]
    assert paired_outcome(0, bad, good).tolist() == [0, 0, 1, 0, 1]
    assert paired_outcome(0, bad, bad).tolist() == [0, 0, 0, 1, 1]


def test_outputs_that_are_no_probabilities_are_at_most_one_apart():
    assert paired_outcome(0, np.array([9.0, -9]), np.array([5.0, -2]))[-1] == 1


@given(st.data())
def test_sums_are_those_of_numpy_however_the_examples_are_cut(data):
    size = data.draw(st.integers(2, 4))
    count = data.draw(st.integers(0, 25))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, size, count)
    ours, theirs = rng.dirichlet(np.ones(size), (2, count))
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    bounds = [0, *cuts, count]
    found = combine(
        [as_input(labels[i], ours[i], theirs[i]) for i in range(a, b)]
        for a, b in zip(bounds, bounds[1:], strict=False)
    )
    right, also = (p.argmax(axis=1) == labels for p in (ours, theirs))
    np.testing.assert_allclose(
        found,
        [
            np.sum(right & also),
            np.sum(right & ~also),
            np.sum(~right & also),
            np.sum(~right & ~also),
            np.abs(ours - theirs).sum() / 2,
        ],
        atol=1e-6,
    )


def test_merging_changes_no_shard():
    fn = PairedOutcomesCombineFn(KEY, None, "ours", "theirs")
    shard = fn.add_input(fn.create_accumulator(), as_input(0, [0.9, 0.1], [0.8, 0.2]))
    for _ in range(2):
        assert fn.merge_accumulators([shard, shard]).tolist()[:4] == [2, 0, 0, 0]
    assert shard[0] == 1


def test_every_model_but_the_reference_is_compared():
    computations = PairedOutcomes(reference="candidate").computations(
        model_names=["candidate", "training", "baseline"]
    )
    assert [c.keys[0].model_name for c in computations] == ["training", "baseline"]
