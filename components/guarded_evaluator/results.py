# SPDX-License-Identifier: Apache-2.0
"""Makes records of what was measured: from sums, and from TFMA's files.

TFMA is imported where its files are read: judging without TFX needs only the rest.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.records.evaluation import (
    CANDIDATE,
    PERTURBED_PREFIX,
    CalibrationBin,
    EvaluationRecord,
    ModelResult,
    PairedResult,
)

_SUMS, _PAIRED = "outcome_sums", "paired_outcomes"


def make_result(
    model: str, split: str, outcomes: Outcomes, slice: str = ""
) -> ModelResult:
    """Makes the record of one model on one split.

    Args:
      model: One of the names in `components.records.evaluation`.
      split: Name of the split.
      outcomes: What the model answered.
      slice: Slice of the split, as `feature=value`; empty for the whole split.
    """
    has_range = outcomes.smallest <= outcomes.largest
    return ModelResult(
        model=model,
        split=split,
        slice=slice,
        num_examples=outcomes.num_examples + outcomes.num_not_finite,
        confusion=tuple(map(tuple, outcomes.confusion.tolist())),
        mean_loss=outcomes.mean_log_loss,
        output_spread=tuple(outcomes.output_spread.tolist()),
        num_not_finite=outcomes.num_not_finite,
        num_not_probabilities=outcomes.num_not_probabilities,
        output_range=(outcomes.smallest, outcomes.largest) if has_range else None,
        num_saturated=outcomes.num_saturated,
        calibration=tuple(
            CalibrationBin(num_examples=count, confidence_sum=confidence, num_right=hit)
            for count, confidence, hit in zip(
                outcomes.bin_counts.tolist(),
                outcomes.bin_confidence_sums.tolist(),
                outcomes.bin_right.tolist(),
                strict=True,
            )
        ),
    )


def make_pair(
    other: str, split: str, outcome: np.ndarray, slice: str = ""
) -> PairedResult:
    """Makes the record of what `paired_outcomes` counts, shape (6,).

    Args:
      other: Name of the model that the candidate is compared with.
      split: Name of the split.
      outcome: The sums, the candidate being the reference.
      slice: Slice of the split, as `feature=value`; empty for the whole split.

    Raises:
      ValueError: If a sum is NaN or negative, which no examples add up to.
    """
    if not (outcome >= 0).all():
        raise ValueError(
            f"comparison with {other} on {split}: expected sums over examples, but "
            "there is a NaN or a negative one among them; evaluate the model again"
        )
    *counts, distance, different = outcome.reshape(-1).tolist()
    both, only_candidate, only_other, neither = map(int, counts)
    count = both + only_candidate + only_other + neither
    return PairedResult(
        other=other,
        split=split,
        slice=slice,
        both_right=both,
        only_candidate_right=only_candidate,
        only_other_right=only_other,
        both_wrong=neither,
        mean_distance=distance / count if count else float("nan"),
        num_different=int(different),
    )


def read_results(output_path: str, class_names: Sequence[str]) -> EvaluationRecord:
    """Reads the metrics that `measure.evaluate` made TFMA write.

    Of harmless changes only the pairs are read, where examples were changed.

    Raises:
      KeyError: If the sums of a model are missing.
      ValueError: If they hold what no examples can add up to.
    """
    import tensorflow_model_analysis as tfma

    values: dict[tuple[str, str, str], dict[str, np.ndarray]] = {}
    for metrics_for_slice in tfma.load_metrics(output_path):
        place = _place_of(metrics_for_slice.slice_key.single_slice_keys)
        if place is None:
            continue
        for item in metrics_for_slice.metric_keys_and_values:
            # TFMA drops the name of a model that is the only one.
            name = item.key.model_name or CANDIDATE
            of_model = values.setdefault((name, *place), {})
            if item.key.name in (_SUMS, _PAIRED):
                of_model[item.key.name] = read_array(item.value)
    return EvaluationRecord(
        class_names=tuple(class_names),
        results=tuple(
            make_result(model, split, Outcomes.from_array(v[_SUMS]), slice)
            for (model, split, slice), v in sorted(values.items())
            if _SUMS in v or not model.startswith(PERTURBED_PREFIX)
        ),
        pairs=tuple(
            make_pair(model, split, v[_PAIRED], slice)
            for (model, split, slice), v in sorted(values.items())
            if _PAIRED in v and not _is_left_out(model, v[_PAIRED])
        ),
    )


def _is_left_out(model: str, outcome: np.ndarray) -> bool:
    return model.startswith(PERTURBED_PREFIX) and not outcome.any()


def read_array(value: Any) -> np.ndarray:
    """Reads a scalar or an array from TFMA's MetricValue proto.

    Raises:
      ValueError: If it is neither.
    """
    kind = value.WhichOneof("type")
    if kind == "double_value":
        return np.asarray(value.double_value.value)
    if kind == "array_value":
        array = value.array_value
        numbers = array.float64_values or array.float32_values
        return np.asarray(numbers, np.float64).reshape(array.shape)
    raise ValueError(f"expected a number or an array from TFMA, but got {kind}")


def _place_of(slice_keys: Iterable[Any]) -> tuple[str, str] | None:
    """Returns split and slice; None of what is no slice of a single split."""
    from components.guarded_evaluator.reading import SPLIT_FEATURE

    values = {key.column: _text_of(key) for key in slice_keys}
    split = values.pop(SPLIT_FEATURE, None)
    if split is None or len(values) > 1:
        return None
    return split, "".join(f"{name}={value}" for name, value in values.items())


def _text_of(key: Any) -> str:
    value = getattr(key, key.WhichOneof("kind"))
    return value.decode() if isinstance(value, bytes) else str(value)
