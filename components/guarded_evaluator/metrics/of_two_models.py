# SPDX-License-Identifier: Apache-2.0
"""TFMA metrics of two models on the same examples: who is right where they differ.

Each model is compared with a reference model, `reference` in the metric's settings.
All are read off one accumulator per pair of models and slice.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics.combining import PairedOutcomesCombineFn
from components.guarded_evaluator.results import make_pair
from components.records.evaluation import PairedResult

_PAIRED = "_guard_paired_outcomes"
NAN = float("nan")


class _MetricOfTwoModels(metric_types.Metric):
    """A number or an array that is read off the paired outcomes of two models."""

    def __init__(self, read: Callable[[np.ndarray], Any], name: str, reference: str):
        super().__init__(_computations(read), name=name, reference=reference)


class PairedOutcomes(_MetricOfTwoModels):
    """How the answers of both models go together: an array of shape (6,).

    How many examples both models got right, only the reference, only the other,
    neither (the counts of McNemar's test, McNemar 1947); the sum over examples of the
    total variation distance between their probabilities, half the sum of absolute
    differences, at most 1; and how many examples are given different classes.
    Predictions that are not finite are wrong, and at distance 1.
    """

    def __init__(self, reference: str, name: str = "paired_outcomes"):
        """Initializes the metric.

        Args:
          reference: Name of the model that the others are compared with.
          name: Name of the metric.
        """
        super().__init__(lambda outcome: outcome, name, reference)


class AccuracyGain(_MetricOfTwoModels):
    """Accuracy of the model less that of the reference, on the same examples.

    Its sign is the direction of the disagreement: who is right where they differ.
    """

    def __init__(self, reference: str, name: str = "accuracy_gain"):
        """Initializes the metric.

        Args:
          reference: Name of the model that the others are compared with.
          name: Name of the metric.
        """
        super().__init__(_of_pair(_accuracy_gain), name, reference)


class Disagreement(_MetricOfTwoModels):
    """Share of the examples that the two models give different classes."""

    def __init__(self, reference: str, name: str = "disagreement"):
        """Initializes the metric.

        Args:
          reference: Name of the model that the others are compared with.
          name: Name of the metric.
        """
        super().__init__(_of_pair(_disagreement), name, reference)


class MeanDistance(_MetricOfTwoModels):
    """Mean total variation distance between the two models' probabilities, 0 to 1."""

    def __init__(self, reference: str, name: str = "mean_distance"):
        """Initializes the metric.

        Args:
          reference: Name of the model that the others are compared with.
          name: Name of the metric.
        """
        super().__init__(_of_pair(lambda pair: pair.mean_distance), name, reference)


for _metric in (AccuracyGain, Disagreement, MeanDistance, PairedOutcomes):
    metric_types.register_metric(_metric)


def _of_pair(read: Callable[[PairedResult], float]) -> Callable[[np.ndarray], float]:
    return lambda outcome: read(make_pair("", "", outcome))


def _accuracy_gain(pair: PairedResult) -> float:
    return (pair.only_other_right - pair.only_candidate_right) / (
        pair.num_examples or NAN
    )


def _disagreement(pair: PairedResult) -> float:
    return pair.num_different / (pair.num_examples or NAN)


def _computations(
    read: Callable[[np.ndarray], Any],
) -> Callable[..., metric_types.MetricComputations]:
    """Returns TFMA's computations of one number (or array) read off the outcomes."""

    def computations(
        reference: str,
        name: str,
        eval_config: config_pb2.EvalConfig | None = None,
        model_names: list[str] | None = None,
    ) -> metric_types.MetricComputations:
        result: metric_types.MetricComputations = []
        for other in model_names or []:
            if other == reference:
                continue
            # Of another reference, or under another name, it is another metric.
            base = metric_types.MetricKey(f"{_PAIRED}_{reference}", other)
            key = metric_types.MetricKey(name, other)
            result += [
                metric_types.MetricComputation(
                    keys=[base],
                    preprocessors=None,
                    combiner=PairedOutcomesCombineFn(
                        base, eval_config, [reference, other]
                    ),
                ),
                metric_types.DerivedMetricComputation(
                    keys=[key],
                    result=lambda metrics, key=key, base=base: {
                        key: read(metrics[base])
                    },
                ),
            ]
        return result

    return computations
