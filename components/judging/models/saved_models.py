# SPDX-License-Identifier: Apache-2.0
"""A SavedModel, asked through its signatures and through what lies beside it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from components.errors import InputError
from components.guarded_evaluator import models
from components.guarded_trainer.export import (
    HALF_PRECISION_TOLERANCE,
    PARITY_TOLERANCE,
)
from components.judging.models import answers, folders
from components.judging.models.asked import COPY, EnteringScale
from components.judging.models.in_memory import first_line
from components.judging.models.keras_calls import KerasCall
from components.judging.spec import InputSpec, ModelSpec
from components.labels import LabelValue
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
)
from components.records.training import BatchNormDrift

_Function = Callable[[Mapping[str, tf.Tensor]], Any]
"""From inputs by name to outputs."""
_PARSERS = ("ParseExample", "ParseExampleV2")
_COPY_SIGNATURE = "inference"
"""Signature of a copy for judging that answers as the served model does."""
_CODE = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
"""Operations that call Python code, which a SavedModel does not hold."""


class SavedModel:
    """A SavedModel in inference mode, and in the modes that can be had."""

    def __init__(
        self, folder: Path, *, signature: str | None = None, from_logits: bool = False
    ):
        """Loads a SavedModel.

        Args:
          folder: Folder of the model: a SavedModel, or a TFX model with one below it.
          signature: Signature to ask; by default `serving_default`, or the only one.
          from_logits: Whether its outputs are logits.

        Raises:
          InputError: If there is no SavedModel, a damaged one, or it has no such
            signature.
        """
        found = folders.find(folder)
        self._where = str(found.serving)
        self._from_logits = from_logits
        self._loaded = _load(found.serving)
        served = _signature(self._loaded, signature, self._where)
        self._functions: dict[str, _Function] = {CANDIDATE: _by_keyword(served)}
        self.spec = _spec(served, self._where)
        self.labels: Sequence[LabelValue] = found.labels
        self.batch_size = found.batch_size
        self.modes_missing_because = ""
        self.has_no_modes = False
        self.rounding = (
            HALF_PRECISION_TOLERANCE if _is_half(served) else PARITY_TOLERANCE
        )
        if found.judging is not None:
            self._copy = _load(found.judging)
            for mode, name in (
                (COPY, _COPY_SIGNATURE),
                (TRAINING_MODE, TRAINING_MODE),
                (BATCH_STATISTICS_MODE, BATCH_STATISTICS_MODE),
            ):
                function = _signature(self._copy, name, str(found.judging))
                self._functions[mode] = _by_keyword(function)
        else:
            self._find_modes(found.serving)

    @property
    def modes(self) -> Sequence[str]:
        """Which modes it can be asked in; see `AskedModel`."""
        return tuple(name for name in self._functions if name != CANDIDATE)

    def takes_examples(self, mode: str) -> bool:
        """Returns whether it is given serialized tf.Examples."""
        return self.spec.takes_examples

    def ask(self, mode: str, inputs: Any) -> np.ndarray:
        """Returns the answers to a batch; see `AskedModel`."""
        given = _by_name(inputs, self.spec, self._where)
        try:
            outputs = self._functions[mode](given)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise InputError(
                f"{self._where}: expected a model that takes the data, but it cannot "
                f"be asked ({first_line(error)}); judge it on data with the features "
                "that it was trained on"
            ) from error
        output = answers.choose_output(outputs, self._where)
        return answers.by_class(
            output.numpy(), self._where, from_logits=self._from_logits
        )

    def drift(self, batches: Iterable[Any]) -> tuple[BatchNormDrift, ...]:
        """Returns nothing: the layers of a SavedModel cannot be looked into."""
        return ()

    def entering(self, inputs: Any) -> EnteringScale | None:
        """Returns None: the layers of a SavedModel cannot be looked into."""
        return None

    def _find_modes(self, folder: Path) -> None:
        """Finds training mode in the model itself, or says why it has none."""
        self.has_no_modes = models.has_no_moving_state(str(folder))
        call = KerasCall.of(self._loaded, self.spec)
        if call is not None:
            self._functions[COPY] = call.in_mode(training=False)
            self._functions[TRAINING_MODE] = call.in_mode(training=True)
        elif not self.has_no_modes:
            self.modes_missing_because = (
                f"{self._where} has no signature in training mode; save the model as a "
                "`.keras` file as well, and give that along"
            )


def _by_keyword(signature: Any) -> _Function:
    """Returns a signature as a function from inputs by name."""
    return lambda inputs: signature(**inputs)


def _load(folder: Path) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises whatever a damaged file leads to.
        raise InputError(
            f"{folder}: expected a SavedModel that TensorFlow {tf.__version__} can "
            f"load, but it cannot ({type(error).__name__}: {first_line(error)}), such "
            "as one that is cut off or needs operations of other libraries; export it "
            "again"
        ) from error


def _signature(loaded: Any, name: str | None, where: str) -> Any:
    known = sorted(loaded.signatures)
    if name is None:
        only = known[0] if len(known) == 1 else models.SERVING_SIGNATURE
        name = models.SERVING_SIGNATURE if models.SERVING_SIGNATURE in known else only
    if name not in known:
        raise InputError(
            f"{where}: expected the signature {name!r}, but the model has "
            f"{', '.join(map(repr, known)) or 'none'}; name one of them, or export it "
            "with that one"
        )
    return loaded.signatures[name]


def _spec(function: Any, where: str) -> ModelSpec:
    """Returns what a signature wants to be given.

    Raises:
      InputError: If it runs code of its own, or does not answer one number per class.
    """
    operations = _operations(function)
    if code := sorted(operations & set(_CODE)):
        raise InputError(
            f"{where}: expected TensorFlow operations alone, but the model calls "
            f"Python code ({', '.join(code)}) that it does not hold; export it without "
            "`tf.py_function` and `tf.numpy_function`"
        )
    inputs = tuple(
        InputSpec(name, _sizes(spec.shape)[1:], spec.dtype.name)
        for name, spec in sorted(function.structured_input_signature[1].items())
    )
    output = answers.choose_output(function.structured_outputs, where)
    return ModelSpec(
        inputs=inputs,
        takes_examples=len(inputs) == 1
        and (inputs[0].shape, inputs[0].dtype) == ((), "string")
        and not operations.isdisjoint(_PARSERS),
        num_classes=answers.num_classes(_sizes(output.shape), where),
    )


def _operations(function: Any) -> set[str]:
    """Returns the names of all operations that a signature may run."""
    graph = function.graph.as_graph_def()
    nodes = [graph.node, *(f.node_def for f in graph.library.function)]
    return {node.op for each in nodes for node in each}


def _is_half(function: Any) -> bool:
    """Returns whether a signature computes in half precision anywhere."""
    graph = function.graph.as_graph_def()
    nodes = [graph.node, *(f.node_def for f in graph.library.function)]
    halves = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)
    return any(node.attr["T"].type in halves for each in nodes for node in each)


def _sizes(shape: tf.TensorShape) -> tuple[int | None, ...]:
    return tuple(shape.as_list()) if shape.rank is not None else ()


def _by_name(inputs: Any, spec: ModelSpec, where: str) -> dict[str, tf.Tensor]:
    """Returns inputs as the tensors that a signature takes.

    Raises:
      InputError: If they are others than the signature's.
    """
    wanted = {each.name: each for each in spec.inputs}
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif isinstance(inputs, tuple) and len(inputs) > 1:
        given = {f"number {i}": value for i, value in enumerate(inputs)}
    else:
        given = dict.fromkeys(list(wanted)[:1], inputs)
    if given.keys() != wanted.keys() and len(wanted) == len(given) == 1:
        given = dict(zip(wanted, given.values(), strict=True))
    if given.keys() != wanted.keys():
        raise InputError(
            f"{where}: expected the inputs {', '.join(wanted)}, but the data have "
            f"{', '.join(map(str, given))}; give x as a dict with these names"
        )
    return {name: _tensor(given[name], each, where) for name, each in wanted.items()}


def _tensor(value: Any, spec: InputSpec, where: str) -> tf.Tensor:
    if spec.dtype == "string":
        return tf.constant(np.asarray(value, object).tolist(), tf.string)
    array = np.asarray(value)
    wanted = np.dtype(tf.as_dtype(spec.dtype).as_numpy_dtype)
    if array.ndim == len(spec.shape) and spec.shape and spec.shape[-1] == 1:
        array = array[..., np.newaxis]  # One number per row, as Keras takes it.
    try:
        same = array.dtype.kind in "biuf" and (
            wanted.kind not in "iu" or np.array_equal(array, array.astype(wanted))
        )
    except (ValueError, OverflowError):
        same = False
    if not same:
        raise InputError(
            f"{where}: expected numbers of type {spec.dtype} for the input "
            f"{spec.name!r}, but got {array.dtype}; bring the feature into that type"
        )
    return tf.constant(array.astype(wanted))
