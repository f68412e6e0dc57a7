# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from tensorflow_model_analysis.metrics import metric_types

from components.guarded_evaluator import metrics
from components.guarded_evaluator.metrics.paired import paired_outcomes

LABELS = np.array([0, 1, 1, 0])
OURS = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
THEIRS = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.8, 0.2]])


def value_of(name, outcome):
    metric = getattr(metrics, name)(reference="candidate")
    *_, derived = metric.computations(model_names=["candidate", "training"])
    [base] = [
        c.keys[0]
        for c in metric.computations(model_names=["candidate", "training"])
        if isinstance(c, metric_types.MetricComputation)
    ]
    [(key, value)] = derived.result({base: outcome}).items()
    assert key.model_name == "training"
    return value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AccuracyGain", (2 - 1) / 4),
        ("Disagreement", 3 / 4),
        ("MeanDistance", (0 + 0.5 + 0.5 + 0.5) / 4),
        ("PairedOutcomes", [1, 1, 2, 0, 1.5, 3]),
    ],
)
def test_each_is_read_off_the_pairs(name, value):
    found = value_of(name, paired_outcomes(LABELS, OURS, THEIRS))
    np.testing.assert_allclose(found, value)


@pytest.mark.parametrize("name", ["AccuracyGain", "Disagreement", "MeanDistance"])
def test_without_examples_there_is_no_number(name):
    assert np.isnan(value_of(name, np.zeros(6)))


@pytest.mark.parametrize("name", metrics.OF_TWO_MODELS)
def test_every_model_but_the_reference_is_compared(name):
    computations = getattr(metrics, name)(reference="candidate").computations(
        model_names=["candidate", "training", "baseline"]
    )
    assert {c.keys[0].model_name for c in computations} == {"training", "baseline"}


def test_all_of_them_share_one_pass_and_references_do_not_mix():
    def passes(reference):
        return {
            computation
            for name in metrics.OF_TWO_MODELS
            for computation in getattr(metrics, name)(reference=reference).computations(
                model_names=["a", "b", "c"]
            )
            if isinstance(computation, metric_types.MetricComputation)
        }

    assert len(passes("a")) == len(passes("b")) == 2
    assert len(passes("a") | passes("b")) == 4


@pytest.mark.parametrize("name", metrics.OF_TWO_MODELS)
def test_a_metric_is_made_again_from_its_configuration(name):
    made = getattr(metrics, name)(reference="a", name="mine")
    again = type(made).from_config(made.get_config())
    assert (again.name, again.kwargs["reference"]) == ("mine", "a")
