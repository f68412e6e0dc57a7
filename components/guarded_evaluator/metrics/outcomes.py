# SPDX-License-Identifier: Apache-2.0
"""Metrics of one model: what it predicts, how often, and how much that varies.

All of them are read off one accumulator per model and slice, so that asking for
several costs one pass over the predictions.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

_OUTCOMES = "_guard_outcomes"
_SMALLEST_PROBABILITY = 1e-7


@dataclasses.dataclass
class Outcomes:
    """Sums over examples; float64 or integers, so that they merge in any order.

    Attributes:
      confusion: Examples by true class (row) and predicted class (column), shape
        (K, K); shape (0, 0) before the first example.
      probability_sum: Sum of the probabilities, shape (K,).
      probability_square_sum: Sum of their squares, shape (K,).
      log_loss_sum: Sum of -log(probability of the true class), nats.
      num_not_finite: Examples with NaN or infinity among their predictions; they
        count in no other sum.
    """

    confusion: np.ndarray
    probability_sum: np.ndarray
    probability_square_sum: np.ndarray
    log_loss_sum: float = 0.0
    num_not_finite: int = 0

    @classmethod
    def empty(cls, num_classes: int = 0) -> "Outcomes":
        """Returns sums over nothing."""
        return cls(
            np.zeros((num_classes, num_classes), np.int64),
            np.zeros(num_classes),
            np.zeros(num_classes),
        )

    @property
    def num_examples(self) -> int:
        """Examples with finite predictions."""
        return int(self.confusion.sum())

    def add(self, label: int, prediction: np.ndarray) -> None:
        """Adds one example in place."""
        if not self.confusion.size:
            self._grow(len(prediction))
        if not np.isfinite(prediction).all():
            self.num_not_finite += 1
            return
        self.confusion[label, int(np.argmax(prediction))] += 1
        self.probability_sum += prediction
        self.probability_square_sum += np.square(prediction)
        self.log_loss_sum -= float(
            np.log(max(prediction[label], _SMALLEST_PROBABILITY))
        )

    def merge(self, other: "Outcomes") -> None:
        """Adds the sums of another shard in place; `other` is not changed."""
        self.num_not_finite += other.num_not_finite
        if not other.confusion.size:
            return
        if not self.confusion.size:
            self._grow(len(other.confusion))
        self.confusion += other.confusion
        self.probability_sum += other.probability_sum
        self.probability_square_sum += other.probability_square_sum
        self.log_loss_sum += other.log_loss_sum

    def _grow(self, num_classes: int) -> None:
        grown = Outcomes.empty(num_classes)
        self.confusion = grown.confusion
        self.probability_sum = grown.probability_sum
        self.probability_square_sum = grown.probability_square_sum


def output_spread(outcomes: Outcomes) -> np.ndarray:
    """Returns each class's standard deviation of probability over the examples.

    Shape (K,); NaN where there are no examples.
    """
    count = outcomes.num_examples or float("nan")
    mean = outcomes.probability_sum / count
    variance = outcomes.probability_square_sum / count - np.square(mean)
    # Rounding can push the variance of equal values a hair below 0.
    return np.sqrt(np.where(variance < 0, 0.0, variance))


def predicted_class_shares(outcomes: Outcomes) -> np.ndarray:
    """Returns the share of the examples predicted as each class, shape (K,).

    NaN without examples.
    """
    return outcomes.confusion.sum(axis=0) / (outcomes.num_examples or float("nan"))


def dead_classes(outcomes: Outcomes) -> float:
    """Returns how many classes occur among the labels but are never predicted."""
    occurs = outcomes.confusion.sum(axis=1) > 0
    predicted = outcomes.confusion.sum(axis=0) > 0
    return float(np.sum(occurs & ~predicted))


def mean_log_loss(outcomes: Outcomes) -> float:
    """Returns the mean of -log(probability of the true class), in nats.

    NaN without examples.
    """
    return outcomes.log_loss_sum / (outcomes.num_examples or float("nan"))


class ConfusionCounts(metric_types.Metric):
    """Examples by true and predicted class: an array of shape (K, K)."""

    def __init__(self, name: str = "confusion_counts"):
        """Initializes the metric under `name`."""
        super().__init__(_derived(lambda o: o.confusion.astype(np.float64)), name=name)


class PredictedClassShares(metric_types.Metric):
    """Share of the examples predicted as each class: an array of shape (K,)."""

    def __init__(self, name: str = "predicted_class_shares"):
        """Initializes the metric under `name`."""
        super().__init__(_derived(predicted_class_shares), name=name)


class DeadClasses(metric_types.Metric):
    """Number of classes that occur but are never predicted."""

    def __init__(self, name: str = "dead_classes"):
        """Initializes the metric under `name`."""
        super().__init__(_derived(dead_classes), name=name)


class OutputSpread(metric_types.Metric):
    """Standard deviation over examples of each class's probability, shape (K,).

    A model that ignores its input has 0 everywhere.
    """

    def __init__(self, name: str = "output_spread"):
        """Initializes the metric under `name`."""
        super().__init__(_derived(output_spread), name=name)


class MeanLogLoss(metric_types.Metric):
    """Mean of -log(probability of the true class), in nats."""

    def __init__(self, name: str = "mean_log_loss"):
        """Initializes the metric under `name`."""
        super().__init__(_derived(mean_log_loss), name=name)


class NumNotFinite(metric_types.Metric):
    """Number of examples with NaN or infinity among their predictions."""

    def __init__(self, name: str = "num_not_finite"):
        """Initializes the metric under `name`."""
        super().__init__(_derived(lambda o: float(o.num_not_finite)), name=name)


for _metric in (
    ConfusionCounts,
    PredictedClassShares,
    DeadClasses,
    OutputSpread,
    MeanLogLoss,
    NumNotFinite,
):
    metric_types.register_metric(_metric)


class OutcomesCombineFn(beam.CombineFn):
    """Sums the outcomes of one model over examples."""

    def __init__(
        self,
        key: metric_types.MetricKey,
        eval_config: config_pb2.EvalConfig | None,
        model_name: str,
        output_name: str,
    ):
        """Initializes the CombineFn; `key` is the key of its one output."""
        self._key = key
        self._eval_config = eval_config
        self._model_name = model_name
        self._output_name = output_name

    def create_accumulator(self) -> Outcomes:
        """Returns sums over nothing."""
        return Outcomes.empty()

    def add_input(
        self, accumulator: Outcomes, element: metric_types.StandardMetricInputs
    ) -> Outcomes:
        """Adds one example."""
        label, prediction = read_example(
            element, self._eval_config, self._model_name, self._output_name
        )
        accumulator.add(label, prediction)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Outcomes]) -> Outcomes:
        """Adds up shards, starting from a fresh accumulator."""
        merged = Outcomes.empty()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(
        self, accumulator: Outcomes
    ) -> dict[metric_types.MetricKey, Outcomes]:
        """Returns the sums under the metric's key."""
        return {self._key: accumulator}


