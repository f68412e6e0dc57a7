# SPDX-License-Identifier: Apache-2.0
"""Finds out how a SavedModel is asked: signatures, outputs, classes, state.

All of it is read off `saved_model.pb`, which holds the graph but no weights, so that
a model of many gigabytes costs no more than a small one. Knows no TFX: models that
were trained elsewhere are read by it as well.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pydantic
from google.protobuf import message
from tensorflow.core.framework import tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import (
    meta_graph_pb2,
    saved_model_pb2,
    saved_object_graph_pb2,
)

from components.errors import InputError
from components.labels import LabelValue
from components.records.evaluation import BATCH_STATISTICS_MODE, TRAINING_MODE
from components.records.model_card import MODEL_CARD_FILE, ModelCard

SERVING_SIGNATURE = "serving_default"
"""Signature of a SavedModel that servers call unless they are told another."""
_SERVING_TAG = "serve"
_GRAPH_FILE = "saved_model.pb"
_PROBABILITIES = "probabilities"
_FLOATS = ("DT_HALF", "DT_BFLOAT16", "DT_FLOAT", "DT_DOUBLE")
_NORMALIZATION = re.compile(r"(?:^|/)normalization(?:_\d+)?$")
"""How Keras names its Normalization layers, unless it is told otherwise."""


@dataclasses.dataclass(frozen=True)
class JudgedModel:
    """One model, or one mode of it, that is asked about every example.

    Attributes:
      name: One of the names in `components.records.evaluation`.
      path: Folder of the SavedModel.
      signature: Signature that takes serialized tf.Examples.
      prediction_key: Name of the signature's output with probabilities; "" where it
        has but one output, which TFMA unpacks by itself.
    """

    name: str
    path: str
    signature: str
    prediction_key: str = ""


def serving_model(name: str, folder: str) -> JudgedModel:
    """Returns a SavedModel as it is asked in use.

    Raises:
      InputError: If it is damaged, has no signature `serving_default`, or one that
        does not map serialized tf.Examples to probabilities.
    """
    key = _probability_key(folder, SERVING_SIGNATURE)
    return JudgedModel(name, folder, SERVING_SIGNATURE, key)


def modes(folder: str) -> list[JudgedModel]:
    """Returns the training modes of a copy for judging; empty where it is none.

    Only a copy that carries a model card is one: TFX's own trainers may leave a
    model for TFMA in the same place, which knows no modes.

    Raises:
      InputError: If the copy lacks a mode, or is damaged.
    """
    if model_card(folder) is None:
        return []
    return [
        JudgedModel(mode, folder, mode, _probability_key(folder, mode))
        for mode in (TRAINING_MODE, BATCH_STATISTICS_MODE)
    ]


def model_card(folder: str) -> ModelCard | None:
    """Reads the card of a copy for judging, None where there is none.

    Raises:
      InputError: If the card cannot be read.
    """
    path = Path(folder, MODEL_CARD_FILE)
    if not path.is_file():
        return None
    try:
        return ModelCard.from_json(path.read_text())
    except (OSError, ValueError) as error:
        reason = (
            f"{'.'.join(map(str, error.errors()[0]['loc'])) or 'the file'}: "
            f"{error.errors()[0]['msg']}"
            if isinstance(error, pydantic.ValidationError)
            else error
        )
        raise InputError(
            f"{path}: expected the card of a copy for judging, but {reason}; export "
            "the model again"
        ) from error


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


def has_no_moving_state(folder: str) -> bool:
    """Returns whether training mode surely cannot do better than inference mode.

    BatchNorm, and what works like it, keeps state beside the trained weights that
    training mode does not use: only such a model can do better in training mode than
    in use. A model all of whose floating-point variables are trained has none; the
    optimizer's own, and what Keras' Normalization was adapted to, do not count.

    Args:
      folder: Folder of the SavedModel.

    Returns:
      True only where it is certain; False also for a graph whose variables were
      turned into constants, of which nobody can tell.

    Raises:
      InputError: If the folder holds no SavedModel, or a damaged one.
    """
    graph = _read_graph(folder)
    nodes = graph.object_graph_def.nodes
    variables = {
        i: node.variable
        for i, node in enumerate(nodes)
        if node.WhichOneof("kind") == "variable"
    }
    if not variables or _normalises_by_constants(graph):
        return False
    of_optimizers = set(_of_optimizers(nodes))
    untrained = [
        variable
        for i, variable in variables.items()
        if not variable.trainable
        and types_pb2.DataType.Name(variable.dtype) in _FLOATS
        and i not in of_optimizers
    ]
    adapted = _adapted_layers(variables.values())
    return all(
        "/" in variable.name and variable.name.rpartition("/")[0] in adapted
        for variable in untrained
    )


def _of_optimizers(
    nodes: Sequence[saved_object_graph_pb2.SavedObject],
) -> Iterator[int]:
    """Yields the ids of variables that hang on an optimizer, such as its moments."""
    for node in nodes:
        for child in node.children:
            if child.local_name in ("optimizer", "_optimizer"):
                for held in nodes[child.node_id].children:
                    yield held.node_id
                    # A list of variables is a node of its own.
                    yield from (item.node_id for item in nodes[held.node_id].children)


def _adapted_layers(
    variables: Iterable[saved_object_graph_pb2.SavedVariable],
) -> set[str]:
    """Returns the paths of Keras' Normalization layers.

    They hold a mean, a variance and an integer count, which no mode changes.
    """
    held: dict[str, set[str]] = {}
    for variable in variables:
        layer, _, name = variable.name.rpartition("/")
        is_count = types_pb2.DataType.Name(variable.dtype) not in _FLOATS
        if is_count == (name == "count"):
            held.setdefault(layer, set()).add(name)
    return {
        layer
        for layer, names in held.items()
        if names == {"mean", "variance", "count"} and _NORMALIZATION.search(layer)
    }


def _normalises_by_constants(graph: meta_graph_pb2.MetaGraphDef) -> bool:
    """Whether a BatchNorm is told its statistics, perhaps by constants."""
    library = graph.graph_def.library.function
    operations = [graph.graph_def.node, *(function.node_def for function in library)]
    # Attributes that have their default, here true, are left out of the file.
    return any(
        "is_training" in node.attr and not node.attr["is_training"].b
        for nodes in operations
        for node in nodes
        if node.op.startswith("FusedBatchNorm")
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
