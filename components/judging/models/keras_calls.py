# SPDX-License-Identifier: Apache-2.0
"""Training mode of SavedModels of Keras 2, which hold a call for either mode."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from components.judging.spec import ModelSpec

_Call = Callable[[Mapping[str, tf.Tensor]], Any]


class KerasCall:
    """The call of a loaded model whose training mode changes nothing.

    Keras 2 writes the layers' own functions beside the signatures, traced in training
    and in inference mode. What training mode writes is put back after each call.
    """

    def __init__(self, loaded: Any, arguments: Any):
        """Wraps a loaded model; see `of`."""
        self._loaded = loaded
        self._arguments = arguments
        self._state = [
            (variable, variable.numpy())
            for variable in loaded.variables
            if not variable.trainable
        ]

    @classmethod
    def of(cls, loaded: Any, spec: ModelSpec) -> "KerasCall | None":
        """Returns the call, None where a model has none for training mode.

        Args:
          loaded: What `tf.saved_model.load` returned.
          spec: What its signature wants to be given.
        """
        if not callable(loaded):
            return None
        for function in getattr(loaded.__call__, "concrete_functions", ()):
            (first, *others), named = function.structured_input_signature
            if (others[:1] or [named.get("training")]) != [True]:
                continue
            specs = tf.nest.flatten(first)
            names = {getattr(each, "name", None) for each in specs}
            if len(specs) == len(spec.inputs) == 1 or names == {
                each.name for each in spec.inputs
            }:
                return cls(loaded, first)
        return None

    def in_mode(self, *, training: bool) -> _Call:
        """Returns a function from inputs by name to outputs."""

        def call(inputs: Mapping[str, tf.Tensor]) -> Any:
            try:
                return self._loaded(self._arranged(inputs), training=training)
            finally:
                for variable, value in self._state:
                    variable.assign(value)

        return call

    def _arranged(self, inputs: Mapping[str, tf.Tensor]) -> Any:
        if len(inputs) == 1:
            (only,) = inputs.values()
            return tf.nest.map_structure(lambda _: only, self._arguments)
        return tf.nest.map_structure(lambda spec: inputs[spec.name], self._arguments)
