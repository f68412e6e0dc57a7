# SPDX-License-Identifier: Apache-2.0
"""The second pass: compares the candidates on their contents.

The records are read again; all but those of candidates are dropped before they are
parsed. Descriptors then travel to their pairs in two joins, by reference and by
query, as packed rows:

    records -> descriptors -> (by reference) half pairs -> (by query) matches
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from components.leakage.near.candidates import (
    candidate_extents,
    candidate_splits,
    count_candidates,
    read_candidates,
)
from components.leakage.near.layout import (
    DIGEST_BYTES,
    PAIR,
    described_dtype,
    half_pair_dtype,
    pack_digests,
    partition_of,
    starts,
    unpack_digest,
    unpack_fingerprint,
)
from components.leakage.near.model import NearMatch, NearModel
from components.leakage.near.samples import compute_background
from components.leakage.near.spill import (
    NUM_PARTITIONS,
    Extent,
    SpillWriter,
    read_rows,
    windowed,
)

_CANDIDATES, _DESCRIBED, _HALF_PAIRS = "by_reference", "described", "half_pairs"
_BATCH = 512  # Descriptors gathered, and pairs compared, at once.
_PARTITION = 4 * _BATCH  # Pairs in a partition, on average; at 3 KB each 6 MB.
_REMEMBERED = 2**16  # Digests of records that were described lately.


def record_digest(record: bytes) -> bytes:
    """Returns the digest that names a record: BLAKE2b, 8 bytes.

    Among 10^8 records the odds that any two share one are below 3e-4 (birthday
    bound n^2 / 2^65); it would take one of them to be a candidate to matter.
    """
    return hashlib.blake2b(record, digest_size=DIGEST_BYTES).digest()


class VerifyCandidates(beam.PTransform):
    """Compares the candidates that `FindCandidates` left in a folder.

    Input: PCollection of serialized records (bytes) of all splits, the same that
    `FindCandidates` saw, in any order. Output: PCollection of (query fingerprint,
    `NearMatch`), one for each content of another split that has a near-duplicate,
    but no duplicate, in the reference split: the one of the greatest similarity,
    among equals of the smallest fingerprint. Matches are stars around a content of
    the reference split, never chains.

    Build it after the first pipeline has run: it reads the folder.

    Memory: a worker holds 8 bytes per candidate's record, one partition, and some
    100 MB of rows beside. Disk: a descriptor per candidate pair, and one per
    candidate's record.
    """

    def __init__(
        self,
        model: NearModel,
        folder: str,
        describe: Callable[[bytes], np.ndarray],
        num_partitions: int = NUM_PARTITIONS,
    ):
        """Says how to compare, and where the candidates are.

        Args:
          model: The one that found the candidates.
          folder: The folder given to `FindCandidates`.
          describe: Turns a record into the descriptor that `FindCandidates` saw.
          num_partitions: Parts that a shuffle is cut into at most; fewer, if there
            are few candidates.
        """
        super().__init__()
        self._model = model
        self._folder = folder
        self._describe = describe
        self._num_partitions = num_partitions

    def expand(self, records: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        folder = self._folder
        # Few, so that most batches are full; the same for any sharding.
        wished = 1 + count_candidates(folder) // _PARTITION
        partitions = min(wished, self._num_partitions)
        layout = (self._model.descriptor_dtype, self._model.descriptor_shape)
        described, half_pairs = described_dtype(*layout), half_pair_dtype(*layout)
        extents = (
            records.pipeline
            | "ListCandidates" >> beam.Create(candidate_extents(folder))
            | "Spread" >> beam.Reshuffle()
        )
        wanted = (
            extents
            | "ReadDigests" >> beam.Map(_digests)
            | "MergeDigests" >> beam.CombineGlobally(_union)
        )
        descriptors = records | "Describe" >> beam.ParDo(
            _DescribeFn(self._describe, described, folder, partitions),
            beam.pvalue.AsSingleton(wanted),
        )
        by_reference = extents | "ReadCandidates" >> beam.ParDo(
            _SpreadFn(folder, partitions)
        )
        by_query = (
            (by_reference, descriptors)
            | "FlattenReferences" >> beam.Flatten()
            | "GroupByReference" >> beam.GroupByKey()
            | "JoinReferences"
            >> beam.ParDo(_JoinReferencesFn(described, half_pairs, folder, partitions))
        )
        return (
            (by_query, descriptors)
            | "FlattenQueries" >> beam.Flatten()
            | "GroupByQuery" >> beam.GroupByKey()
            | "Verify"
            >> beam.ParDo(
                _VerifyFn(
                    self._model,
                    compute_background(self._model, folder),
                    candidate_splits(folder),
                )
            )
        )


def _digests(extent: Extent) -> np.ndarray:
    pairs = read_candidates([extent])
    return _union([pairs["query_digest"], pairs["reference_digest"]])


def _union(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([np.empty(0, np.uint64), *arrays]))


class _SpreadFn(beam.DoFn):
    """Partitions candidates by their reference."""

    def __init__(self, folder: str, num_partitions: int):
        self._folder = folder
        self._num_partitions = num_partitions

    def start_bundle(self) -> None:
        self._pairs = SpillWriter(self._folder, _CANDIDATES, PAIR)

    def process(self, extent: Extent) -> Iterator[Any]:
        pairs = read_candidates([extent])
        places = partition_of(pairs["reference_digest"], self._num_partitions)
        yield from self._pairs.add(places, pairs)

    def finish_bundle(self) -> Iterator[Any]:
        yield from windowed(self._pairs.flush())


class _DescribeFn(beam.DoFn):
    """Describes the records of candidates, partitioned by their digest."""

    def __init__(
        self,
        describe: Callable[[bytes], np.ndarray],
        dtype: np.dtype,
        folder: str,
        num_partitions: int,
    ):
        self._describe = describe
        self._dtype = dtype
        self._folder = folder
        self._num_partitions = num_partitions

    def start_bundle(self) -> None:
        self._writer = SpillWriter(self._folder, _DESCRIBED, self._dtype)
        self._gathered: list[tuple[int, np.ndarray]] = []
        # A record that occurs 200,000 times is described once in a while.
        self._seen: set[int] = set()

    def process(self, record: bytes, wanted: np.ndarray) -> Iterator[Any]:
        digest = pack_digests([record_digest(record)])[0]
        at = wanted.searchsorted(digest)
        if at == len(wanted) or wanted[at] != digest or int(digest) in self._seen:
            return
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen.add(int(digest))
        self._gathered.append((int(digest), self._describe(record)))
        if len(self._gathered) == _BATCH:
            yield from self._add()

    def finish_bundle(self) -> Iterator[Any]:
        yield from windowed(self._add())
        yield from windowed(self._writer.flush())

    def _add(self) -> Iterator[Any]:
        rows = np.empty(len(self._gathered), self._dtype)
        for i, (digest, descriptor) in enumerate(self._gathered):
            rows[i] = digest, descriptor
        self._gathered = []
        places = partition_of(rows["digest"], self._num_partitions)
        yield from self._writer.add(places, rows)


class _JoinReferencesFn(beam.DoFn):
    """Adds the descriptor of the reference to its pairs, partitioned by query."""

    def __init__(
        self,
        described: np.dtype,
        half_pairs: np.dtype,
        folder: str,
        num_partitions: int,
    ):
        self._described = described
        self._half_pairs = half_pairs
        self._folder = folder
        self._num_partitions = num_partitions

    def start_bundle(self) -> None:
        self._writer = SpillWriter(self._folder, _HALF_PAIRS, self._half_pairs)

    def process(self, keyed: Any) -> Iterator[Any]:
        extents = list(keyed[1])
        pairs = read_rows(extents, _CANDIDATES, PAIR)
        if not len(pairs):
            return
        described = _sorted_by_digest(read_rows(extents, _DESCRIBED, self._described))
        for i in range(0, len(pairs), _BATCH):
            some = pairs[i : i + _BATCH]
            rows = np.empty(len(some), self._half_pairs)
            rows["pair"] = some
            rows["descriptor"] = _look_up(described, some["reference_digest"])
            places = partition_of(some["query_digest"], self._num_partitions)
            yield from self._writer.add(places, rows)

    def finish_bundle(self) -> Iterator[Any]:
        yield from windowed(self._writer.flush())


class _VerifyFn(beam.DoFn):
    """Compares the pairs of one partition of queries; emits the best of each."""

    def __init__(self, model: NearModel, background: object, splits: list[str]):
        self._model = model
        self._background = background
        self._splits = splits
        layout = (model.descriptor_dtype, model.descriptor_shape)
        self._described = described_dtype(*layout)
        self._half_pairs = half_pair_dtype(*layout)

    def process(
        self, keyed: tuple[int, Iterable[Extent]]
    ) -> Iterator[tuple[bytes, NearMatch]]:
        extents = list(keyed[1])
        rows = read_rows(extents, _HALF_PAIRS, self._half_pairs)
        if not len(rows):
            return
        described = _sorted_by_digest(read_rows(extents, _DESCRIBED, self._described))
        # In a fixed order, so that batches are the same, and with them the last
        # bits of the similarities, however the records were cut.
        query, reference = rows["pair"]["query"], rows["pair"]["reference"]
        order = np.lexsort((reference[:, 1], reference[:, 0], query[:, 1], query[:, 0]))
        similarity = np.empty(len(rows), np.float32)
        is_near = np.empty(len(rows), bool)
        for i in range(0, len(rows), _BATCH):
            some = rows[order[i : i + _BATCH]]
            similarity[i : i + _BATCH], is_near[i : i + _BATCH] = self._model.verify(
                _look_up(described, some["pair"]["query_digest"]),
                some["descriptor"],
                self._background,
            )
        near = np.flatnonzero(is_near)
        pairs = rows["pair"][order[near]]
        for pair, alike in _best(pairs, similarity[near]):
            match = self._match(pair, alike)
            yield match.query_fingerprint, match

    def _match(self, pair: np.void, similarity: np.float32) -> NearMatch:
        return NearMatch(
            query_fingerprint=unpack_fingerprint(pair["query"]),
            query_split=self._splits[pair["split"]],
            query_record_digest=unpack_digest(pair["query_digest"]),
            reference_fingerprint=unpack_fingerprint(pair["reference"]),
            reference_record_digest=unpack_digest(pair["reference_digest"]),
            similarity=float(similarity),
        )


def _best(
    pairs: np.ndarray, similarity: np.ndarray
) -> Iterator[tuple[np.void, np.float32]]:
    """Yields the pair of the greatest similarity of each query.

    Args:
      pairs: `PAIR`, sorted by query and reference.
      similarity: Of each pair.

    Yields:
      A pair and its similarity; the first of the references among equals.
    """
    query = pairs["query"]
    order = np.lexsort((-similarity, query[:, 1], query[:, 0]))
    pairs, similarity = pairs[order], similarity[order]
    for i in np.flatnonzero(starts(pairs["query"])):
        yield pairs[i], similarity[i]


def _sorted_by_digest(described: np.ndarray) -> np.ndarray:
    """Returns the described records by digest, each once."""
    order = np.argsort(described["digest"], kind="stable")
    return described[order[starts(described["digest"][order])]]


def _look_up(described: np.ndarray, digests: np.ndarray) -> np.ndarray:
    """Returns the descriptors of records.

    Raises:
      RuntimeError: If a record is not there.
    """
    at = np.searchsorted(described["digest"], digests)
    at = np.minimum(at, max(len(described) - 1, 0))
    if not len(described) or (described["digest"][at] != digests).any():
        raise RuntimeError(
            "a record that was a candidate in the first pass did not come in the "
            "second; expected the same records in both: do not change the examples "
            "while they are read, and give all splits to VerifyCandidates"
        )
    return described["descriptor"][at]
