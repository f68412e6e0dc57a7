# SPDX-License-Identifier: Apache-2.0
"""TFMA metrics of each class's recall, with an exact interval."""

import numpy as np
from scipy import special
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics.deriving import RESULT, derived
from components.records.evaluation import ModelResult


class ClassRecalls(metric_types.Metric):
    """Recall of each class with an interval: shape (K, 3), NaN of absent classes.

    The columns are recall, lower and upper bound: the exact two-sided interval of
    Clopper and Pearson (1934).
    """

    def __init__(self, name: str = "class_recalls", confidence: float = 0.95):
        """Initializes the metric.

        Args:
          name: Name of the metric.
          confidence: Two-sided confidence of the interval, between 0 and 1.
        """
        super().__init__(_class_recalls, name=name, confidence=confidence)


class ClassRecall(metric_types.Metric):
    """Recall of each class, with the bounds of its interval, as numbers by class.

    As `ClassRecalls`, but one scalar for each class under its class id, so that it
    can have a threshold; the bounds stand beside it under the metric's name and
    `_lower` and `_upper`. Of the classes that `binarize` names, else of all.
    """

    def __init__(self, name: str = "class_recall", confidence: float = 0.95):
        """Initializes the metric.

        Args:
          name: Name of the metric.
          confidence: Two-sided confidence of the interval, between 0 and 1.
        """
        super().__init__(_class_recall, name=name, confidence=confidence)


for _metric in (ClassRecall, ClassRecalls):
    metric_types.register_metric(_metric)


def recall_intervals(result: ModelResult, confidence: float) -> np.ndarray:
    """Returns each class's recall, its lower and its upper bound, shape (K, 3).

    Args:
      result: The measured result.
      confidence: Two-sided confidence of the interval, between 0 and 1.
    """
    tail = (1 - confidence) / 2
    hits = np.array([row[k] for k, row in enumerate(result.confusion)], np.float64)
    misses = np.array(result.true_counts, np.float64) - hits
    # By beta quantiles: root finding, class by class, takes a second for 1,000 classes.
    with np.errstate(invalid="ignore"):
        recall = hits / (hits + misses)
        low = special.betaincinv(np.maximum(hits, 1), misses + 1, tail)
        high = special.betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail)
    low, high = np.where(hits > 0, low, 0.0), np.where(misses > 0, high, 1.0)
    rows = np.stack([recall, low, high], axis=1)
    return np.where(np.isnan(recall)[:, None], float("nan"), rows)


def _class_recalls(
    name: str,
    confidence: float,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    return derived(
        name,
        RESULT,
        lambda key, result: {key: recall_intervals(result, confidence)},
        eval_config,
        model_names,
        output_names,
    )


def _class_recall(
    name: str,
    confidence: float,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
    sub_keys: list[metric_types.SubKey | None] | None = None,
) -> metric_types.MetricComputations:
    wanted = {
        key.class_id for key in sub_keys or () if key and key.class_id is not None
    }

    def values(key: metric_types.MetricKey, result: ModelResult) -> dict:
        rows = enumerate(recall_intervals(result, confidence).tolist())
        return {
            key._replace(
                name=key.name + bound, sub_key=metric_types.SubKey(class_id)
            ): v
            for class_id, row in rows
            if not wanted or class_id in wanted
            for bound, v in zip(("", "_lower", "_upper"), row, strict=True)
        }

    return derived(name, RESULT, values, eval_config, model_names, output_names)
