# SPDX-License-Identifier: Apache-2.0
"""Finds out how each model is asked: paths, signatures, outputs, classes.

Signatures are read off `saved_model.pb`, which holds the graph but no weights, so
that a model of many gigabytes costs no more than a small one.
"""

import os
from pathlib import Path

from google.protobuf import message
from tensorflow.core.framework import tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
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
_SERVING_TAG = "serve"
_GRAPH_FILE = "saved_model.pb"
_PROBABILITIES = "probabilities"


def candidate(model_uri: str) -> JudgedModel:
    """Returns the serving model under judgement."""
    return _serving(CANDIDATE, path_utils.serving_model_path(model_uri))


def baseline(model_uri: str) -> JudgedModel:
    """Returns the serving model that is in production."""
    return _serving(BASELINE, path_utils.serving_model_path(model_uri))


def modes(model_uri: str) -> list[JudgedModel]:
    """Returns the same weights in training modes; empty without a copy for judging.

    Only a copy that carries a model card is one: TFX's own trainers may leave a
    model for TFMA in the same place, which knows no modes.
    """
    if model_card(model_uri) is None:
        return []
    folder = path_utils.eval_model_dir(model_uri)
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
      InputError: If the output's shape is not (batch, K) with a known K above 1.
    """
    outputs = _outputs(model.path, model.signature)
    shape = outputs[model.prediction_key or next(iter(outputs))]
    sizes = [dim.size for dim in shape.dim]
    if shape.unknown_rank or len(sizes) != 2 or sizes[1] < 2:
        came = tuple(None if size < 0 else size for size in sizes)
        raise InputError(
            f"{model.path}: expected outputs of shape (batch, number of classes), but "
            f"signature {model.signature!r} answers "
            f"{'an unknown shape' if shape.unknown_rank else came}; export a model "
            "with one probability per class, also where there are two classes"
        )
    return sizes[1]


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
            f"signature {signature!r} has {', '.join(sorted(outputs)) or 'none'}; "
            "export the probabilities under that name"
        )
    return _PROBABILITIES


def _outputs(
    folder: str, signature: str
) -> dict[str, tensor_shape_pb2.TensorShapeProto]:
    """Returns the shapes of a signature's outputs by name."""
    signatures = _read_graph(folder).signature_def
    # TensorFlow adds one for its own use, whose name begins with two underscores.
    names = sorted(name for name in signatures if not name.startswith("__"))
    if signature not in names:
        raise InputError(
            f"{folder}: expected the signature {signature!r}, but the model has "
            f"{', '.join(names) or 'none'}; export it with that name"
        )
    inputs = list(signatures[signature].inputs.values())
    if [tensor.dtype for tensor in inputs] != [types_pb2.DT_STRING]:
        raise InputError(
            f"{folder}: expected signature {signature!r} to take serialized "
            f"tf.Examples, one string tensor, but it takes {len(inputs)} inputs of "
            f"types {[types_pb2.DataType.Name(tensor.dtype) for tensor in inputs]}; "
            "export a signature that parses tf.Examples"
        )
    return {
        name: tensor.tensor_shape
        for name, tensor in signatures[signature].outputs.items()
    }


def _read_graph(folder: str) -> meta_graph_pb2.MetaGraphDef:
    """Reads the graph that is served.

    Raises:
      InputError: If the folder holds no SavedModel, or a damaged one.
    """
    path = os.path.join(folder, _GRAPH_FILE)
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(Path(path).read_bytes())
    except (OSError, message.DecodeError) as error:
        raise InputError(
            f"{path}: expected the graph of a SavedModel, but it cannot be read "
            f"({type(error).__name__}: {error}); export the model again"
        ) from error
    for graph in saved_model.meta_graphs:
        if _SERVING_TAG in graph.meta_info_def.tags:
            return graph
    raise InputError(
        f"{path}: expected a graph tagged {_SERVING_TAG!r}, but there is none; export "
        "the model for serving"
    )
