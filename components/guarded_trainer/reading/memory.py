# SPDX-License-Identifier: Apache-2.0
"""Decoded rows that are kept in host memory."""

import dataclasses
import functools
import math
import mmap
from typing import Any

import numpy as np
import tensorflow as tf

from components.guarded_trainer.reading.order import shuffled_batches

_READ_BATCH = 256
_NUMBERS = "iuf"
"""Kinds of data types that can be handed over without a copy."""


@dataclasses.dataclass(frozen=True)
class MemoryRows:
    """Rows in host memory, n of them, in stored order.

    Attributes:
      inputs: A tensor of shape (n, ...), or a structure of such.
      class_ids: int64, shape (n,).
      is_held_out: Whether a row is held out; bool, shape (n,).
    """

    inputs: Any
    class_ids: tf.Tensor
    is_held_out: np.ndarray

    def fitted(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows to fit, one by one, in stored order."""
        return self._stored(np.flatnonzero(~self.is_held_out))

    def held_out(self) -> tf.data.Dataset:
        """Returns (inputs, class id) rows held out, one by one, in stored order."""
        return self._stored(np.flatnonzero(self.is_held_out))

    def train_batches(
        self, batch_size: int, seed: int, first_epoch: int
    ) -> tf.data.Dataset:
        """Returns endless shuffled (step, (inputs, class ids)) of the rows to fit."""
        fitted = self._fitted_positions
        options = tf.data.Options()
        # To optimise, tf.data would copy all rows into the graph, and gain nothing.
        options.experimental_optimization.apply_default_optimizations = False
        return (
            shuffled_batches(len(fitted), batch_size, seed, first_epoch)
            .map(
                lambda step, drawn: (step, self._take(tf.gather(fitted, drawn))),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .with_options(options)
        )

    @functools.cached_property
    def _fitted_positions(self) -> tf.Tensor:
        with tf.device("CPU:0"):
            return tf.constant(np.flatnonzero(~self.is_held_out))

    def _take(self, positions: tf.Tensor) -> tuple[Any, tf.Tensor]:
        return tf.nest.map_structure(
            lambda column: tf.gather(column, positions), (self.inputs, self.class_ids)
        )

    def _stored(self, positions: np.ndarray) -> tf.data.Dataset:
        return (
            tf.data.Dataset.from_tensor_slices(positions)
            .batch(_READ_BATCH)
            .map(self._take, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .unbatch()
            .apply(tf.data.experimental.assert_cardinality(len(positions)))
        )


class Collector:
    """Collects batches of rows for as long as they fit into memory."""

    def __init__(self, limit: int, num_rows: int = 0):
        """Constructs the collector.

        Args:
          limit: Most bytes of inputs and class ids.
          num_rows: Rows to expect; if there are more, they are copied.
        """
        self._limit = limit
        self._num_bytes = 0
        self._num_rows = 0
        self._capacity = num_rows
        self._columns: list[np.ndarray] = []
        self._structure: Any = None

    def add(self, inputs: Any, class_ids: np.ndarray) -> None:
        """Adds a batch: (structures of) arrays of shape (batch, ...)."""
        leaves = tf.nest.flatten((inputs, class_ids))
        self._num_bytes += sum(leaf.nbytes for leaf in leaves)
        if not self.fits:
            self._columns.clear()
            return
        start, self._num_rows = self._num_rows, self._num_rows + len(class_ids)
        if not self._columns or self._num_rows > self._capacity:
            self._structure = tf.nest.map_structure(lambda _: 0, (inputs, class_ids))
            self._grow(leaves, start)
        for column, leaf in zip(self._columns, leaves, strict=True):
            column[start : self._num_rows] = leaf

    @property
    def fits(self) -> bool:
        """Whether all rows added so far are in memory."""
        return self._num_bytes <= self._limit

    def finish(self, is_held_out: np.ndarray) -> MemoryRows:
        """Returns the rows, at least one, and forgets them.

        Args:
          is_held_out: Whether a row is held out; bool, shape (n,).
        """
        tensors = [_tensor(column[: self._num_rows]) for column in self._columns]
        self._columns.clear()
        inputs, class_ids = tf.nest.pack_sequence_as(self._structure, tensors)
        return MemoryRows(inputs, class_ids, is_held_out)

    def _grow(self, leaves: list[np.ndarray], filled: int) -> None:
        if self._num_rows > self._capacity:
            self._capacity = max(self._num_rows, 2 * self._capacity)
        # What is never written to takes no memory, only addresses.
        grown = [_empty((self._capacity, *x.shape[1:]), x.dtype) for x in leaves]
        for new, old in zip(grown, self._columns, strict=False):
            new[:filled] = old[:filled]
        self._columns = grown


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns an empty array; of numbers, one that TensorFlow can use in place."""
    if dtype.kind not in _NUMBERS:
        return np.empty(shape, dtype)
    # Whole pages, so aligned as tensors are. NumPy's own arrays are not, and ask for
    # huge pages, which are slow to get where a machine has few.
    num_bytes = max(math.prod(shape) * dtype.itemsize, 1)
    memory = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, dtype, count=math.prod(shape)).reshape(shape)


def _tensor(array: np.ndarray) -> tf.Tensor:
    """Returns an array as a tensor in host memory; of numbers, without a copy."""
    if array.dtype.kind in _NUMBERS:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(array)
