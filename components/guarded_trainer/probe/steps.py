# SPDX-License-Identifier: Apache-2.0
"""How far one step of the optimizer moves the weights of each layer."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer.probe.layers import WatchedLayer, watched_layers

_MOST_WEIGHTS = 100_000
"""Most weights of a variable that are compared, evenly spread; a copy of all would
be held while the step needs its memory most. The ratio is then off by some per cent,
up to ten where a few units make all the change; limits are a factor of ten apart."""


class WatchSteps(keras.callbacks.Callback):
    """Measures the update-to-weight ratio on one step of an epoch.

    The step is the one in the middle of the epoch, or the first where the length of
    an epoch is not known. The other steps cost two comparisons each.

    Attributes:
      update_ratios: By the path of the layer, the norm of the change of its trainable
        weights in that step, divided by their norm before (of large variables, from
        a sample); infinite where weights that were all 0 have moved. Of the current
        epoch; empty where several steps run at once (`steps_per_execution`), since
        none can be seen alone.
    """

    def __init__(self, due: Callable[[int], bool] = lambda epoch: True):
        """Constructs the callback.

        Args:
          due: Says whether to measure in an epoch, such as `ProbeSchedule.due`.
        """
        super().__init__()
        self._due = due
        self._layers: tuple[WatchedLayer, ...] = ()
        self._step: int | None = None
        self._before: list[tf.Tensor] | None = None
        self.update_ratios: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the layers, which may have changed since the last `fit()`."""
        self._layers = tuple(x for x in watched_layers(self.model) if x.trainable)
        self._before = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts afresh."""
        self.update_ratios = {}
        steps = self.params.get("steps") or 1
        self._step = steps // 2 if self._due(epoch) else None

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Holds on to the weights."""
        if batch == self._step:
            self._before = self._weights()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Compares."""
        if self._before is not None:
            before, self._before = self._before, None
            if batch == self._step:
                self.update_ratios = self._ratios(before)

    def _weights(self) -> list[tf.Tensor]:
        return [
            _sample(tf.convert_to_tensor(variable.value))
            for entry in self._layers
            for variable in entry.trainable
        ]

    def _ratios(self, before: list[tf.Tensor]) -> dict[str, float]:
        if not before:
            return {}
        # One transfer for all of them.
        squares = tf.stack(
            [
                tf.nn.l2_loss(tf.cast(x, tf.float32))
                for new, old in zip(self._weights(), before, strict=True)
                for x in (new - old, old)
            ]
        )
        norms = iter(np.sqrt(np.asarray(squares, np.float64).reshape(-1, 2)))
        ratios = {}
        for entry in self._layers:
            changed, whole = np.linalg.norm(
                [next(norms) for _ in entry.trainable], axis=0
            )
            with np.errstate(all="ignore"):
                ratios[entry.name] = float(changed / whole) if changed else 0.0
        return ratios


def _sample(weights: tf.Tensor) -> tf.Tensor:
    size = math.prod(weights.shape)
    if size <= _MOST_WEIGHTS:
        return weights
    stride = -(-size // _MOST_WEIGHTS)
    # Else it would meet the same units again and again.
    while math.gcd(stride, size) > 1:
        stride += 1
    return tf.reshape(weights, (-1,))[::stride]
