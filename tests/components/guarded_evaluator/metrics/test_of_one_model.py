# SPDX-License-Identifier: Apache-2.0
import math

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator import metrics
from components.guarded_evaluator.intervals import upper_bound
from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.guarded_evaluator.results import make_result, read_array

LABELS = [0, 1, 2, 2, 0, 0]
PREDICTIONS = [
    [0.9, 0.1, 0.0],
    [0.2, 0.7, 0.1],
    [0.5, 0.3, 0.2],
    [0.0, 0.6, 0.4],
    [0.9995, 0.0005, 0.0],
    [2.0, -0.5, 0.1],
]
SITES = ["a", "a", "a", "b", "b", "b"]


def metric(name, **settings):
    return config_pb2.MetricConfig(class_name=name, module=metrics.__name__, **settings)


def at_most(bound):
    return config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(upper_bound={"value": bound})
    )


def evaluate(folder, columns, metrics_specs, slices=(), **options):
    """Lets TFMA evaluate predictions that are there already, as a user would."""
    eval_config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(label_key="label", prediction_key="prediction")
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[name]) for name in slices),
        ],
        metrics_specs=metrics_specs,
        **options,
    )
    rows = len(columns["label"])
    batches = [
        pa.RecordBatch.from_pydict({k: v[a:b] for k, v in columns.items()})
        for a, b in ((0, rows // 2), (rows // 2, rows))
    ]
    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = (
            pipeline
            | beam.Create(batches)
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=eval_config, output_path=str(folder)
            )
        )
    found = {}
    for of_slice in tfma.load_metrics(str(folder)):
        where = "".join(
            f"{key.column}={key.bytes_value.decode()}"
            for key in of_slice.slice_key.single_slice_keys
        )
        found[where] = {
            (item.key.name, item.key.sub_key.class_id.value)
            if item.key.HasField("sub_key")
            else item.key.name: read_array(item.value)
            for item in of_slice.metric_keys_and_values
        }
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def evaluated(folder):
    columns = {
        "label": [[label] for label in LABELS],
        "prediction": PREDICTIONS,
        "site": [[site.encode()] for site in SITES],
    }
    all_of_them = [
        *(name for name in metrics.OF_ONE_MODEL if name not in ("DeadClasses",)),
        "ClassRecall",
    ]
    return evaluate(
        folder,
        columns,
        [
            config_pb2.MetricsSpec(
                metrics=[
                    *map(metric, all_of_them),
                    metric("DeadClasses", threshold=at_most(0.5)),
                    metric("MeanLogLoss", config='"name": "nats"'),
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                ]
            ),
            config_pb2.MetricsSpec(
                binarize=config_pb2.BinarizationOptions(class_ids={"values": [2]}),
                metrics=[
                    metric(
                        "ClassRecall",
                        config='"name": "recall_of", "confidence": 0.5',
                        threshold=at_most(0.5),
                    )
                ],
            ),
        ],
        slices=["site"],
    )


@pytest.fixture(scope="module")
def of_all():
    outcomes = Outcomes.empty()
    outcomes.add_batch(np.array(LABELS), np.array(PREDICTIONS, np.float64))
    return make_result("", "", outcomes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classification_accuracy", 4 / 6),
        ("mean_recall", 2 / 3),
        ("lowest_recall", 0),
        ("predicted_class_entropy", -(4 / 6 * math.log(4 / 6) + math.log(2 / 6) / 3)),
        ("dead_classes", 1),
        ("class_distance", (1 + 1 + 2) / 12),
        ("saturated_share", 2 / 6),
        ("num_not_finite", 0),
        ("num_not_probabilities", 1),
        ("mean_confidence", (0.9 + 0.7 + 0.5 + 0.6 + 0.9995 + 2.0) / 6),
        ("expected_calibration_error", (0.1 + 0.3 + 0.5 + 0.6 + 0.9995) / 6),
        ("output_range", [-0.5, 2.0]),
        ("predicted_class_shares", [4 / 6, 2 / 6, 0]),
        ("confusion_counts", [[3, 0, 0], [0, 1, 0], [1, 1, 0]]),
        ("output_spread", np.std(PREDICTIONS, axis=0)),
        ("largest_output_spread", np.std(PREDICTIONS, axis=0).max()),
        (
            "nats",
            -np.log([0.9, 0.7, 0.2, 0.4, 0.9995, 2.0]).mean(),
        ),
    ],
)
def test_a_user_reads_each_by_its_name(evaluated, name, value):
    np.testing.assert_allclose(evaluated[""][name], value, rtol=1e-6, atol=1e-7)


def test_entropy_and_effective_number_are_one_matter(evaluated):
    number = evaluated[""]["effective_predicted_classes"]
    assert np.log(number) == pytest.approx(evaluated[""]["predicted_class_entropy"])


def test_the_sums_hold_what_the_others_are_made_of(evaluated, of_all):
    again = Outcomes.from_array(evaluated[""]["outcome_sums"])
    assert make_result("", "", again).confusion == of_all.confusion
    bins = evaluated[""]["calibration_bins"]
    assert bins.shape == (15, 3)
    np.testing.assert_allclose(
        bins[:, 1], [b.confidence_sum for b in of_all.calibration], rtol=1e-6
    )


