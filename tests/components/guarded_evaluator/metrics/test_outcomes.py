# SPDX-License-Identifier: Apache-2.0
import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator import metrics
from components.guarded_evaluator.metrics import outcomes

KEY = metric_types.MetricKey(name="outcomes")
NAN = float("nan")


def as_input(label, prediction):
    return metric_util.to_standard_metric_inputs(
        {
            "labels": np.array([label]),
            "predictions": np.asarray(prediction, np.float32),
            "example_weights": np.array([1.0]),
        }
    )


def combine(fn, shards):
    accumulators = []
    for shard in shards:
        accumulator = fn.create_accumulator()
        for element in shard:
            accumulator = fn.add_input(accumulator, element)
        accumulators.append(accumulator)
    return fn.extract_output(fn.merge_accumulators(accumulators))[KEY]


def of_one_model():
    return outcomes.OutcomesCombineFn(KEY, None, "", "")


@st.composite
def sharded_examples(draw):
    size = draw(st.integers(2, 5))
    count = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    predictions = rng.dirichlet(np.ones(size), count).astype(np.float32)
    predictions[rng.random(count) < 0.2, 0] = NAN
    predictions[rng.random(count) < 0.1, 1] = np.inf
    labels = rng.integers(0, size, count)
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    bounds = [0, *cuts, count]  # Equal cuts make empty shards.
    shards = [range(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
    return labels, predictions, shards


@given(sharded_examples())
def test_outcomes_are_those_of_numpy_however_the_examples_are_cut(drawn):
    labels, predictions, shards = drawn
    elements = [as_input(*row) for row in zip(labels, predictions, strict=True)]
    found = combine(of_one_model(), [[elements[i] for i in s] for s in shards])

    finite = np.isfinite(predictions).all(axis=1)
    y, p = labels[finite], predictions[finite].astype(np.float64)
    size = predictions.shape[1]
    confusion = np.zeros((size, size), int)
    np.add.at(confusion, (y, p.argmax(axis=1)), 1)
    assert found.num_not_finite == np.sum(~finite)
    assert found.num_examples == len(y)
    np.testing.assert_array_equal(found.confusion, confusion)
    occurs = np.bincount(y, minlength=size) > 0
    predicted = np.bincount(p.argmax(axis=1), minlength=size) > 0
    assert outcomes.dead_classes(found) == np.sum(occurs & ~predicted)
    if len(y):
        losses = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-7))
        assert outcomes.mean_log_loss(found) == pytest.approx(losses.mean())
        np.testing.assert_allclose(
            outcomes.output_spread(found), p.std(axis=0), atol=1e-7
        )
        np.testing.assert_allclose(
            outcomes.predicted_class_shares(found),
            np.bincount(p.argmax(axis=1), minlength=size) / len(y),
        )
    else:
        assert np.isnan(outcomes.mean_log_loss(found))
        assert np.isnan(outcomes.output_spread(found)).all()
        assert np.isnan(outcomes.predicted_class_shares(found)).all()


def test_merging_starts_afresh_and_changes_no_shard():
    fn = of_one_model()
    shards = [
        fn.add_input(fn.create_accumulator(), as_input(k, [0.6, 0.4])) for k in (0, 1)
    ]
    for _ in range(2):
        assert fn.merge_accumulators(iter(shards)).confusion.tolist() == [
            [1, 0],
            [1, 0],
        ]
    assert [shard.num_examples for shard in shards] == [1, 1]


def test_nothing_has_no_outcomes():
    found = combine(of_one_model(), [[], []])
    assert found.num_examples == found.num_not_finite == 0
    assert found.confusion.shape == (0, 0)
    assert np.isnan(outcomes.mean_log_loss(found))


def test_examples_that_are_not_finite_still_tell_the_number_of_classes():
    found = combine(of_one_model(), [[as_input(2, [NAN, 0, 0])], []])
    assert (found.num_not_finite, found.confusion.shape) == (1, (3, 3))


def test_a_tie_is_the_first_class_and_a_sure_miss_costs_sixteen_nats():
    found = combine(
        of_one_model(), [[as_input(1, [0.5, 0.5]), as_input(1, [1.0, 0.0])]]
    )
    assert found.confusion.tolist() == [[0, 0], [2, 0]]
    assert found.log_loss_sum == pytest.approx(np.log(2) - np.log(1e-7))


def test_equal_outputs_have_no_spread():
    rows = [as_input(0, [0.1, 0.2, 0.7])] * 1000
    assert outcomes.output_spread(combine(of_one_model(), [rows])).max() < 1e-6


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(ValueError, match=f"class ids from 0 to 2.*one is {label}"):
        combine(of_one_model(), [[as_input(label, [0.2, 0.3, 0.5])]])


def test_a_user_names_the_metrics_by_class_in_an_eval_config(tmp_path):
    batch = pa.RecordBatch.from_pydict(
        {
            "label": [[0], [1], [2], [2]],
            "prediction": [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]
            + [[0.0, 0.6, 0.4]],
        }
    )
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(upper_bound={"value": 0.5})
    )
    eval_config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(label_key="label", prediction_key="prediction")
        ],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(
                        class_name="DeadClasses", threshold=threshold
                    ),
                    config_pb2.MetricConfig(class_name="ConfusionCounts"),
                    config_pb2.MetricConfig(class_name="PredictedClassShares"),
                    config_pb2.MetricConfig(
                        class_name="MeanLogLoss", config='"name": "nats"'
                    ),
                    config_pb2.MetricConfig(class_name="NumNotFinite"),
                ]
            )
        ],
    )
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = (
            pipeline
            | beam.Create([batch])
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=eval_config, output_path=str(tmp_path)
            )
        )
    [of_all] = tfma.load_metrics(str(tmp_path))
    values = {m.key.name: m.value for m in of_all.metric_keys_and_values}
    assert values["dead_classes"].double_value.value == 1
    assert values["num_not_finite"].double_value.value == 0
    assert values["nats"].double_value.value == pytest.approx(
        -np.log([0.9, 0.7, 0.2, 0.4]).mean(), rel=1e-6
    )
    assert list(values["confusion_counts"].array_value.float64_values) == [
        *[1, 0, 0],
        *[0, 1, 0],
        *[1, 1, 0],
    ]
    assert list(values["predicted_class_shares"].array_value.float64_values) == [
        *[0.5, 0.5, 0.0]
    ]
    assert not tfma.load_validation_result(str(tmp_path)).validation_ok
    assert metrics.DeadClasses().name == "dead_classes"
