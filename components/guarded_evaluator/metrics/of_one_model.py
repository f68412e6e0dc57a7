# SPDX-License-Identifier: Apache-2.0
"""TFMA metrics of one model: what it predicts, how often, how sure, how right.

All of them are read off one accumulator per model and slice, so that asking for all
costs one pass over the predictions, as asking for one does. None is weighted: every
example counts once, and TFMA refuses them where it is told to weight.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics.deriving import OUTCOMES, RESULT, derived
from components.records.evaluation import ModelResult

NAN = float("nan")


class _MetricOfOneModel(metric_types.Metric):
    """A number or an array that is read off the outcomes of one model."""

    def __init__(self, read: Callable[[ModelResult], Any], name: str):
        super().__init__(_computations(read), name=name)


class ClassificationAccuracy(_MetricOfOneModel):
    """Share of the examples whose class of the highest probability is the true one."""

    def __init__(self, name: str = "classification_accuracy"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.accuracy, name)


class MeanRecall(_MetricOfOneModel):
    """Mean recall over the classes that occur; accuracy where all are as frequent."""

    def __init__(self, name: str = "mean_recall"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: _over(np.mean, r.recalls), name)


class LowestRecall(_MetricOfOneModel):
    """Recall of the class that is recognised worst."""

    def __init__(self, name: str = "lowest_recall"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: _over(np.min, r.recalls), name)


class MeanLogLoss(_MetricOfOneModel):
    """Mean of -log(probability of the true class), in nats.

    Probabilities are clipped to 1e-7 from below.
    """

    def __init__(self, name: str = "mean_log_loss"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.mean_loss, name)


class ConfusionCounts(_MetricOfOneModel):
    """Examples by true class (row) and predicted class (column): shape (K, K)."""

    def __init__(self, name: str = "confusion_counts"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: np.array(r.confusion, np.float64), name)


class PredictedClassShares(_MetricOfOneModel):
    """Share of the examples predicted as each class: shape (K,)."""

    def __init__(self, name: str = "predicted_class_shares"):
        """Initializes the metric under `name`."""
        super().__init__(predicted_class_shares, name)


class PredictedClassEntropy(_MetricOfOneModel):
    """Shannon entropy of the predicted class shares, in nats.

    0 where one class is always predicted, log(K) where all are equally often.
    """

    def __init__(self, name: str = "predicted_class_entropy"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: np.log(r.effective_predicted_classes), name)


class EffectivePredictedClasses(_MetricOfOneModel):
    """exp of the entropy of the predicted class shares (Jost 2006).

    1 where one class is always predicted, K where all are equally often.
    """

    def __init__(self, name: str = "effective_predicted_classes"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.effective_predicted_classes, name)


class ClassDistance(_MetricOfOneModel):
    """Total variation distance between predicted and true class shares, 0 to 1."""

    def __init__(self, name: str = "class_distance"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.class_distance, name)


class DeadClasses(_MetricOfOneModel):
    """Number of classes that occur but are never predicted."""

    def __init__(self, name: str = "dead_classes"):
        """Initializes the metric under `name`."""
        super().__init__(_dead_classes, name)


class OutputSpread(_MetricOfOneModel):
    """Standard deviation over examples of each class's probability: shape (K,).

    A model that ignores its input has 0 everywhere.
    """

    def __init__(self, name: str = "output_spread"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: np.array(result.output_spread), name)


class LargestOutputSpread(_MetricOfOneModel):
    """The largest of the classes' `OutputSpread`; near 0 the input is ignored."""

    def __init__(self, name: str = "largest_output_spread"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: max(r.output_spread, default=NAN), name)


class OutputRange(_MetricOfOneModel):
    """Smallest and largest finite output: shape (2,); NaN where there is none."""

    def __init__(self, name: str = "output_range"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: np.array(r.output_range or (NAN, NAN)), name)


class SaturatedShare(_MetricOfOneModel):
    """Share of the examples whose highest probability is at least 0.999."""

    def __init__(self, name: str = "saturated_share"):
        """Initializes the metric under `name`."""
        super().__init__(lambda r: r.num_saturated / (_num_finite(r) or NAN), name)


