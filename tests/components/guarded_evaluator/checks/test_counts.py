# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from components.guarded_evaluator.checks import counts
from components.records.evaluation import CANDIDATE, PairedResult


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
    mean, error = counts.mean_recall(result(confusion), [0, 1])
    assert mean == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert 0 < error <= 0.5


def test_the_error_of_the_mean_recall_is_that_of_a_mean_of_shares(result):
    # (9 + 1) / (98 + 2) and (49 + 1) / (98 + 2) have variances 0.0009 and 0.0025.
    _, error = counts.mean_recall(result([[9, 89], [49, 49]]), [0, 1])
    assert error == pytest.approx(np.sqrt(0.0009 + 0.0025) / 2)


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
