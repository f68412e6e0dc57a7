# SPDX-License-Identifier: Apache-2.0
"""Lets Beam sum outcomes over examples that TFMA hands over one by one, or in batches.

TFMA calls `add_input` once for each example and slice. The rows are only kept there;
many at a time are then added up with NumPy.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.guarded_evaluator.metrics.paired import NUM_FIELDS, paired_outcomes
from components.records.evaluation import PERTURBED_PREFIX

_ROWS_AT_A_TIME = 1024
_NUMBERS_AT_A_TIME = 1 << 20
"""Examples, and outputs, that are kept before they are added up: enough for NumPy to
be quick, and at most 8 MB of float64."""
_NUMBER_KINDS = "biuf"
_SumsT = TypeVar("_SumsT")


@dataclasses.dataclass
class Pending(Generic[_SumsT]):
    """Sums, and rows that are not added up yet.

    Attributes:
      sums: What is added up.
      labels: Class ids or one-hot labels: an array for each example or batch.
      predictions: For each model its outputs: an array for each example or batch.
      num_rows: Examples that are not added up yet.
    """

    sums: _SumsT
    labels: list[np.ndarray]
    predictions: tuple[list[np.ndarray], ...]
    num_rows: int = 0


class _RowsCombineFn(beam.CombineFn):
    """Sums something over the rows of one or more models."""

    def __init__(
        self,
        key: metric_types.MetricKey,
        eval_config: config_pb2.EvalConfig | None,
        model_names: Sequence[str],
        output_name: str = "",
    ):
        """Initializes the CombineFn; `key` is the key of its one output."""
        self._key = key
        self._reader = ExampleReader(eval_config, model_names, output_name)
        self._num_models = len(model_names)

    def _nothing(self) -> Any:
        """Returns sums over no example."""
        raise NotImplementedError

    def _add_up(
        self, sums: Any, class_ids: np.ndarray, outputs: list[np.ndarray]
    ) -> Any:
        """Returns the sums with examples added, which may be the same object."""
        raise NotImplementedError

    def _merge(self, sums: Any, others: Any) -> Any:
        """Returns the sums of both; `others` is not changed."""
        raise NotImplementedError

    def create_accumulator(self) -> Pending:
        """Returns sums over nothing."""
        return Pending(self._nothing(), [], tuple([] for _ in range(self._num_models)))

    def add_input(
        self, accumulator: Pending, element: metric_types.StandardMetricInputs
    ) -> Pending:
        """Adds one example, or a batch where predictions have two dimensions."""
        if not self._reader.is_asked(element):
            return accumulator
        label, predictions = self._reader.read(element)
        for kept, prediction in zip(accumulator.predictions, predictions, strict=True):
            kept.append(prediction)
        accumulator.labels.append(label)
        first = predictions[0]
        accumulator.num_rows += len(first) if first.ndim == 2 else 1
        if (
            accumulator.num_rows >= _ROWS_AT_A_TIME
            or accumulator.num_rows * first.shape[-1] >= _NUMBERS_AT_A_TIME
        ):
            return self.compact(accumulator)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Pending]) -> Pending:
        """Adds up shards, starting from a fresh accumulator."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.sums = self._merge(merged.sums, accumulator.sums)
            merged.sums = self._with_rows(merged.sums, accumulator)
        return merged

    def compact(self, accumulator: Pending) -> Pending:
        """Adds the rows up, before Beam sends the accumulator elsewhere."""
        if accumulator.num_rows:
            accumulator.sums = self._with_rows(accumulator.sums, accumulator)
            accumulator.labels.clear()
            for kept in accumulator.predictions:
                kept.clear()
            accumulator.num_rows = 0
        return accumulator

    def extract_output(self, accumulator: Pending) -> dict[metric_types.MetricKey, Any]:
        """Returns the sums under the metric's key."""
        return {self._key: self.compact(accumulator).sums}

    def _with_rows(self, sums: Any, pending: Pending) -> Any:
        if not pending.num_rows:
            return sums
        outputs = [np.concatenate(list(map(_as_rows, p))) for p in pending.predictions]
        class_ids = _class_ids(pending.labels, *outputs[0].shape)
        return self._add_up(sums, class_ids, outputs)


class OutcomesCombineFn(_RowsCombineFn):
    """Sums the outcomes of one model over examples."""

    def _nothing(self) -> Outcomes:
        return Outcomes.empty()

    def _add_up(
        self, sums: Outcomes, class_ids: np.ndarray, outputs: list[np.ndarray]
    ) -> Outcomes:
        sums.add_batch(class_ids, outputs[0])
        return sums

    def _merge(self, sums: Outcomes, others: Outcomes) -> Outcomes:
        sums.merge(others)
        return sums


