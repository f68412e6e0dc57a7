# SPDX-License-Identifier: Apache-2.0
"""Cuts examples into random batches that do not depend on how Beam bundles them.

BatchNorm in training mode normalises with the statistics of the batch. Batches that
are sorted by class, or as small as a bundle happens to be, would make those
statistics meaningless, and a healthy model would seem to have a mode gap.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import apache_beam as beam

Split = str
Batch = tuple[Split, list[bytes]]

_BUCKET_BATCHES = 16
"""Batches that are cut from one bucket. A bucket is sorted in memory; with more
batches to a bucket fewer rows end in batches of odd size."""
_HASH_RANGE = 1 << 63  # Beam encodes integers as signed 64 bits.


class SampleAndShuffleIntoBatches(beam.PTransform):
    """Turns (split, serialized example) pairs into shuffled (split, batch) pairs.

    Examples are put in the order of a hash of their content, which is random with
    respect to label and time, and the same whatever the sharding. Splits with more
    examples than wished for are sampled by the same hash. Copies of an example are
    numbered and hashed apart: they spread over the batches and are sampled one by one.

    Every batch of a split with at least `batch_size` examples has between
    `batch_size` and `2 * batch_size - 1`; a smaller split is one batch.
    """

    def __init__(self, batch_size: int, max_examples: Mapping[Split, int]):
        """Constructs the transform.

        Args:
          batch_size: Examples per batch, at least 1.
          max_examples: Most examples (in expectation) to keep of each split;
            splits that are not named are kept whole.

        Raises:
          ValueError: If `batch_size` is below 1.
        """
        super().__init__()
        if batch_size < 1:
            raise ValueError(
                f"`batch_size` must be at least 1. Received: batch_size={batch_size}"
            )
        self._batch_size = batch_size
        self._max_examples = dict(max_examples)

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
            | "CutBatches" >> beam.FlatMap(cut_batches, self._batch_size)
        )


def cut_batches(
    bucket: tuple[tuple[Split, int], Iterable[tuple[int, bytes]]], batch_size: int
) -> Iterator[Batch]:
    """Sorts a bucket by hash and cuts it into batches of nearly equal size.

    Args:
      bucket: The split and the number of the bucket, and (hash, serialized
        example) pairs in any order.
      batch_size: Fewest examples per batch, but for a smaller bucket.

    Yields:
      The split and a batch.
    """
    (split, _), rows = bucket
    ordered = [serialized for _, serialized in sorted(rows)]
    num_batches = max(len(ordered) // batch_size, 1)
    for i in range(num_batches):
        start, end = (len(ordered) * j // num_batches for j in (i, i + 1))
        yield split, ordered[start:end]


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
) -> Iterator[tuple[tuple[Split, int], tuple[int, bytes]]]:
    """Yields the bucket of each copy of an example that is in the sample."""
    (split, serialized), num_copies = copies
    count = counts[split]
    kept = min(max_examples.get(split, count), count)
    num_buckets = max(kept // (batch_size * _BUCKET_BATCHES), 1)
    for copy in range(num_copies):
        position = content_hash(serialized, copy)
        # In integers: as a float, a position at the very end would round up.
        if position * count < _HASH_RANGE * kept:
            bucket = position * count * num_buckets // (_HASH_RANGE * kept)
            yield (split, bucket), (position, serialized)
