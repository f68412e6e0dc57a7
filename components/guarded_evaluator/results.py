# SPDX-License-Identifier: Apache-2.0
"""Reads TFMA's metrics back as an EvaluationRecord."""

from collections.abc import Sequence

import numpy as np
import tensorflow_model_analysis as tfma

from components.guarded_evaluator.measure import SPLIT_FEATURE
from components.records.evaluation import (
    CANDIDATE,
    EvaluationRecord,
    ModelResult,
    PairedResult,
)

_Values = dict[str, np.ndarray]


def read_results(output_path: str, class_names: Sequence[str]) -> EvaluationRecord:
    """Reads the metrics that `measure.evaluate` made TFMA write.

    Raises:
      KeyError: If a metric is missing.
    """
    values: dict[tuple[str, str], _Values] = {}
    for metrics_for_slice in tfma.load_metrics(output_path):
        split = _split_of(metrics_for_slice)
        if split is None:
            continue
        for item in metrics_for_slice.metric_keys_and_values:
            # TFMA drops the name of a model that is the only one.
            name = item.key.model_name or CANDIDATE
            of_model = values.setdefault((name, split), {})
            of_model[item.key.name] = _number(item.value)
    return EvaluationRecord(
        class_names=tuple(class_names),
        results=tuple(
            _result(model, split, v) for (model, split), v in sorted(values.items())
        ),
        pairs=tuple(
            make_pair(model, split, v["paired_outcomes"])
            for (model, split), v in sorted(values.items())
            if "paired_outcomes" in v
        ),
    )


def _result(model: str, split: str, values: _Values) -> ModelResult:
    spread = values["output_spread"].reshape(-1)
    confusion = values["confusion_counts"].reshape(len(spread), len(spread))
    not_finite = int(values["num_not_finite"].item())
    return ModelResult(
        model=model,
        split=split,
        num_examples=int(confusion.sum()) + not_finite,
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        mean_loss=values["mean_log_loss"].item(),
        output_spread=tuple(spread.tolist()),
        num_not_finite=not_finite,
    )


def make_pair(other: str, split: str, outcome: np.ndarray) -> PairedResult:
    """Makes the record of what the metric PairedOutcomes counts, shape (5,)."""
    both, only_candidate, only_other, neither, distance = outcome.reshape(-1).tolist()
    count = both + only_candidate + only_other + neither
    return PairedResult(
        other=other,
        split=split,
        both_right=int(both),
        only_candidate_right=int(only_candidate),
        only_other_right=int(only_other),
        both_wrong=int(neither),
        mean_distance=distance / count if count else float("nan"),
    )


def _split_of(metrics_for_slice: object) -> str | None:
    keys = metrics_for_slice.slice_key.single_slice_keys  # type: ignore[attr-defined]
    if len(keys) == 1 and keys[0].column == SPLIT_FEATURE:
        return str(keys[0].bytes_value.decode())
    return None


def _number(value: object) -> np.ndarray:
    """Reads a scalar or an array from TFMA's MetricValue proto."""
    kind = value.WhichOneof("type")  # type: ignore[attr-defined]
    if kind == "double_value":
        return np.asarray(value.double_value.value)  # type: ignore[attr-defined]
    if kind == "array_value":
        array = value.array_value  # type: ignore[attr-defined]
        return np.asarray(array.float64_values or array.float32_values).reshape(
            array.shape
        )
    raise ValueError(f"expected a number or an array from TFMA, but got {kind}")
