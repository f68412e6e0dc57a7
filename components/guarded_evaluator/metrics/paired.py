# SPDX-License-Identifier: Apache-2.0
"""A metric of two models on the same examples: who is right where they differ."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics.outcomes import read_example

_FIELDS = [(True, True), (True, False), (False, True), (False, False)]
NUM_FIELDS = len(_FIELDS) + 1
"""Both right, only the reference right, only the other right, both wrong, and the
sum of the total variation distances."""


class PairedOutcomes(metric_types.Metric):
    """Compares each model with a reference model, example by example.

    The value is an array of shape (5,): how many examples both models got right,
    only the reference, only the other, neither; and the sum over examples of the
    total variation distance between their probabilities, half the sum of absolute
    differences, at most 1. Examples with predictions that are not finite count as
    wrong, at distance 1.

    The four counts are those of McNemar's test (McNemar 1947).
    """

    def __init__(self, reference: str, name: str = "paired_outcomes"):
        """Initializes the metric.

        Args:
          reference: Name of the model that the others are compared with.
          name: Name of the metric.
        """
        super().__init__(_computations, reference=reference, name=name)


metric_types.register_metric(PairedOutcomes)


class PairedOutcomesCombineFn(beam.CombineFn):
    """Sums the paired outcomes of two models over examples."""

    def __init__(
        self,
        key: metric_types.MetricKey,
        eval_config: config_pb2.EvalConfig | None,
        reference: str,
        other: str,
    ):
        """Initializes the CombineFn; `key` is the key of its one output."""
        self._key = key
        self._eval_config = eval_config
        self._reference = reference
        self._other = other

    def create_accumulator(self) -> np.ndarray:
        """Returns sums over nothing."""
        return np.zeros(NUM_FIELDS)

    def add_input(
        self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs
    ) -> np.ndarray:
        """Adds one example."""
        label, reference = read_example(element, self._eval_config, self._reference)
        _, other = read_example(element, self._eval_config, self._other)
        return accumulator + paired_outcome(label, reference, other)

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        """Adds up shards, starting from a fresh accumulator."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged = merged + accumulator
        return merged

    def extract_output(
        self, accumulator: np.ndarray
    ) -> dict[metric_types.MetricKey, np.ndarray]:
        """Returns the sums under the metric's key."""
        return {self._key: accumulator}


def paired_outcome(label: int, reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns what one example adds to the sums, shape (5,)."""
    right = (_is_right(label, reference), _is_right(label, other))
    outcome = np.zeros(NUM_FIELDS)
    outcome[_FIELDS.index(right)] = 1
    is_finite = np.isfinite(reference).all() and np.isfinite(other).all()
    # Of outputs that are no probabilities the distance may be above 1.
    outcome[4] = min(np.abs(reference - other).sum() / 2, 1.0) if is_finite else 1.0
    return outcome


def _is_right(label: int, prediction: np.ndarray) -> bool:
    return bool(np.isfinite(prediction).all() and np.argmax(prediction) == label)


def _computations(
    reference: str,
    name: str = "paired_outcomes",
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
    sub_keys: list[metric_types.SubKey] | None = None,
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    del output_names, sub_keys, example_weighted
    computations: metric_types.MetricComputations = []
    for other in model_names or []:
        if other == reference:
            continue
        key = metric_types.MetricKey(name=name, model_name=other)
        combiner = PairedOutcomesCombineFn(key, eval_config, reference, other)
        computations.append(
            metric_types.MetricComputation(
                keys=[key], preprocessors=None, combiner=combiner
            )
        )
    return computations