def read_example(
    element: metric_types.StandardMetricInputs,
    eval_config: config_pb2.EvalConfig | None,
    model_name: str,
    output_name: str = "",
) -> tuple[int, np.ndarray]:
    """Returns the label and the prediction, float64 of shape (K,), of one example.

    Raises:
      ValueError: If the label is no class of the prediction.
    """
    label, prediction, _ = next(
        metric_util.to_label_prediction_example_weight(
            element,
            eval_config=eval_config,
            model_name=model_name,
            output_name=output_name,
            flatten=False,
        )
    )
    class_id = int(np.asarray(label).item())
    probabilities = np.asarray(prediction, np.float64).reshape(-1)
    if not 0 <= class_id < len(probabilities):
        raise ValueError(
            f"labels must be class ids from 0 to {len(probabilities) - 1}, as many as "
            f"the model {model_name!r} has outputs, but one is {class_id}; map the "
            "labels to class ids, or evaluate the model that knows this class"
        )
    return class_id, probabilities


def _derived(
    extract: Callable[[Outcomes], Any],
) -> Callable[..., metric_types.MetricComputations]:
    """Returns TFMA's computations of one number (or array) read off the outcomes."""

    def computations(
        name: str,
        eval_config: config_pb2.EvalConfig | None = None,
        model_names: list[str] | None = None,
        output_names: list[str] | None = None,
        sub_keys: list[metric_types.SubKey] | None = None,
        example_weighted: bool = False,
    ) -> metric_types.MetricComputations:
        del sub_keys, example_weighted  # A count of examples has neither.
        result: metric_types.MetricComputations = []
        for model_name in model_names or [""]:
            for output_name in output_names or [""]:
                base = metric_types.MetricKey(
                    name=_OUTCOMES, model_name=model_name, output_name=output_name
                )
                key = metric_types.MetricKey(
                    name=name, model_name=model_name, output_name=output_name
                )
                # TFMA runs computations with equal keys once.
                result += [
                    metric_types.MetricComputation(
                        keys=[base],
                        preprocessors=None,
                        combiner=OutcomesCombineFn(
                            base, eval_config, model_name, output_name
                        ),
                    ),
                    metric_types.DerivedMetricComputation(
                        keys=[key],
                        result=lambda metrics, key=key, base=base: {
                            key: extract(metrics[base])
                        },
                    ),
                ]
        return result

    return computations
