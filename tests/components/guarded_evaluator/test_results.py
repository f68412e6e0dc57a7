# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator import metrics
from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.guarded_evaluator.results import make_pair, make_result, read_results
from components.records.evaluation import ONE_BY_ONE, EvaluationRecord

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
    highest = probabilities.max(axis=1)
    assert result.num_not_probabilities == 0
    assert result.num_saturated == np.sum(highest >= 0.999)
    assert result.output_range == pytest.approx(
        (probabilities.min(), probabilities.max()), rel=1e-3
    )
    assert result.mean_confidence == pytest.approx(highest.mean(), rel=1e-5)
    assert sum(b.num_right for b in result.calibration) == np.trace(confusion)


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
    assert pair.num_different == np.sum(ours.argmax(axis=1) != theirs.argmax(axis=1))


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
    pair = make_pair("training", "eval", np.zeros(6))
    assert pair.num_examples == 0
    assert np.isnan(pair.mean_distance)


def test_a_pair_knows_its_slice():
    pair = make_pair("training", "eval", np.array([5, 1, 2, 3, 1.1, 4]), "site=b")
    assert (pair.slice, pair.num_different) == ("site=b", 4)
    assert (pair.num_examples, pair.mean_distance) == (11, pytest.approx(0.1))


def test_a_result_survives_json_whatever_it_holds():
    nothing, broken, huge = (Outcomes.empty() for _ in range(3))
    broken.add_batch(np.array([1]), np.array([[np.nan, np.inf]]))
    huge.add_batch(np.array([0, 1]), np.array([[1e300, 0], [0, 1e300]]))
    results = tuple(
        make_result(name, "eval", outcomes, "site=b")
        for name, outcomes in (("a", nothing), ("b", broken), ("c", huge))
    )
    record = EvaluationRecord(class_names=("x", "y"), results=results)
    again = EvaluationRecord.from_json(record.to_json())
    assert again.to_json() == record.to_json()
    assert [r.output_range for r in again.results] == [None, None, (0, 1e300)]
    assert [r.num_examples for r in again.results] == [0, 1, 2]
    assert len(again.results[0].calibration) == 15


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Metrics by split and site, as TFMA writes them of one model without a name."""
    folder = tmp_path_factory.mktemp("metrics")
    rng = np.random.default_rng(5)
    labels, shares = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), 30)
    splits = np.repeat(["train", "eval"], 15)
    sites = np.array(["north pole", "süd=1", "12"] * 10)
    batch = pa.RecordBatch.from_pydict(
        {
            "label": labels[:, None].tolist(),
            "output": shares.tolist(),
            "guard_split": [[split.encode()] for split in splits],
            "site": [[site.encode()] for site in sites],
        }
    )
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key="label", prediction_key="output")],
        slicing_specs=[
            config_pb2.SlicingSpec(feature_keys=names)
            for names in ([], ["site"], ["guard_split"], ["guard_split", "site"])
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name=name, module=metrics.__name__)
                    for name in ("OutcomeSums", "ClassRecall", "ConfusionCounts")
                ]
            )
        ],
    )
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = (
            pipeline
            | beam.Create([batch])
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=config, output_path=str(folder)
            )
        )
    return folder, labels, shares, splits, sites


def test_slices_of_a_split_are_read_beside_it(written):
    folder, labels, shares, splits, sites = written
    record = read_results(str(folder), ["a", "b", "c"])
    assert record.slices == ("site=12", "site=north pole", "site=süd=1")
    assert len(record.results) == 2 * 4
    for split in ("train", "eval"):
        for site in (None, *np.unique(sites)):
            rows = (splits == split) & ((site is None) | (sites == site))
            outcomes = Outcomes.empty()
            outcomes.add_batch(labels[rows], shares[rows])
            slice = "" if site is None else f"site={site}"
            right = make_result("candidate", split, outcomes, slice)
            found = record.result("candidate", split, slice)
            assert found.confusion == right.confusion
            assert found.mean_loss == pytest.approx(right.mean_loss, rel=1e-12)
            assert found.calibration_error == pytest.approx(
                right.calibration_error, rel=1e-12
            )


def test_a_metric_that_is_missing_is_an_error(written, monkeypatch):
    folder, *_ = written
    monkeypatch.setattr("components.guarded_evaluator.results._SUMS", "other_sums")
    with pytest.raises(KeyError, match="other_sums"):
        read_results(str(folder), ["a", "b", "c"])
