# SPDX-License-Identifier: Apache-2.0
"""A Keras model in memory, asked in all its modes."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer import batch_norm, export, modes
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.probe.entering import measure_entering
from components.guarded_trainer.probe.layers import watched_layers
from components.judging.models import answers
from components.judging.models.asked import EnteringScale
from components.judging.spec import InputSpec, ModelSpec
from components.labels import LabelValue
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
)
from components.records.training import BatchNormDrift

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class KerasModel:
    """A Keras model, built, whose variables stay as they are however it is asked."""

    labels: Sequence[LabelValue] = ()
    batch_size: int | None = None
    modes: Sequence[str] = (TRAINING_MODE, BATCH_STATISTICS_MODE)
    modes_missing_because = ""
    has_no_modes = False

    def __init__(
        self, model: keras.Model, inputs: Any, *, where: str, from_logits: bool = False
    ):
        """Reads off the model what it answers; builds it if need be.

        Args:
          model: Any Keras model that classifies.
          inputs: A few real inputs.
          where: Name of the model, for messages.
          from_logits: Whether its outputs are logits.

        Raises:
          InputError: If the model does not take the inputs, or does not answer one
            number per class.
        """
        self._model = model
        self._where = where
        self._from_logits = from_logits
        few = self._tensors(inputs)
        # Not `modes.forward`: a model cannot be built where variables must not change.
        try:
            outputs = modes.call(model, few, training=False)
        except Exception as error:  # Whatever the code of the model raises.
            raise self._refusal(error) from error
        output = answers.choose_output(outputs, where)
        shape = tuple(getattr(output, "shape", ()))
        self.spec = ModelSpec(
            inputs=input_specs(model),
            takes_examples=False,
            num_classes=answers.num_classes(shape, where),
        )
        self.rounding = export.tolerance(model)
        self._layers = modes.adaptive_layers(model, few)
        self._askers = {
            CANDIDATE: self._asker(training=False),
            TRAINING_MODE: self._asker(training=True),
            BATCH_STATISTICS_MODE: self._asker(training=False, switched=self._layers),
        }

    def takes_examples(self, mode: str) -> bool:
        """Returns whether it is given serialized tf.Examples: never."""
        return False

    def ask(self, mode: str, inputs: Any) -> np.ndarray:
        """Returns the answers to a batch; see `AskedModel`."""
        try:
            outputs = self._askers[mode](self._tensors(inputs))
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise self._refusal(error) from error
        return answers.by_class(
            keras.ops.convert_to_numpy(outputs),
            self._where,
            from_logits=self._from_logits,
        )

    def drift(self, batches: Iterable[Any]) -> tuple[BatchNormDrift, ...]:
        """Returns how far BatchNorm is from the data; see `AskedModel`."""
        given = map(self._tensors, batches)
        measured = batch_norm.measure(self._model, self._layers, given)
        if not measured:
            return ()
        optimizer = getattr(self._model, "optimizer", None)
        num_steps = int(optimizer.iterations) if optimizer is not None else 0
        drift = batch_norm.drift(self._layers, measured, num_steps)
        if num_steps:
            return drift
        # A model that is loaded does not know how long it was trained.
        unknown = {"initial_share": math.nan}
        return tuple(layer.model_copy(update=unknown) for layer in drift)

    def entering(self, inputs: Any) -> EnteringScale | None:
        """Returns the size of what reaches the first weights; see `AskedModel`."""
        layers = watched_layers(self._model)
        seen = measure_entering(self._model, layers, self._tensors(inputs))
        return EnteringScale(seen.scale, max(seen.feature_scales)) if seen else None

    def _tensors(self, inputs: Any) -> Any:
        return _tensors(arranged(self._model, inputs))

    def _asker(
        self, *, training: bool, switched: Sequence[BatchNorm] = ()
    ) -> Callable[[Any], Any]:
        def ask(inputs: Any) -> Any:
            with modes.batch_statistics(switched):
                outputs = modes.forward(self._model, inputs, training=training)
            return answers.choose_output(outputs, self._where)

        if self._model.run_eagerly:
            return ask  # Its code is not made for being traced.
        return tf.function(ask, reduce_retracing=True, autograph=False)

    def _refusal(self, error: Exception) -> InputError:
        return InputError(
            f"{self._where}: expected a model that takes the data, but it cannot be "
            f"asked ({first_line(error)}); judge it on data of the form that it was "
            "trained on"
        )


def input_specs(model: keras.Model) -> tuple[InputSpec, ...]:
    """Returns the inputs of a model; empty where it does not name them."""
    tensors = getattr(model, "inputs", None) or ()
    return tuple(
        InputSpec(tensor.name, tuple(tensor.shape[1:]), str(tensor.dtype))
        for tensor in tensors
    )


def arranged(model: keras.Model, inputs: Any) -> Any:
    """Returns inputs that come by name in the structure that a model is called with.

    Keras knows the inputs of a model by the structure it was made with, in which an
    input may have another name than its own, or none.
    """
    names = [spec.name for spec in input_specs(model)]
    inner = getattr(model, "_functional", None) or model  # A Sequential wraps one.
    structure = getattr(inner, "_inputs_struct", None)
    if not isinstance(inputs, Mapping) or structure is None:
        return inputs
    if isinstance(structure, Mapping) and structure.keys() <= inputs.keys():
        return inputs
    if len(names) == len(inputs) == 1:
        return keras.tree.pack_sequence_as(structure, list(inputs.values()))
    if not set(names) <= inputs.keys():
        raise InputError(
            f"model {model.name!r}: expected the inputs {', '.join(names)}, but the "
            f"data have {', '.join(map(str, inputs))}; give them these names"
        )
    return keras.tree.pack_sequence_as(structure, [inputs[name] for name in names])


def first_line(error: BaseException) -> str:
    """Returns what an error says, short enough for a message of one line."""
    plain = _ANSI.sub("", str(error))  # Keras emphasises for terminals.
    said = " ".join(plain.split()) or type(error).__name__
    return said if len(said) <= 300 else f"{said[:300]}..."


def _tensors(inputs: Any) -> Any:
    """Returns arrays as tensors, as `model.fit` and `model.predict` would."""
    if isinstance(inputs, dict):
        return {name: _tensors(value) for name, value in inputs.items()}
    if isinstance(inputs, list | tuple):
        return type(inputs)(_tensors(value) for value in inputs)
    array = np.asarray(inputs)
    if array.dtype.kind == "f":
        return tf.constant(array, keras.config.floatx())
    if array.dtype.kind in "OSU":
        return tf.constant(array.tolist(), tf.string)
    return tf.constant(array)