def test_recalls_have_exact_intervals(evaluated):
    recalls = evaluated[""]["class_recalls"]
    np.testing.assert_allclose(recalls[:, 0], [1, 1, 0])
    # 3 of 3: the lower end of the two-sided 95 % interval is 0.025 ** (1 / 3).
    np.testing.assert_allclose(recalls[0, 1:], [0.025 ** (1 / 3), 1], rtol=1e-9)
    np.testing.assert_allclose(recalls[2, 1:], [0, 1 - 0.025 ** (1 / 2)], rtol=1e-9)
    one_by_one = [
        [evaluated[""]["class_recall" + end, k] for end in ("", "_lower", "_upper")]
        for k in range(3)
    ]
    np.testing.assert_allclose(recalls, one_by_one)


def test_binarize_chooses_classes(evaluated):
    chosen = {key for key in evaluated[""] if key[0].startswith("recall_of")}
    assert {class_id for _, class_id in chosen} == {2}
    assert evaluated[""]["recall_of_upper", 2] == pytest.approx(upper_bound(0, 2, 0.75))


def test_slices_add_up(evaluated):
    counts = [evaluated[f"site={s}"]["confusion_counts"] for s in "ab"]
    np.testing.assert_array_equal(sum(counts), evaluated[""]["confusion_counts"])
    # TFMA's own metrics stand beside ours.
    assert evaluated["site=b"]["example_count"] == counts[1].sum() == 3


def test_a_class_that_a_slice_lacks_has_no_recall(evaluated):
    assert np.isnan(evaluated["site=b"]["class_recalls"][1]).all()
    assert evaluated["site=b"]["mean_recall"] == pytest.approx(0.5)


def test_thresholds_work_on_them(evaluated, folder):
    validation = tfma.load_validation_result(str(folder))
    failed = {
        failure.metric_key.name
        for of_slice in validation.metric_validations_per_slice
        for failure in of_slice.failures
    }
    assert failed == {"dead_classes"}  # The recall of class 2 is at most 0.5.


@pytest.mark.slow
def test_a_binary_model_with_one_hot_labels_and_sampled_intervals(tmp_path):
    # TFMA merges every accumulator into many samples: none may be changed by it.
    config = config_pb2.Options(
        compute_confidence_intervals={"value": True},
        confidence_intervals=config_pb2.ConfidenceIntervalOptions(
            method=config_pb2.ConfidenceIntervalOptions.JACKKNIFE
        ),
    )
    rng = np.random.default_rng(3)
    labels = np.arange(40) % 2
    outputs = np.clip(labels + rng.normal(0, 0.5, 40), 0, 1)
    specs = [
        config_pb2.MetricsSpec(
            metrics=[metric(n) for n in (*metrics.OF_ONE_MODEL, "ClassRecall")]
        )
    ]
    columns = {
        "label": np.eye(2)[labels].tolist(),
        "prediction": np.stack([1 - outputs, outputs], axis=1).tolist(),
    }
    found = evaluate(tmp_path, columns, specs, options=config)[""]
    hits = int(np.sum((outputs > 0.5) == labels))
    assert found["classification_accuracy"] == pytest.approx(hits / 40)


def test_a_sigmoid_unit_with_labels_of_its_own(tmp_path):
    columns = {"label": [[0], [1], [1]], "prediction": [[0.2], [0.9], [0.4]]}
    specs = [config_pb2.MetricsSpec(metrics=[metric("ConfusionCounts")])]
    found = evaluate(tmp_path, columns, specs)[""]
    assert found["confusion_counts"].tolist() == [[1, 0], [1, 1]]


def test_example_weights_are_refused():
    for name in (*metrics.OF_ONE_MODEL, "ClassRecall"):
        with pytest.raises(ValueError, match="does not support example weights"):
            getattr(metrics, name)().computations(example_weighted=True)


@pytest.mark.parametrize("name", [*metrics.OF_ONE_MODEL, "ClassRecall"])
def test_a_metric_is_made_again_from_its_configuration(name):
    made = getattr(metrics, name)(name="mine")
    again = type(made).from_config(made.get_config())
    assert again.name == "mine"
    [key] = again.computations(model_names=["m"])[-1].keys
    assert key == metric_types.MetricKey("mine", "m")


def test_all_of_them_share_one_pass():
    computations = {
        computation
        for name in (*metrics.OF_ONE_MODEL, "ClassRecall")
        for computation in getattr(metrics, name)().computations()
        if isinstance(computation, metric_types.MetricComputation)
    }
    assert len(computations) == 1


def test_nothing_is_read_off_no_examples():
    nothing = make_result("", "", Outcomes.empty())
    for name in (*metrics.OF_ONE_MODEL, "ClassRecall"):
        *_, derived = getattr(metrics, name)().computations()
        base = {
            metric_types.MetricKey("_guard_outcomes"): Outcomes.empty(),
            metric_types.MetricKey("_guard_result"): nothing,
        }
        for value in derived.result(base).values():
            counts = ("Dead", "Num", "Calibration", "Outcome")
            assert name.startswith(counts) or np.isnan(value).all()
