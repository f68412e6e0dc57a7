# SPDX-License-Identifier: Apache-2.0
"""Finds out how each model is asked: paths, signatures, outputs, classes."""

import os
from pathlib import Path

import tensorflow as tf
from tfx.utils import path_utils

from components.errors import InputError
from components.guarded_evaluator.measure import JudgedModel
from components.labels import LabelValue
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
)
from components.records.model_card import MODEL_CARD_FILE, ModelCard

_SERVING_SIGNATURE = "serving_default"
_PROBABILITIES = "probabilities"


def candidate(model_uri: str) -> JudgedModel:
    """Returns the serving model under judgement."""
    return _serving(CANDIDATE, path_utils.serving_model_path(model_uri))


def baseline(model_uri: str) -> JudgedModel:
    """Returns the serving model that is in production."""
    return _serving(BASELINE, path_utils.serving_model_path(model_uri))


def modes(model_uri: str) -> list[JudgedModel]:
    """Returns the same weights in training modes; empty without a copy for judging."""
    folder = path_utils.eval_model_dir(model_uri)
    if not os.path.isdir(folder):
        return []
    return [
        JudgedModel(mode, folder, mode, _probability_key(folder, mode))
        for mode in (TRAINING_MODE, BATCH_STATISTICS_MODE)
    ]


def model_card(model_uri: str) -> ModelCard | None:
    """Reads the card of the copy for judging, None where there is none."""
    path = Path(path_utils.eval_model_dir(model_uri), MODEL_CARD_FILE)
    return ModelCard.from_json(path.read_text()) if path.is_file() else None


def num_outputs(model: JudgedModel) -> int:
    """Returns how many probabilities the model answers.

    Raises:
      InputError: If the output's shape is not (batch, K) with a known K.
    """
    output = _outputs(model.path, model.signature)
    shape = output[model.prediction_key or next(iter(output))].shape
    if shape.rank != 2 or shape[1] is None:
        raise InputError(
            f"{model.path}: expected outputs of shape (batch, number of classes), but "
            f"signature {model.signature!r} answers {shape}; export a model with one "
            "probability per class"
        )
    return int(shape[1])


def integer_labels(model: JudgedModel) -> tuple[LabelValue, ...]:
    """Returns the labels of a model that does not name them: 0 to K-1."""
    return tuple(range(num_outputs(model)))


def _serving(name: str, folder: str) -> JudgedModel:
    return JudgedModel(
        name, folder, _SERVING_SIGNATURE, _probability_key(folder, _SERVING_SIGNATURE)
    )


def _probability_key(folder: str, signature: str) -> str:
    """Returns the output to read; "" where there is but one, which TFMA unpacks."""
    outputs = _outputs(folder, signature)
    if len(outputs) == 1:
        return ""
    if _PROBABILITIES not in outputs:
        raise InputError(
            f"{folder}: expected one output, or one called {_PROBABILITIES!r}, but "
            f"signature {signature!r} has {', '.join(sorted(outputs))}; export the "
            "probabilities under that name"
        )
    return _PROBABILITIES


def _outputs(folder: str, signature: str) -> dict[str, tf.TensorSpec]:
    try:
        signatures = tf.saved_model.load(folder).signatures
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: expected a SavedModel, but it cannot be loaded "
            f"({str(error).splitlines()[0][:200]}); export the model again"
        ) from error
    if signature not in signatures:
        raise InputError(
            f"{folder}: expected the signature {signature!r}, but the model has "
            f"{', '.join(sorted(signatures)) or 'none'}; export it with that name"
        )
    outputs: dict[str, tf.TensorSpec] = signatures[signature].structured_outputs
    return outputs