class PairedOutcomesCombineFn(_RowsCombineFn):
    """Sums the paired outcomes of two models over the examples asked of both."""

    def _nothing(self) -> np.ndarray:
        return np.zeros(NUM_FIELDS)

    def _add_up(
        self, sums: np.ndarray, class_ids: np.ndarray, outputs: list[np.ndarray]
    ) -> np.ndarray:
        return sums + paired_outcomes(class_ids, *outputs)

    def _merge(self, sums: np.ndarray, others: np.ndarray) -> np.ndarray:
        return sums + others


class ExampleReader:
    """Reads labels and predictions out of what TFMA hands to a metric.

    TFMA's own way (`metric_util`) handles every form of both and costs more than all
    else; where label and predictions are plain arrays they are taken as they are.
    """

    def __init__(
        self,
        eval_config: config_pb2.EvalConfig | None,
        model_names: Sequence[str],
        output_name: str = "",
    ):
        """Initializes the reader.

        Args:
          eval_config: Names the outputs that hold the predictions.
          model_names: Models to read; TFMA calls the only one "".
          output_name: Output to read of models with several.
        """
        self._eval_config = eval_config
        self._model_names = tuple(model_names)
        self._optional_names = [
            name for name in model_names if name.startswith(PERTURBED_PREFIX)
        ]
        self._output_name = output_name
        specs = eval_config.model_specs if eval_config else ()
        self._prediction_keys = {
            (spec.name if len(specs) > 1 else ""): spec.prediction_key for spec in specs
        }

    def is_asked(self, element: metric_types.StandardMetricInputs) -> bool:
        """Returns whether all models have been asked about the example.

        The answer to a harmless change is absent where the change does not apply, or
        the example is not in the sample. That of any other model must be there.
        """
        given = element.prediction
        return all(name in given for name in self._optional_names)

    def read(
        self, element: metric_types.StandardMetricInputs
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns the label and each model's prediction.

        Of one example: shapes (1,) or, one-hot, (K,); and (K,). Of a batch: (B,),
        (B, 1) or (B, K); and (B, K).

        Raises:
          ValueError: If there is no label or more than one.
        """
        label, predictions = element.label, []
        for name in self._model_names:
            prediction = self._take(element.prediction, name)
            if prediction is None or not _is_plain(label):
                label, prediction = self._take_as_tfma(element, name)
            predictions.append(prediction)
        rows = len(predictions[0]) if predictions[0].ndim == 2 else 1
        if label.size not in (rows, predictions[0].size):
            raise ValueError(
                f"labels: expected one for each of {rows} examples, as class id or "
                f"one-hot over {predictions[0].shape[-1]} classes, but {label.size} "
                "numbers came; give every example one label"
            )
        return label, predictions

    def _take(self, given: Any, model_name: str) -> np.ndarray | None:
        """Returns the prediction, or None where it is not for the taking."""
        if self._output_name:
            return None
        for name in (model_name, self._prediction_keys.get(model_name)):
            if name and isinstance(given, Mapping) and name in given:
                given = given[name]
        return np.atleast_1d(given) if _is_plain(given) else None

    def _take_as_tfma(
        self, element: metric_types.StandardMetricInputs, model_name: str
    ) -> tuple[np.ndarray, np.ndarray]:
        label, prediction, _ = next(
            metric_util.to_label_prediction_example_weight(
                element,
                eval_config=self._eval_config,
                model_name=model_name,
                output_name=self._output_name,
                flatten=False,
            )
        )
        return np.asarray(label), np.asarray(prediction)


def _is_plain(value: Any) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.dtype.kind in _NUMBER_KINDS
        and value.size > 0
    )


def _as_rows(prediction: np.ndarray) -> np.ndarray:
    return prediction if prediction.ndim == 2 else prediction.reshape(1, -1)


def _class_ids(labels: list[np.ndarray], count: int, num_classes: int) -> np.ndarray:
    """Returns class ids, int64 of shape (B,), of labels that are ids or one-hot.

    Raises:
      ValueError: If one is neither.
    """
    numbers = np.concatenate([label.reshape(-1) for label in labels])
    if numbers.size == count:
        with np.errstate(invalid="ignore"):  # NaN, which is odd as well.
            class_ids = numbers.astype(np.int64)
        odd = class_ids != numbers
        came = str(numbers[odd][0]) if odd.any() else ""
    else:
        rows = numbers.reshape(-1, num_classes)
        class_ids = rows.argmax(axis=1)
        odd = (np.sort(rows, axis=1)[:, -2:] != (0, 1)).any(axis=1)
        odd |= np.count_nonzero(rows, axis=1) != 1
        came = str(rows[odd][0]) if odd.any() else ""
    if came:
        raise ValueError(
            f"labels: expected whole class ids, or one-hot rows, but {came} came; give "
            "every example one class"
        )
    return class_ids
