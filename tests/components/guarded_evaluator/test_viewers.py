# SPDX-License-Identifier: Apache-2.0
"""TFMA's own viewers open what the evaluator writes; docs/metrics.md says how."""

import json
import math

import pytest
import tensorflow_model_analysis as tfma

from components.guarded_evaluator import metrics

MODELS = ["candidate", "training", "batch_statistics", "baseline"]
SCALARS = {
    "class_distance",
    "classification_accuracy",
    "dead_classes",
    "effective_predicted_classes",
    "expected_calibration_error",
    "largest_output_spread",
    "lowest_recall",
    "mean_confidence",
    "mean_log_loss",
    "mean_recall",
    "num_not_finite",
    "num_not_probabilities",
    "predicted_class_entropy",
    "saturated_share",
}
COMPARED = {"accuracy_gain", "disagreement", "mean_distance"}


def load(run, model):
    return tfma.load_eval_result(run.evaluation.uri, model_name=model)


def shown(view_entry):
    """Returns the numbers that a viewer draws, by metric."""
    [of_output] = view_entry["metrics"].values()
    values = of_output[""]
    return {
        name: value["doubleValue"]
        for name, value in values.items()
        if "doubleValue" in value
    }


@pytest.mark.parametrize("model", MODELS)
def test_the_slicing_viewer_shows_both_splits_of_each_model(healthy_run, model):
    view = tfma.view.render_slicing_metrics(
        load(healthy_run, model), slicing_column="guard_split"
    )
    assert {entry["slice"] for entry in view.data} == {
        "guard_split:train",
        "guard_split:eval",
    }
    for entry in view.data:
        split = entry["slice"].removeprefix("guard_split:")
        numbers = shown(entry)
        wanted = SCALARS if model == "candidate" else SCALARS | COMPARED
        assert wanted <= set(numbers)
        assert all(map(math.isfinite, numbers.values()))
        result = healthy_run.measured.result(model, split)
        assert numbers["classification_accuracy"] == result.accuracy
        assert numbers["expected_calibration_error"] == result.calibration_error
    # What the front end is sent.
    json.dumps({"data": view.data, "config": view.config})


def test_the_time_series_viewer_shows_runs_side_by_side(healthy_run):
    results = tfma.make_eval_results(
        [load(healthy_run, "candidate"), load(healthy_run, "baseline")],
        tfma.MODEL_CENTRIC_MODE,
    )
    split = tfma.SlicingSpec(feature_values={"guard_split": "eval"})
    view = tfma.view.render_time_series(results, split)
    ours, theirs = map(shown, view.data)
    gap = theirs["classification_accuracy"] - ours["classification_accuracy"]
    assert theirs["accuracy_gain"] == pytest.approx(gap)
    json.dumps(view.data)


def test_every_metric_of_the_gate_is_in_the_evaluation(healthy_run):
    written = {
        item.key.name
        for of_slice in tfma.load_metrics(healthy_run.evaluation.uri)
        for item in of_slice.metric_keys_and_values
    }
    asked = {
        *(getattr(metrics, name)().name for name in metrics.OF_ONE_MODEL),
        *(getattr(metrics, name)("candidate").name for name in metrics.OF_TWO_MODELS),
    }
    assert written == asked
