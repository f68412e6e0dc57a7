# SPDX-License-Identifier: Apache-2.0
"""One look at a model in each mode, as it is traced: nothing that it does is kept."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from components.guarded_trainer import modes
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.probe import measures
from components.guarded_trainer.probe.layers import (
    Calls,
    WatchedLayer,
    watching,
)
from components.guarded_trainer.probe.summary import is_read
from components.guarded_trainer.tracing import plain_calls

_FLOAT16_SCALE = 1024.0
"""What the loss is multiplied by on the way back through float16, whose smallest
number is 6e-8; gradients up to 64 still fit."""


class TrainingLook:
    """A pass in training mode, to be traced once.

    Attributes:
      numbers: What was measured of the layers; takes apart the vector that the pass
        returns.
      order: Layers, by `id`, in the order of their first calls; known once traced.
    """

    def __init__(
        self,
        model: keras.Model,
        head: Head,
        entries: Sequence[WatchedLayer],
        adaptive: Sequence[BatchNorm],
    ):
        """Constructs the pass.

        Args:
          model: A built model.
          head: What its outputs mean.
          entries: Its layers.
          adaptive: The BatchNorm layers that use the statistics of the batch.
        """
        self._model = model
        self._head = head
        self._entries = entries
        self._adaptive = adaptive
        self.numbers = measures.Numbers()
        self.order: list[int] = []

    def without_gradients(
        self, inputs: Any, class_ids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the numbers, and the loss and the hit or miss of each example."""
        outputs = self._forward(inputs, self._scope([], []))
        loss = measures.cross_entropy(self._head, outputs, class_ids)
        return self.numbers.pack(), loss, self._hits(outputs, class_ids)

    def with_gradients(
        self, inputs: Any, class_ids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the same, with gradients and weights among the numbers."""
        trained = self._model.trainable_variables
        scale = _FLOAT16_SCALE if _computes_in_float16(self._entries) else 1.0
        sources = [_differentiable(v) for v in trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            scope = self._scope(trained, sources)
            outputs = self._forward(inputs, scope)
            loss = measures.cross_entropy(self._head, outputs, class_ids)
            objective = tf.reduce_mean(loss) * scale
        # Layers that are computed again on the way back must not change anything
        # then either.
        with scope, plain_calls(self._model):
            gradients = tape.gradient(objective, sources)
        found = {id(v): g for v, g in zip(trained, gradients, strict=True)}
        for entry in self._entries:
            mine = [found[id(v)] for v in entry.trainable]
            measures.measure_gradients(self.numbers, entry, mine, scale)
            measures.measure_weights(self.numbers, entry)
        return self.numbers.pack(), loss, self._hits(outputs, class_ids)

    def _forward(self, inputs: Any, scope: keras.StatelessScope) -> tf.Tensor:
        with (
            scope,
            self._without_memory(),
            plain_calls(self._model),
            watching(self._entries, self._keeping_statistics(scope)) as calls,
        ):
            outputs = modes.call(self._model, inputs, training=True)
        self.order = list(calls)
        for entry in filter(is_read, self._entries):
            seen = calls.get(id(entry.layer), Calls())
            measures.measure_outputs(self.numbers, entry, seen, outputs)
        return outputs

    def _hits(self, outputs: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
        """Returns 1 where the class is hit, else 0; a row with NaN hits none."""
        probabilities = self._head.probabilities(outputs)
        whole = tf.reduce_all(tf.math.is_finite(probabilities), axis=1)
        hit = tf.argmax(probabilities, axis=1, output_type=tf.int64) == class_ids
        return tf.cast(whole & hit, tf.float32)

    def _scope(
        self,
        variables: Sequence[keras.Variable],
        sources: Sequence[tf.Variable | tf.Tensor],
    ) -> keras.StatelessScope:
        values = [
            (variable, source)
            for variable, source in zip(variables, sources, strict=True)
            if isinstance(source, tf.Tensor)
        ]
        # With momentum 0 and nothing to begin with, the updated moving statistics
        # are the batch's own, even where the stored ones are NaN.
        nothing = [
            (v, tf.zeros(v.shape, v.dtype))
            for layer in self._adaptive
            for v in (layer.moving_mean, layer.moving_variance)
        ]
        return keras.StatelessScope(state_mapping=[*values, *nothing])

    @contextlib.contextmanager
    def _without_memory(self) -> Iterator[None]:
        before = [layer.momentum for layer in self._adaptive]
        for layer in self._adaptive:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for layer, momentum in zip(self._adaptive, before, strict=True):
                layer.momentum = momentum

    def _keeping_statistics(
        self, scope: keras.StatelessScope
    ) -> Callable[[keras.layers.Layer], None]:
        """Returns what adds the statistics of a BatchNorm layer after each call."""
        graph = tf.compat.v1.get_default_graph()
        adaptive = {id(layer) for layer in self._adaptive}

        def keep(layer: keras.layers.Layer) -> None:
            if id(layer) not in adaptive:
                return
            statistics = [
                scope.get_current_value(layer.moving_mean),
                scope.get_current_value(layer.moving_variance),
            ]
            # Not those of a layer inside a loop.
            if all(tensor.graph is graph for tensor in statistics):
                self.numbers.put(id(layer), "batch_norm", tf.stack(statistics))

        return keep


def inference_look(
    model: keras.Model, head: Head
) -> Callable[[Any, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns a pass in inference mode, to be traced once.

    From inputs and class ids it makes the loss and the probabilities of each example.
    """

    def look(inputs: Any, class_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with plain_calls(model):
            outputs = modes.forward(model, inputs, training=False)
        loss = measures.cross_entropy(head, outputs, class_ids)
        return loss, head.probabilities(outputs)

    return look


def _differentiable(variable: keras.Variable) -> tf.Variable | tf.Tensor:
    """Returns what a gradient can be taken by: the variable, or its value.

    Outside of a replica, that cannot be a variable that is spread over devices.
    """
    value = variable.value
    if isinstance(value, tf.distribute.DistributedValues):
        return tf.convert_to_tensor(value)
    return value


def _computes_in_float16(entries: Sequence[WatchedLayer]) -> bool:
    return any(entry.layer.compute_dtype == "float16" for entry in entries)
