# SPDX-License-Identifier: Apache-2.0
"""TFMA extractors of this project: what harmless changes do, and slices by batch."""

from collections.abc import Iterator, Mapping

import apache_beam as beam
import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.extractors import extractor, slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util

from components.guarded_evaluator.models import JudgedModel
from components.guarded_evaluator.perturbing.changes import Change
from components.guarded_evaluator.reading import (
    SAMPLED_FEATURE,
    SLICE_PREFIX,
    SPLIT_FEATURE,
    Extracts,
    take_rows,
)
from components.guarded_evaluator.slicing import Survey
from components.records.evaluation import PERTURBED_PREFIX

SliceKey = tuple[tuple[str, str], ...]


def PerturbedPredictionsExtractor(
    model: JudgedModel,
    shared_model: types.EvalSharedModel,
    changes: Mapping[str, Change] | beam.pvalue.AsSingleton,
) -> extractor.Extractor:
    """Makes an extractor that asks a model again about harmlessly changed examples.

    It runs after TFMA's PredictionsExtractor on batched Extracts, and adds to the
    predictions those of the changed examples under `perturbed:<change>`, as if they
    were another model's; `PairedOutcomes` with the model as reference then tells what
    the change does. To name these models in an `EvalConfig`, add a ModelSpec and a
    model name of the MetricsSpec for each.

    Examples whose feature `guard_sampled` is there and false are not asked about, nor
    are those that a change does not apply to: batches are parted so that each has
    predictions for all of its examples or no entry.

    Args:
      model: How the model is asked: it takes serialized tf.Examples.
      shared_model: The same model as TFMA loads it, so that it is loaded once.
      changes: Changes by name, or a side input with them.
    """
    return extractor.Extractor(
        stage_name="ExtractPerturbedPredictions",
        ptransform=beam.ParDo(_AskAboutChanges(model, shared_model), changes),
    )


def BatchSliceKeyExtractor(
    slices: beam.pvalue.AsSingleton | None,
) -> extractor.Extractor:
    """Makes an extractor of slice keys that keeps examples together.

    It takes the place of TFMA's UnbatchExtractor and SliceKeyExtractor, which hand the
    metrics one example at a time. Yielded are the batch under the key of its split,
    and the rows of each slice under split and feature. All metrics must take batches,
    as those of this package do.

    Args:
      slices: Side input with a `slicing.Survey` of all examples: by its values the
        batches are sliced; None slices by split only.
    """
    given = () if slices is None else (slices,)
    return extractor.Extractor(
        stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
        ptransform=beam.FlatMap(_slice_batch, *given),
    )


class _AskAboutChanges(model_util.DoFnWithModels):
    """Asks about the changed examples of a batch."""

    def __init__(self, model: JudgedModel, shared_model: types.EvalSharedModel):
        super().__init__({model.name: shared_model.model_loader})
        self._model = model
        self._num_asked = beam.metrics.Metrics.counter(
            constants.METRICS_NAMESPACE, "num_perturbed"
        )
        self._num_not_changed = beam.metrics.Metrics.counter(
            constants.METRICS_NAMESPACE, "num_not_perturbed"
        )

    def process(
        self, extracts: Extracts, changes: Mapping[str, Change]
    ) -> Iterator[Extracts]:
        serialized = np.asarray(extracts[constants.INPUT_KEY], object).reshape(-1)
        features = extracts.get(constants.FEATURES_KEY, {})
        sampled = features.get(SAMPLED_FEATURE, np.ones(len(serialized), bool))
        rows = np.flatnonzero(np.asarray(sampled).reshape(-1))
        predictions = extracts[constants.PREDICTIONS_KEY]
        if not isinstance(predictions, Mapping) or self._model.prediction_key in (
            predictions
        ):
            # TFMA leaves the name out where there is but one model.
            predictions = {self._model.name: predictions}
        extracts = {**extracts, constants.PREDICTIONS_KEY: predictions}
        asked = {}
        for name, change in changes.items() if len(rows) else ():
            answers = self._ask(change, serialized, rows)
            if answers is not None:
                asked[f"{PERTURBED_PREFIX}{name}"] = answers
        is_asked = np.array([applies for applies, _ in asked.values()], bool)
        for part in _equal_columns(is_asked.reshape(len(asked), len(serialized))):
            some = take_rows(extracts, part)
            for name, (applies, outputs) in asked.items():
                if applies[part[0]]:
                    some[constants.PREDICTIONS_KEY][name] = outputs[part]
            yield some

    def _ask(
        self, change: Change, serialized: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns which rows were asked about, bool of shape (B,), and the answers.

        The answers have shape (B, K), of which those to other rows mean nothing. None
        where no row was.
        """
        changed = {int(row): change(serialized[row]) for row in rows}
        given = {row: made for row, made in changed.items() if made is not None}
        self._num_not_changed.inc(len(changed) - len(given))
        if not given:
            return None
        try:
            outputs = self._answers(list(given.values()))
        except (ValueError, tf.errors.OpError) as error:
            # The model may be unable to read what was changed, such as pictures that
            # are not in the one format that it decodes; that is no fault in use.
            logging.warning("A changed example could not be asked about: %s", error)
            self._num_not_changed.inc(len(given))
            return None
        self._num_asked.inc(len(given))
        is_asked = np.zeros(len(serialized), bool)
        is_asked[list(given)] = True
        answers = np.zeros((len(serialized), *outputs.shape[1:]), outputs.dtype)
        answers[list(given)] = outputs
        return is_asked, answers

    def _answers(self, examples: list[bytes]) -> np.ndarray:
        loaded = self._loaded_models[self._model.name]
        outputs = loaded.signatures[self._model.signature](tf.constant(examples))
        key = self._model.prediction_key or next(iter(outputs))
        return np.asarray(outputs[key])


def _equal_columns(table: np.ndarray) -> list[np.ndarray]:
    """Returns the positions of equal columns together, in the order of the first."""
    parts: dict[bytes, list[int]] = {}
    for i in range(table.shape[1]):
        parts.setdefault(table[:, i].tobytes(), []).append(i)
    return [np.array(part) for part in parts.values()]


def _slice_batch(
    extracts: Extracts, survey: Survey | None = None
) -> Iterator[Extracts]:
    features = extracts[constants.FEATURES_KEY]
    split = (SPLIT_FEATURE, str(features[SPLIT_FEATURE][0]))
    kept = {
        key: extracts[key] for key in (constants.LABELS_KEY, constants.PREDICTIONS_KEY)
    }
    yield _with_key(kept, (split,))
    for feature in sorted(survey.values) if survey else ():
        values = features.get(f"{SLICE_PREFIX}{feature}")
        if values is None:
            continue
        for value in sorted({value for value in values if value is not None}):
            key = (split, (feature, value))
            yield _with_key(take_rows(kept, values == value), key)


def _with_key(extracts: Extracts, key: SliceKey) -> Extracts:
    keys = slicer_lib.slice_keys_to_numpy_array([key])
    return {**extracts, constants.SLICE_KEY_TYPES_KEY: keys}
