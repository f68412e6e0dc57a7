# SPDX-License-Identifier: Apache-2.0
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_evaluator.metrics.outcomes import Outcomes, class_probabilities

NAN, INF = float("nan"), float("inf")
COUNTS = ("confusion", "bin_counts", "bin_right", "num_not_finite", "num_saturated")
EDGES = [k / 15 for k in range(16)]


def of(labels, predictions):
    outcomes = Outcomes.empty()
    outcomes.add_batch(np.array(labels, np.int64), np.asarray(predictions, np.float64))
    return outcomes


def cut(draw, count):
    """Cuts rows into shards, some of them empty, in any order."""
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=5)))
    bounds = [0, *cuts, count]
    shards = [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
    return draw(st.permutations(shards))


@st.composite
def sharded_predictions(draw):
    size = draw(st.integers(2, 5))
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    predictions = rng.dirichlet(np.full(size, 0.3), count)
    kind = rng.random(count)
    predictions[kind < 0.1, 0] = NAN
    predictions[(kind > 0.1) & (kind < 0.2), 1] = INF
    predictions[(kind > 0.2) & (kind < 0.3)] *= 7  # No probabilities.
    predictions[kind > 0.9] = np.eye(size)[0]
    return rng.integers(0, size, count), predictions, cut(draw, count)


def expected(labels, predictions):
    """The same in plain NumPy and Python, example by example where that is plainer."""
    size = predictions.shape[1]
    finite = np.isfinite(predictions).all(axis=1)
    y, p = labels[finite], predictions[finite]
    confusion = np.zeros((size, size), int)
    bins = np.zeros((15, 3))
    for label, row in zip(y, p, strict=True):
        best = int(np.argmax(row))
        confusion[label, best] += 1
        at = sum(edge <= row[best] for edge in EDGES[1:-1])
        bins[at] += (1, row[best], best == label)
    rows = np.arange(len(y))
    every = predictions[np.isfinite(predictions)]
    adds_up = np.abs(p.sum(axis=1) - 1) <= 0.01
    inside = ((p >= -0.01) & (p <= 1.01)).all(axis=1)
    return {
        "confusion": confusion,
        "bins": bins,
        "num_not_finite": np.sum(~finite),
        "num_not_probabilities": np.sum(~(adds_up & inside)),
        "num_saturated": np.sum(p.max(axis=1) >= 0.999) if len(p) else 0,
        "loss": -math.fsum(np.log(np.maximum(p[rows, y], 1e-7))),
        "range": (every.min(), every.max()) if every.size else (INF, -INF),
        "spread": p.std(axis=0) if len(p) else np.full(size, NAN),
    }


@given(sharded_predictions())
def test_sums_are_those_of_numpy_however_the_examples_are_cut(drawn):
    labels, predictions, shards = drawn
    merged = Outcomes.empty()
    for shard in shards:
        merged.merge(of(labels[shard], predictions[shard]))
    right = expected(labels, predictions)
    np.testing.assert_array_equal(merged.confusion, right["confusion"])
    assert merged.num_not_finite == right["num_not_finite"]
    assert merged.num_not_probabilities == right["num_not_probabilities"]
    assert merged.num_saturated == right["num_saturated"]
    assert (merged.smallest, merged.largest) == right["range"]
    assert merged.log_loss_sum == pytest.approx(right["loss"], rel=1e-12, abs=1e-12)
    np.testing.assert_array_equal(merged.bin_counts, right["bins"][:, 0])
    np.testing.assert_allclose(
        merged.bin_confidence_sums, right["bins"][:, 1], rtol=1e-12
    )
    np.testing.assert_array_equal(merged.bin_right, right["bins"][:, 2])
    np.testing.assert_allclose(
        merged.output_spread, right["spread"], rtol=1e-12, atol=1e-12
    )


@given(sharded_predictions())
def test_an_array_holds_all_there_is(drawn):
    labels, predictions, _ = drawn
    outcomes = of(labels, predictions)
    again = Outcomes.from_array(outcomes.to_array())
    assert pickle.dumps(again) == pickle.dumps(
        Outcomes.from_array(again.to_array())
    )  # Equal, NaN and types included.
    np.testing.assert_array_equal(again.to_array(), outcomes.to_array())
    assert [getattr(again, name).dtype for name in COUNTS[:3]] == [np.int64] * 3
    assert isinstance(again.num_not_finite, int)


def test_merging_leaves_the_shard_as_it_was():
    shard = of([0, 1], [[0.6, 0.4], [0.3, 0.7]])
    before = pickle.dumps(shard)
    merged = Outcomes.empty()
    for _ in range(3):
        merged.merge(shard)
        merged.add_batch(np.array([0]), np.array([[1.0, 0.0]]))
    assert pickle.dumps(shard) == before
    assert merged.num_examples == 9


def test_nothing_has_neither_classes_nor_numbers():
    nothing = Outcomes.empty()
    assert (nothing.num_classes, nothing.num_examples) == (0, 0)
    assert math.isnan(nothing.mean_log_loss)
    assert nothing.output_spread.shape == (0,)
    assert Outcomes.from_array(nothing.to_array()).num_classes == 0


def test_an_empty_batch_tells_the_number_of_classes():
    nothing = of([], np.zeros((0, 3)))
    assert nothing.confusion.shape == (3, 3)
    assert np.isnan(nothing.output_spread).all()


def test_examples_that_are_not_finite_count_nowhere_but_in_the_range():
    found = of([2, 0], [[NAN, 0, 0.25], [INF, 0.5, -INF]])
    assert (found.num_not_finite, found.num_examples) == (2, 0)
    assert (found.smallest, found.largest) == (0, 0.5)
    assert not found.confusion.any()
    assert not found.bin_counts.any()
    assert math.isnan(found.mean_log_loss)


def test_a_tie_is_the_first_class_and_a_sure_miss_costs_sixteen_nats():
    found = of([1, 1], [[0.5, 0.5], [1.0, 0.0]])
    assert found.confusion.tolist() == [[0, 0], [2, 0]]
    assert found.log_loss_sum == pytest.approx(np.log(2) - np.log(1e-7))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7, 1e30])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_equal_outputs_have_no_spread_at_all(value, size):
    merged = Outcomes.empty()
    for _ in range(3):
        merged.merge(of([0] * size, [[value, 0.0]] * size))
    assert merged.output_spread.tolist() == [0, 0]


