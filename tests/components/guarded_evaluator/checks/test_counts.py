# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from components.guarded_evaluator.checks import counts
from components.records.evaluation import CANDIDATE, ModelResult, PairedResult


def pair(both, candidate, other, neither):
    return PairedResult(
        other="training",
        split="eval",
        both_right=both,
        only_candidate_right=candidate,
        only_other_right=other,
        both_wrong=neither,
        mean_distance=0.1,
    )


@pytest.fixture(scope="module")
def result(make_evidence):
    def make(confusion):
        return make_evidence(confusion).result(CANDIDATE, "eval")

    return make


def test_counts_by_true_and_by_predicted_class(result):
    true, predicted = counts.class_counts(result([[3, 1], [2, 4]]))
    assert true.tolist() == [4, 6]
    assert predicted.tolist() == [5, 5]
    assert counts.hits_of(result([[3, 1], [2, 4]])) == (7, 10)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=60))
def test_mean_recall_is_balanced_accuracy(result, hits):
    labels = np.arange(len(hits)) % 2
    predicted = np.where(hits, labels, 1 - labels)
    confusion = metrics.confusion_matrix(labels, predicted, labels=[0, 1])
    recall = counts.mean_recall(result(confusion), [0, 1])
    expected = metrics.balanced_accuracy_score(labels, predicted)
    assert recall.mean == pytest.approx(expected)
    assert recall.margin(0.99) > recall.margin(0.9) > 0


def test_the_margin_of_the_mean_recall_is_that_of_welch(result):
    # (9 + 1) / (98 + 2) and (49 + 1) / (98 + 2), of 98 examples each.
    terms = np.array([0.1 * 0.9, 0.5 * 0.5]) / 98 / 4
    degrees = terms.sum() ** 2 / np.sum(terms**2 / 97)
    expected = stats.t.ppf(0.99, degrees) * np.sqrt(terms.sum())
    recall = counts.mean_recall(result([[9, 89], [49, 49]]), [0, 1])
    assert recall.margin(0.99) == pytest.approx(expected)
    # Of a difference, both count.
    assert recall.margin(0.99, recall) == pytest.approx(
        stats.t.ppf(0.99, 2 * degrees) * np.sqrt(2 * terms.sum())
    )


@pytest.mark.parametrize("sizes", [[2, 2], [5, 5], [8, 500], [3] * 10, [1] * 100])
def test_the_bounds_of_the_mean_recall_hold_for_few_examples(sizes):
    rng = np.random.default_rng(0)
    size, count = len(sizes), np.array(sizes)
    failed = []
    for true_recall in (0.05, 0.3, 0.5, 0.8, 0.95):
        hits = rng.binomial(count, true_recall, (300, size))
        for drawn in hits:
            confusion = np.diag(drawn)
            confusion[:, 0] += count - drawn
            confusion[0, -1] += count[0] - drawn[0]
            confusion[0, 0] -= count[0] - drawn[0]
            recall = counts.mean_recall(
                ModelResult(
                    model="candidate",
                    split="eval",
                    num_examples=int(count.sum()),
                    confusion=tuple(map(tuple, confusion.tolist())),
                    mean_loss=1.0,
                    output_spread=(0.1,) * size,
                ),
                range(size),
            )
            failed.append(recall.mean - recall.margin(0.99) > true_recall)
    # At most 2.9 % in long simulations, where the normal quantile failed in 11 %.
    assert np.mean(failed) <= 0.03


@pytest.mark.parametrize(
    ("confusion", "gain"),
    [
        ([[9, 1], [1, 9]], 0.8),
        ([[5, 5], [5, 5]], 0),
        ([[10, 0], [10, 0]], 0),
        ([[10, 0, 0], [0, 10, 0], [0, 0, 0]], 1),
        ([[0, 10], [10, 0]], -1),
        ([[10, 0], [0, 0]], None),
        ([[0, 0], [0, 0]], None),
    ],
)
def test_the_gain_is_what_of_the_way_to_perfection_is_gone(result, confusion, gain):
    measured = counts.gain_over_guessing(result(confusion))
    assert measured == (None if gain is None else pytest.approx(gain))


def test_the_gap_for_the_same_mix_of_classes_weighs_the_recalls():
    better, worse = np.array([[9, 1], [5, 5]]), np.array([[8, 2], [60, 30]])
    gap = counts.standardized_gap(better, worse, 0.99)
    assert gap.better == pytest.approx((10 * 0.9 + 90 * 0.5) / 100)
    assert gap.worse == pytest.approx(0.38)
    assert gap.low < gap.size == pytest.approx(0.16)


def test_without_a_common_class_there_is_no_mix():
    one, other = np.diag([5, 0]), np.diag([0, 5])
    assert counts.standardized_gap(one, other, 0.99) is None
    assert counts.standardized_gap(one, 0 * one, 0.99) is None


def test_recall_gap_is_over_the_classes_with_five_examples_in_both(result):
    better, worse = result([[10, 0], [0, 10]]), result([[5, 5], [0, 4]])
    gap = counts.recall_gap(better, worse, 0.99)
    assert (gap.better, gap.worse, gap.size) == (1, 0.5, 0.5)
    assert gap.low < gap.size


def test_there_is_no_recall_gap_without_a_common_class(result):
    one, other = result([[9, 0], [0, 0]]), result([[0, 0], [0, 9]])
    assert counts.recall_gap(one, other, 0.99) is None


def test_a_pair_tells_accuracies_and_their_gap():
    compared = pair(50, 10, 30, 10)
    assert counts.accuracy_gap(compared) == 0.2
    assert counts.accuracy_of(compared, compared.only_other_right) == 0.8
    assert counts.p_value(compared) == pytest.approx(0.0011, abs=1e-4)


def test_a_pair_without_examples_has_no_gap():
    with pytest.raises(ValueError, match="no example was compared"):
        counts.accuracy_gap(pair(0, 0, 0, 0))


def test_a_long_list_is_cut():
    assert counts.listing(["a", "b"]) == "a, b"
    assert counts.listing(list("abcdefgh")) == "a, b, c, d, e, f, g, h"
    assert counts.listing(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"
