# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.user_thresholds import findings_of


def at_least(value):
    return config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": value})
    )


@pytest.fixture
def validate(tmp_path):
    """Lets TFMA validate three right predictions of four, all of breed 1."""
    batch = pa.RecordBatch.from_pydict(
        {
            "label": [[0], [1], [1], [0]],
            "prediction": [[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]],
            "breed": [[1], [1], [1], [1]],
        }
    )

    def run(metric):
        eval_config = config_pb2.EvalConfig(
            model_specs=[
                config_pb2.ModelSpec(label_key="label", prediction_key="prediction")
            ],
            slicing_specs=[
                config_pb2.SlicingSpec(),
                config_pb2.SlicingSpec(feature_values={"breed": "1"}),
            ],
            metrics_specs=[config_pb2.MetricsSpec(metrics=[metric])],
        )
        with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
            _ = (
                pipeline
                | beam.Create([batch])
                | tfma.ExtractEvaluateAndWriteResults(
                    eval_config=eval_config, output_path=str(tmp_path)
                )
            )
        return findings_of(str(tmp_path))

    return run


def accuracy(**thresholds):
    return config_pb2.MetricConfig(class_name="SparseCategoricalAccuracy", **thresholds)


def per_slice(value, threshold):
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec(feature_values={"breed": value})],
        threshold=threshold,
    )


def test_thresholds_that_hold_are_no_findings(validate):
    assert validate(accuracy(threshold=at_least(0.75))) == ()


def test_a_missed_threshold_blocks_and_tells_metric_slice_and_numbers(validate):
    slices = [per_slice("1", at_least(0.9))]
    [finding] = validate(accuracy(per_slice_thresholds=slices))
    assert finding.blocks
    assert finding.cause == "below_threshold"
    assert finding.message == (
        "The value of sparse_categorical_accuracy of breed=1 is 0.75; asked for is at "
        "least 0.9."
    )
    assert (finding.measured, finding.limit) == (0.75, 0.9)
    assert finding.unit == "sparse_categorical_accuracy"
    assert finding.subject.slice == "breed=1"


def test_an_upper_bound_is_told_as_one(validate):
    bound = config_pb2.GenericValueThreshold(
        lower_bound={"value": 0.1}, upper_bound={"value": 0.5}
    )
    threshold = config_pb2.MetricThreshold(value_threshold=bound)
    found = validate(accuracy(threshold=threshold))
    assert {(f.measured, f.limit) for f in found} == {(0.75, 0.5)}
    assert "at least 0.1 and at most 0.5" in found[0].message


def test_a_threshold_without_a_slice_holds_everywhere(validate):
    found = validate(accuracy(threshold=at_least(0.8)))
    assert {finding.subject.slice for finding in found} == {"all examples", "breed=1"}


def test_a_slice_that_has_thresholds_but_no_examples_blocks(validate):
    [finding] = validate(accuracy(per_slice_thresholds=[per_slice("2", at_least(0.1))]))
    assert finding.blocks
    assert finding.message.startswith("1 slices that have thresholds are missing")
