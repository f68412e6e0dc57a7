# SPDX-License-Identifier: Apache-2.0
"""What reaches the first weights of a model: the data, as its own layers leave them."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from components.guarded_trainer import modes
from components.guarded_trainer.probe.layers import (
    WatchedLayer,
)
from components.guarded_trainer.tracing import plain_calls, replaced

_ROWS_TOGETHER = 32
_NORMALIZE = tuple(
    getattr(keras.layers, name)
    for name in (
        "BatchNormalization",
        "GroupNormalization",
        "LayerNormalization",
        "Normalization",
        "RMSNormalization",
        "Rescaling",
        "SpectralNormalization",
        "UnitNormalization",
    )
    if hasattr(keras.layers, name)
)


@dataclasses.dataclass(frozen=True)
class Entering:
    """Size of what enters the first trained layer that is no normalisation.

    Attributes:
      scale: Root mean square.
      smallest: Smallest value.
      largest: Largest value.
      feature_scales: Root mean square of each feature (last axis).
    """

    scale: float
    smallest: float
    largest: float
    feature_scales: tuple[float, ...]


def measure_entering(
    model: keras.Model, layers: Sequence[WatchedLayer], inputs: Any
) -> Entering | None:
    """Measures what enters the first layer with trained weights, in training mode.

    Layers that normalise are passed, trained or not: they bring the data to order.

    Args:
      model: A built model; it is not changed.
      layers: Its layers.
      inputs: What it is called with, NumPy arrays or tensors.

    Returns:
      None where nothing is trained, or numbers cannot be seen there: the ids that
      enter an embedding have no scale.
    """
    rows = len(tf.nest.flatten(inputs)[0])
    pieces = [
        tf.nest.map_structure(
            lambda x, a=a: tf.constant(x[a : a + _ROWS_TOGETHER]), inputs
        )
        for a in range(0, rows, _ROWS_TOGETHER)
    ]
    seen: list[Any] = []

    def reach(inputs: Any) -> Any:
        try:
            with (
                keras.StatelessScope(),
                plain_calls(model),
                _stopping(layers),
            ):
                modes.call(model, inputs, training=True)
        except _Reached as reached:
            graph = tf.compat.v1.get_default_graph()
            if getattr(reached.tensor, "graph", None) is graph:
                seen.append(reached.tensor)
                return tf.cast(reached.tensor, tf.float32)
        return tf.zeros((0,))

    specs = tf.nest.map_structure(
        lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), pieces[0]
    )
    traced = tf.function(reach, autograph=False).get_concrete_function(specs)
    if not seen or not seen[0].dtype.is_floating or not _has_features(seen[0]):
        return None
    squares = np.zeros(seen[0].shape[-1])
    smallest, largest, count = np.inf, -np.inf, 0
    for piece in pieces:
        values = np.asarray(traced(piece), np.float64)
        values = values.reshape(-1, values.shape[-1])
        squares += np.square(values).sum(axis=0)
        smallest = min(smallest, values.min())
        largest = max(largest, values.max())
        count += len(values)
    means = squares / count
    return Entering(
        scale=float(np.sqrt(means.mean())),
        smallest=float(smallest),
        largest=float(largest),
        feature_scales=tuple(map(float, np.sqrt(means))),
    )


def _has_features(tensor: tf.Tensor) -> bool:
    shape = tensor.shape
    return shape.rank is not None and shape.rank >= 2 and shape[-1] is not None


class _Reached(BaseException):
    """Carries the tensor out; no `Exception`, which Keras would wrap in its own."""

    def __init__(self, tensor: Any):
        super().__init__()
        self.tensor = tensor


@contextlib.contextmanager
def _stopping(layers: Sequence[WatchedLayer]) -> Iterator[None]:
    """Ends the call of the model where the first trained layer would begin."""

    def stop(*args: Any, **kwargs: Any) -> NoReturn:
        tensors = [
            x for x in tf.nest.flatten((args, kwargs)) if isinstance(x, tf.Tensor)
        ]
        raise _Reached(tensors[0] if tensors else None)

    def stop_at_ids(*args: Any, **kwargs: Any) -> NoReturn:
        raise _Reached(None)

    with contextlib.ExitStack() as stack:
        for entry in layers:
            if entry.trainable and not isinstance(entry.layer, _NORMALIZE):
                # Keras may have made floating-point numbers of the ids before.
                ids = isinstance(entry.layer, keras.layers.Embedding)
                new = stop_at_ids if ids else stop
                stack.enter_context(replaced(entry.layer, "call", new))
        yield