def test_outputs_too_large_to_be_squared_do_not_warn():
    found = of([0, 1], [[1e300, -1e300], [-1e300, 1e300]])
    assert found.num_not_probabilities == 2
    assert np.isinf(found.output_spread).all()


@pytest.mark.parametrize(
    ("row", "is_distribution"),
    [
        pytest.param([0.7, 0.2, 0.1], True, id="probabilities"),
        pytest.param([1.009, 0.0, 0.0], True, id="rounded in half precision"),
        pytest.param([1.005, -0.005, 0.0], True, id="a hair below 0"),
        pytest.param([1.02, -0.02, 0.0], False, id="below 0"),
        pytest.param([0.5, 0.2, 0.1], False, id="sum below 1"),
        pytest.param([0.9, 0.9, 0.9], False, id="sigmoids"),
        pytest.param([3.1, -2.0, 0.4], False, id="logits"),
        pytest.param([3.0, -1.0, -1.0], False, id="logits that add up to 1"),
        pytest.param([-0.4, -1.2, -3.0], False, id="log-probabilities"),
    ],
)
def test_outputs_that_are_no_distribution_are_counted(row, is_distribution):
    assert of([0], [row]).num_not_probabilities == (not is_distribution)


@pytest.mark.parametrize(
    ("confidence", "at"),
    [(0.0, 0), (1 / 15, 1), (0.2, 3), (0.6, 9), (0.9999, 14), (1.0, 14), (5.0, 14)]
    + [(np.nextafter(9 / 15, 0), 8), (-0.5, 0)],
)
def test_bins_hold_their_lower_edge(confidence, at):
    found = of([0], [[confidence, confidence - 9]])
    assert found.bin_counts.argmax() == at


@pytest.mark.parametrize(
    ("confidence", "saturated"), [(0.999, 1), (np.nextafter(0.999, 0), 0)]
)
def test_saturation_begins_at_its_limit(confidence, saturated):
    assert of([0], [[confidence, 1 - confidence]]).num_saturated == saturated


def test_one_sigmoid_unit_has_two_classes():
    found = of([0, 1, 1], [[0.2], [0.9], [0.5]])
    assert found.confusion.tolist() == [[1, 0], [1, 1]]
    assert found.num_not_probabilities == 0
    assert found.log_loss_sum == pytest.approx(-np.log([0.8, 0.9, 0.5]).sum())
    assert of([0], [[3.2]]).num_not_probabilities == 1  # A logit.


@pytest.mark.parametrize("shape", [(3,), (2, 3, 1), (2, 0)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected the shape \(examples, classes\)"):
        class_probabilities(np.zeros(shape))


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(ValueError, match=f"class ids from 0 to 2.*one is {label}"):
        of([0, label], [[0.2, 0.3, 0.5]] * 2)


def test_labels_and_predictions_must_be_as_many():
    with pytest.raises(ValueError, match="for each of 2 examples"):
        of([0], [[0.2, 0.8]] * 2)


def test_models_of_other_classes_do_not_mix():
    outcomes = of([0], [[0.2, 0.8]])
    with pytest.raises(ValueError, match="expected 2 classes.*3 came"):
        outcomes.add_batch(np.array([0]), np.zeros((1, 3)))


def test_a_damaged_array_is_refused():
    with pytest.raises(ValueError, match="outcomes of 2 classes: expected 60 numbers"):
        Outcomes.from_array(of([0], [[0.2, 0.8]]).to_array()[:-1])
