# SPDX-License-Identifier: Apache-2.0
"""Chooses the examples that a model is looked at with."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.guarded_trainer.reading.source import TrainingData

_BATCH = 256


def choose_probe(data: TrainingData, size: int, seed: int) -> tuple[Any, np.ndarray]:
    """Chooses a fixed sample of the rows that are fitted.

    Each class has its share of the sample, and at least one row if there are no more
    classes than rows to choose. Within a class the rows with the smallest hashes of
    their content are taken, so that neither the order on disk nor the number of
    files matters. Copies of a row are taken only where there are too few different
    ones. Takes one pass over the data, and holds no more than the sample.

    Args:
      data: The checked data.
      size: Most rows to choose, at least 1.
      seed: Another seed gives another sample.

    Returns:
      Inputs as NumPy arrays in the structure of the data's, and class ids, int64,
      shape (rows,); in random order. No rows where none is fitted.

    Raises:
      ValueError: If `size` is less than 1.
    """
    if size < 1:
        raise ValueError(
            f"size: expected at least 1 row to choose, but {size} was asked for; "
            "switch the probe off instead"
        )
    quotas = _quotas(data.classes.train_counts, size)
    strata = [_Smallest(quota) for quota in quotas]
    for class_ids, hashes, inputs in _hashed_batches(data.fitted(), seed):
        stratum_ids = class_ids if len(strata) > 1 else np.zeros_like(class_ids)
        limits = np.array([stratum.limit for stratum in strata])
        # Most rows are passed over here, without a look at them one by one.
        for i in np.flatnonzero(hashes <= limits[stratum_ids]):
            row = tf.nest.map_structure(lambda x, i=i: np.array(x[i]), inputs)
            strata[stratum_ids[i]].add(int(hashes[i]), (row, class_ids[i]))
    # Sorted first, since the order in which rows came must not matter.
    chosen = sorted(
        (found for stratum in strata for found in stratum.rows()),
        key=lambda found: (found[0], int(found[1][1])),
    )
    order = np.random.default_rng(seed).permutation(len(chosen))
    rows = [chosen[i][1] for i in order]
    if not rows:
        empty = tf.nest.map_structure(
            lambda spec: np.zeros((0, *spec.shape), spec.dtype.as_numpy_dtype),
            data.fitted().element_spec[0],
        )
        return empty, np.zeros(0, np.int64)
    inputs = tf.nest.map_structure(lambda *x: np.stack(x), *(row for row, _ in rows))
    return inputs, np.array([class_id for _, class_id in rows], np.int64)


class _Smallest:
    """Keeps the rows with the smallest hashes, and how often each occurred.

    A row that is among the smallest in the end was so from its first occurrence on,
    so that its count is exact.
    """

    def __init__(self, most: int):
        self._most = most
        self._rows: dict[int, Any] = {}
        self._counts: dict[int, int] = {}
        self._largest_first: list[int] = []

    @property
    def limit(self) -> int:
        """Hash from which on rows are of no interest; -1 where none is wanted."""
        if len(self._rows) < self._most:
            return int(np.iinfo(np.int64).max)
        return -self._largest_first[0] if self._most else -1

    def add(self, hash_: int, row: Any) -> None:
        if hash_ in self._rows:
            self._counts[hash_] += 1
        elif hash_ <= self.limit:
            self._rows[hash_], self._counts[hash_] = row, 1
            heapq.heappush(self._largest_first, -hash_)
            if len(self._rows) > self._most:
                out = -heapq.heappop(self._largest_first)
                del self._rows[out], self._counts[out]

    def rows(self) -> Iterator[tuple[int, Any]]:
        counts = np.array([self._counts[hash_] for hash_ in self._rows], np.int64)
        copies = min(self._most, int(counts.sum())) - len(counts)
        extra = _apportion(copies, counts - 1)
        for hash_, times in zip(self._rows, extra, strict=True):
            yield from [(hash_, self._rows[hash_])] * (1 + int(times))


def _quotas(counts: Sequence[int], size: int) -> list[int]:
    """Returns how many rows to take of each class; one number for all if too many."""
    weights = np.array(counts, np.int64)
    occurring = weights > 0
    size = min(size, int(weights.sum()))
    if occurring.sum() > size or not occurring.any():
        return [size]
    surplus = np.maximum(weights * size / weights.sum() - 1, 0)
    return list(map(int, occurring + _apportion(size - int(occurring.sum()), surplus)))


def _apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """Shares out a number by weight, in whole numbers; largest remainders first."""
    if total <= 0 or not weights.sum():
        return np.zeros(len(weights), np.int64)
    ideal = weights * (total / weights.sum())
    shares = np.floor(ideal).astype(np.int64)
    order = np.argsort(shares - ideal, kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares


def _hashed_batches(
    rows: tf.data.Dataset, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, Any]]:
    def add_hash(inputs: Any, class_id: tf.Tensor) -> tuple[Any, ...]:
        content = tf.strings.join(
            [tf.io.serialize_tensor(x) for x in tf.nest.flatten(inputs)]
        )
        return (
            tf.cast(class_id, tf.int64),
            tf.strings.to_hash_bucket_strong(content, 2**63 - 1, key=[seed, 0]),
            inputs,
        )

    hashed = rows.map(add_hash, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return hashed.batch(_BATCH).prefetch(1).as_numpy_iterator()
