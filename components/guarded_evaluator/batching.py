# SPDX-License-Identifier: Apache-2.0
"""Cuts examples into random batches that do not depend on how Beam bundles them.

BatchNorm in training mode normalises with the statistics of the batch. Batches that
are sorted by class, or as small as a bundle happens to be, would make those
statistics meaningless, and a healthy model would seem to have a mode gap.
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import apache_beam as beam
import numpy as np

Split = str
Row = tuple[int, bytes]
"""Hash of a row's content, and the row."""


class Batch(NamedTuple):
    """Examples of one split that a model is asked about together.

    Attributes:
      split: Name of the split.
      rows: Serialized tf.Examples, in the order of their hashes.
      num_sampled: How many of them, the first ones, belong to the split's sample.
    """

    split: Split
    rows: list[bytes]
    num_sampled: int = 0


_BUCKET_BATCHES = 16
"""Batches that are cut from one bucket. A bucket is sorted in memory; with more
batches to a bucket fewer rows end in batches of odd size."""
_HASH_RANGE = 1 << 63  # Beam encodes integers as signed 64 bits.


class SampleAndShuffleIntoBatches(beam.PTransform):
    """Turns (split, serialized example) pairs into shuffled batches.

    Examples are put in the order of a hash of their content, which is random with
    respect to label and time, and the same whatever the sharding. Splits with more
    examples than wished for are sampled by the same hash. Copies of an example are
    numbered and hashed apart: they spread over the batches and are sampled one by one.

    Every batch of a split with at least `batch_size` examples has between
    `batch_size` and `2 * batch_size - 1`; a smaller split is one batch.

    Input: (split, serialized example) pairs. Output: `Batch`es; none where there is
    nothing.
    """

    def __init__(
        self,
        batch_size: int,
        max_examples: Mapping[Split, int],
        sample_sizes: Mapping[Split, int] | None = None,
    ):
        """Constructs the transform.

        Args:
          batch_size: Examples per batch, at least 1.
          max_examples: Most examples (in expectation) to keep of each split;
            splits that are not named are kept whole.
          sample_sizes: Examples (in expectation) of each split to mark as its sample,
            those of the smallest hashes; none of a split that is not named.

        Raises:
          ValueError: If `batch_size` is below 1.
        """
        super().__init__()
        _check_size(batch_size)
        self._batch_size = batch_size
        self._max_examples = dict(max_examples)
        self._sample_sizes = dict(sample_sizes or {})

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Reads as: count each split, then put rows in buckets and cut them."""
        counts = beam.pvalue.AsDict(
            examples | "CountPerSplit" >> beam.combiners.Count.PerKey()
        )
        return (
            examples
            | "CountCopies" >> beam.combiners.Count.PerElement()
            | "SampleIntoBuckets"
            >> beam.FlatMap(_to_buckets, counts, self._batch_size, self._max_examples)
            | "GroupBuckets" >> beam.GroupByKey()
            | "CutBatches"
            >> beam.FlatMap(_cut_bucket, counts, self._batch_size, self._sample_sizes)
        )


def plan_batches(
    hashes: np.ndarray, batch_size: int, max_examples: int | None = None
) -> list[np.ndarray]:
    """Returns the very batches that the transform cuts, as positions of the rows.

    Args:
      hashes: `content_hash` of each row of a split, copies numbered apart; int64 of
        shape (N,).
      batch_size: Examples per batch, at least 1.
      max_examples: Most examples (in expectation) to keep; None keeps all.

    Returns:
      For each batch the positions of its rows, int64, in the order in which the model
      is asked; empty where there are no rows.

    Raises:
      ValueError: If `batch_size` is below 1.
    """
    _check_size(batch_size)
    count = len(hashes)
    kept = count if max_examples is None else min(max_examples, count)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    num_buckets = _num_buckets(kept, batch_size)
    edges = [
        bisect.bisect_left(ordered, _first_hash(bucket, num_buckets, kept, count))
        for bucket in range(num_buckets + 1)
    ]
    return [
        order[start + first : start + last]
        for start, end in itertools.pairwise(edges)
        if end > start
        for first, last in itertools.pairwise(_cuts(end - start, batch_size))
    ]


def last_hash_in_sample(count: int, size: int) -> int:
    """Returns the largest hash that may belong to a sample of a split.

    The rows with at most this hash are the sample: the transform marks them, and
    `hashes <= last_hash_in_sample(len(hashes), size)` finds them.

    Args:
      count: Examples of the split.
      size: Examples to sample (in expectation).

    Returns:
      A hash; -1 where nothing is to be sampled.
    """
    return _first_hash(1, 1, min(size, count), count) - 1


def cut_batches(rows: Iterable[Row], batch_size: int) -> Iterator[list[Row]]:
    """Sorts the rows of a bucket by hash and cuts them into batches of like size.

    Args:
      rows: In any order.
      batch_size: Fewest rows per batch, but for a smaller bucket.

    Yields:
      The rows of a batch; nothing where there are none.
    """
    ordered = sorted(rows)
    for start, end in itertools.pairwise(_cuts(len(ordered), batch_size)):
        yield ordered[start:end]


def content_hash(serialized: bytes, copy: int = 0) -> int:
    """Returns a hash of the content and the number of the copy, below 2**63."""
    salt = copy.to_bytes(hashlib.blake2b.SALT_SIZE, "big")
    digest = hashlib.blake2b(serialized, digest_size=8, salt=salt).digest()
    return int.from_bytes(digest, "big") >> 1


def _to_buckets(
    copies: tuple[tuple[Split, bytes], int],
    counts: Mapping[Split, int],
    batch_size: int,
    max_examples: Mapping[Split, int],
) -> Iterator[tuple[tuple[Split, int], Row]]:
    """Yields the bucket of each copy of an example that is to be kept."""
    (split, serialized), num_copies = copies
    count = counts[split]
    kept = min(max_examples.get(split, count), count)
    num_buckets = _num_buckets(kept, batch_size)
    for copy in range(num_copies):
        position = content_hash(serialized, copy)
        # In integers: as a float, a position at the very end would round up.
        if position * count < _HASH_RANGE * kept:
            bucket = position * count * num_buckets // (_HASH_RANGE * kept)
            yield (split, bucket), (position, serialized)


def _cut_bucket(
    bucket: tuple[tuple[Split, int], Iterable[Row]],
    counts: Mapping[Split, int],
    batch_size: int,
    sample_sizes: Mapping[Split, int],
) -> Iterator[Batch]:
    (split, _), rows = bucket
    last = last_hash_in_sample(counts[split], sample_sizes.get(split, 0))
    for batch in cut_batches(rows, batch_size):
        num_sampled = sum(position <= last for position, _ in batch)
        yield Batch(split, [row for _, row in batch], num_sampled)


def _num_buckets(kept: int, batch_size: int) -> int:
    return max(kept // (batch_size * _BUCKET_BATCHES), 1)


def _first_hash(bucket: int, num_buckets: int, kept: int, count: int) -> int:
    """Returns the smallest hash that `_to_buckets` puts into a bucket or behind it."""
    # Rounded up, in integers, for the same reason as there.
    return -(-bucket * _HASH_RANGE * kept // max(count * num_buckets, 1))


def _cuts(count: int, batch_size: int) -> list[int]:
    """Returns where so many ordered rows are cut, both ends included."""
    num_batches = max(count // batch_size, 1)
    return [count * i // num_batches for i in range(num_batches + 1)] if count else []


def _check_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be at least 1. Received: batch_size={batch_size}"
        )
