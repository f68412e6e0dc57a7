# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.guarded_evaluator.results import make_pair
from components.records.evaluation import ONE_BY_ONE

DRIFT = np.array([9.0, 0, 0], np.float32)
MODELS = {
    "candidate": 0,
    "training": 0,
    "batch_statistics": 0,
    "baseline": DRIFT,
}


@pytest.fixture(scope="module")
def predicted(blobs, softmax):
    """What each model of the healthy run answers, computed by hand."""

    def of(model, split):
        points = blobs[split].points.astype(np.float64)
        return blobs[split].labels, softmax(2 * points + MODELS[model])

    return of


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize("model", MODELS)
def test_results_are_those_of_numpy(healthy_run, predicted, model, split):
    labels, probabilities = predicted(model, split)
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    result = healthy_run.measured.result(model, split)
    assert result.num_examples == len(labels)
    assert result.num_not_finite == 0
    assert result.confusion == tuple(map(tuple, confusion.tolist()))
    of_truth = np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)
    assert result.mean_loss == pytest.approx(-np.log(of_truth).mean(), rel=1e-4)
    np.testing.assert_allclose(
        result.output_spread, probabilities.std(axis=0), atol=1e-5
    )


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize("other", ["training", "batch_statistics", "baseline"])
def test_pairs_are_those_of_numpy(healthy_run, predicted, other, split):
    labels, ours = predicted("candidate", split)
    _, theirs = predicted(other, split)
    right, also = (p.argmax(axis=1) == labels for p in (ours, theirs))
    pair = healthy_run.measured.pair(other, split)
    assert pair.num_examples == len(labels)
    assert pair.both_right == np.sum(right & also)
    assert pair.only_candidate_right == np.sum(right & ~also)
    assert pair.only_other_right == np.sum(~right & also)
    distance = np.abs(ours - theirs).sum(axis=1).mean() / 2
    assert pair.mean_distance == pytest.approx(distance, abs=1e-5)


def test_everything_is_measured_once(healthy_run):
    record = healthy_run.measured
    assert len(record.results) == len(MODELS) * 2
    assert [pair.other for pair in record.pairs].count(ONE_BY_ONE) == 1
    assert record.class_names == ("0", "1", "2")


def test_a_healthy_model_answers_the_same_alone(healthy_run):
    pair = healthy_run.measured.pair(ONE_BY_ONE, "eval")
    assert pair.num_examples == 32
    assert pair.mean_distance < 1e-6
    assert pair.only_candidate_right == pair.only_other_right == 0


def test_a_pair_of_nothing_has_no_distance():
    pair = make_pair("training", "eval", np.zeros(5))
    assert pair.num_examples == 0
    assert np.isnan(pair.mean_distance)