class MeanConfidence(_MetricOfOneModel):
    """Mean of the highest probability; the accuracy of a calibrated model."""

    def __init__(self, name: str = "mean_confidence"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.mean_confidence, name)


class ExpectedCalibrationError(_MetricOfOneModel):
    """Mean difference between confidence and accuracy, over 15 bins of confidence.

    Naeini et al. 2015, with the bins of Guo et al. 2017.
    """

    def __init__(self, name: str = "expected_calibration_error"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.calibration_error, name)


class CalibrationBins(_MetricOfOneModel):
    """Examples, sum of confidences, and hits, by bin of confidence: shape (15, 3)."""

    def __init__(self, name: str = "calibration_bins"):
        """Initializes the metric under `name`."""
        super().__init__(_calibration_bins, name)


class NumNotFinite(_MetricOfOneModel):
    """Number of examples with NaN or infinity among their predictions."""

    def __init__(self, name: str = "num_not_finite"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.num_not_finite, name)


class NumNotProbabilities(_MetricOfOneModel):
    """Number of examples whose finite outputs are no distribution over the classes.

    One is below 0 or above 1, or their sum misses 1, by more than 0.01.
    """

    def __init__(self, name: str = "num_not_probabilities"):
        """Initializes the metric under `name`."""
        super().__init__(lambda result: result.num_not_probabilities, name)


class OutcomeSums(metric_types.Metric):
    """All sums that the other metrics are made of, as one array.

    `Outcomes.from_array` reads it; with it nothing that was measured is rounded or
    lost on the way through TFMA's files.
    """

    def __init__(self, name: str = "outcome_sums"):
        """Initializes the metric under `name`."""
        super().__init__(_outcome_sums, name=name)


for _metric in (
    CalibrationBins,
    ClassDistance,
    ClassificationAccuracy,
    ConfusionCounts,
    DeadClasses,
    EffectivePredictedClasses,
    ExpectedCalibrationError,
    LargestOutputSpread,
    LowestRecall,
    MeanConfidence,
    MeanLogLoss,
    MeanRecall,
    NumNotFinite,
    NumNotProbabilities,
    OutcomeSums,
    OutputRange,
    OutputSpread,
    PredictedClassEntropy,
    PredictedClassShares,
    SaturatedShare,
):
    metric_types.register_metric(_metric)


def predicted_class_shares(result: ModelResult) -> np.ndarray:
    """Returns the share of the examples predicted as each class, shape (K,).

    NaN without examples.
    """
    return np.array(result.predicted_counts) / (_num_finite(result) or NAN)


def _num_finite(result: ModelResult) -> int:
    return result.num_examples - result.num_not_finite


def _over(summary: Callable[[list[float]], Any], recalls: tuple[Any, ...]) -> float:
    known = [recall for recall in recalls if recall is not None]
    return float(summary(known)) if known else NAN


def _dead_classes(result: ModelResult) -> int:
    pairs = zip(result.true_counts, result.predicted_counts, strict=True)
    return sum(true > 0 and not predicted for true, predicted in pairs)


def _calibration_bins(result: ModelResult) -> np.ndarray:
    rows = [(b.num_examples, b.confidence_sum, b.num_right) for b in result.calibration]
    return np.array(rows, np.float64)


def _computations(
    read: Callable[[ModelResult], Any],
) -> Callable[..., metric_types.MetricComputations]:
    """Returns TFMA's computations of one number (or array) read off the result."""

    def computations(
        name: str,
        eval_config: config_pb2.EvalConfig | None = None,
        model_names: list[str] | None = None,
        output_names: list[str] | None = None,
    ) -> metric_types.MetricComputations:
        def values(key: metric_types.MetricKey, result: ModelResult) -> dict:
            return {key: read(result)}

        return derived(name, RESULT, values, eval_config, model_names, output_names)

    return computations


def _outcome_sums(
    name: str,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    return derived(
        name,
        OUTCOMES,
        lambda key, outcomes: {key: outcomes.to_array()},
        eval_config,
        model_names,
        output_names,
    )
