# SPDX-License-Identifier: Apache-2.0
"""The first pass: which pairs of contents may be near-duplicates.

Keys are computed in the stage that parses the examples, so that neither pixels nor
records leave it. Three shuffles of packed rows follow, none of which grows faster
than the number of contents:

    examples -> keys -> (by key) pairs -> (by query) the best pairs -> a folder
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from components.content.sampling import BottomKFn
from components.leakage.near import pairs as joins
from components.leakage.near.batches import Batch
from components.leakage.near.layout import (
    FINGERPRINT,
    PAIR,
    REFERENCE,
    entry_dtype,
    partition_of,
)
from components.leakage.near.model import NearModel
from components.leakage.near.samples import (
    QUERY_SAMPLE,
    REFERENCE_SAMPLE,
    SAMPLE_SIZES,
    WriteSample,
)
from components.leakage.near.spill import (
    NUM_PARTITIONS,
    Extent,
    SpillWriter,
    make_folder,
    read_rows,
    windowed,
)

_ENTRIES, _FINGERPRINTS, _PAIRS, _CANDIDATES = (
    "entries",
    "fingerprints",
    "pairs",
    "candidates",
)
_INDEX_FILE = "candidates.json"
_MAX_SPLITS = 256


class FindCandidates(beam.PTransform):
    """Finds candidates for near-duplicates of the reference split's contents.

    Input: PCollection of (split, fingerprint of the content, 16 bytes, digest of the
    record, 8 bytes, descriptor as the model has it), in any order. Output: a
    PCollection of one element, the number of candidate pairs. The candidates, and
    the samples that the model's background is computed from, are in the folder
    when the pipeline has run: `count_candidates` and `VerifyCandidates` read them.

    For each content of the other splits that is not in the reference split itself
    it keeps at most `pairs.MAX_CANDIDATES` candidates. The result is the same for
    any sharding, bundling and runner.

    Memory: a worker holds one partition (see `spill`) and some 100 MB of rows beside.
    Disk: 33 bytes and 8 per word of a signature, for each key of either side.
    """

    def __init__(
        self,
        model: NearModel,
        folder: str,
        splits: Sequence[str],
        reference_split: str = "train",
        num_partitions: int = NUM_PARTITIONS,
    ):
        """Says what to look for, and where to keep it.

        Args:
          model: Hashes the contents.
          folder: Path of a folder that all workers see, for this search only; made
            if it does not exist. Whoever made it deletes it.
          splits: Names of all splits; examples of another one are an error.
          reference_split: Split that the others are held against.
          num_partitions: Parts that every shuffle is cut into; see `spill`.

        Raises:
          ValueError: If there are too many splits, or the reference is none of them.
        """
        super().__init__()
        if reference_split not in splits or len(splits) > _MAX_SPLITS:
            raise ValueError(
                f"splits must be at most {_MAX_SPLITS} names with the reference split "
                f"{reference_split!r}, but are {list(splits)[:10]}; name a split that "
                "exists"
            )
        self._model = model
        self._folder = folder
        others = [split for split in splits if split != reference_split]
        self._splits = (reference_split, *others)
        self._num_partitions = num_partitions

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        make_folder(self._folder)
        outputs = examples | "Hash" >> beam.ParDo(
            _HashFn(self._model, self._folder, self._splits, self._num_partitions)
        ).with_outputs(_FINGERPRINTS, *SAMPLE_SIZES, main=_ENTRIES)
        for name, size in SAMPLE_SIZES.items():
            _ = outputs[name] | f"Write[{name}]" >> WriteSample(
                self._folder, name, size
            )
        pairs = (
            outputs[_ENTRIES]
            | "GroupByKey" >> beam.GroupByKey()
            | "Join"
            >> beam.ParDo(
                _JoinFn(
                    entry_dtype(self._model.signature_words),
                    self._model.max_distance,
                    self._folder,
                    self._num_partitions,
                )
            )
        )
        return (
            (pairs, outputs[_FINGERPRINTS])
            | "Flatten" >> beam.Flatten()
            | "GroupByQuery" >> beam.GroupByKey()
            | "KeepNearest" >> beam.ParDo(_KeepNearestFn(self._folder))
            | "ListFiles" >> beam.combiners.ToList()
            | "WriteIndex" >> beam.Map(_write_index, self._folder, self._splits)
        )


def count_candidates(folder: str) -> int:
    """Returns the number of candidate pairs that `FindCandidates` left."""
    return sum(extent.num_rows for extent in candidate_extents(folder))


def candidate_extents(folder: str) -> list[Extent]:
    """Returns where the candidates stand, in a fixed order."""
    return [Extent(*extent) for extent in _read_index(folder)["extents"]]


def candidate_splits(folder: str) -> list[str]:
    """Returns the names of the splits by index; the first is the reference."""
    return list(_read_index(folder)["splits"])


def read_candidates(extents: Iterable[Extent]) -> np.ndarray:
    """Reads candidate pairs.

    Returns:
      `layout.PAIR`, shape (n,).
    """
    return read_rows(extents, _CANDIDATES, PAIR)


class _HashFn(beam.DoFn):
    """Turns examples into addresses of entries, by partition; samples descriptors."""

    def __init__(
        self,
        model: NearModel,
        folder: str,
        splits: Sequence[str],
        num_partitions: int,
    ):
        self._model = model
        self._folder = folder
        self._indices = {split: i for i, split in enumerate(splits)}
        self._num_partitions = num_partitions

    def start_bundle(self) -> None:
        dtype = entry_dtype(self._model.signature_words)
        self._entries = SpillWriter(self._folder, _ENTRIES, dtype)
        self._fingerprints = SpillWriter(self._folder, _FINGERPRINTS, FINGERPRINT)
        # The reference split, and all others.
        self._batches = [Batch(self._model), Batch(self._model)]
        self._samplers = [
            BottomKFn(SAMPLE_SIZES[REFERENCE_SAMPLE]),
            BottomKFn(SAMPLE_SIZES[QUERY_SAMPLE]),
        ]
        self._samples = [sampler.create_accumulator() for sampler in self._samplers]

    def process(self, example: Any) -> Iterator[Any]:
        split, fingerprint, digest, descriptor = example
        if split not in self._indices:
            raise ValueError(
                f"an example must be of one of the splits {list(self._indices)}, but "
                f"came from {split!r}; name all splits in FindCandidates"
            )
        index = self._indices[split]
        descriptor = np.asarray(descriptor, self._model.descriptor_dtype)
        side = int(index != REFERENCE)
        batch = self._batches[side]
        if batch.add(fingerprint, index, digest, descriptor):
            self._samples[side] = self._samplers[side].add_input(
                self._samples[side], (fingerprint, descriptor.tobytes())
            )
            if batch.is_full:
                yield from self._hash(side)

    def finish_bundle(self) -> Iterator[Any]:
        for side in (0, 1):
            yield from windowed(self._hash(side))
        yield from windowed(self._entries.flush())
        yield from windowed(self._tag(self._fingerprints.flush()))
        for side, name in enumerate((REFERENCE_SAMPLE, QUERY_SAMPLE)):
            sample = self._samplers[side].extract_output(self._samples[side])
            yield from windowed(beam.pvalue.TaggedOutput(name, each) for each in sample)

    def _hash(self, side: int) -> Iterator[Any]:
        batch = self._batches[side]
        if not len(batch):
            return
        if side == REFERENCE:
            numbers = batch.fingerprints()
            rows = numbers.view(FINGERPRINT)[:, 0]
            places = partition_of(numbers[:, 0], self._num_partitions)
            yield from self._tag(self._fingerprints.add(places, rows))
        entries = batch.entries(self._model, side)
        batch.clear()
        places = partition_of(entries["key"], self._num_partitions)
        yield from self._entries.add(places, entries)

    def _tag(self, extents: Iterable[tuple[int, Extent]]) -> Iterator[Any]:
        for extent in extents:
            yield beam.pvalue.TaggedOutput(_FINGERPRINTS, extent)


class _JoinFn(beam.DoFn):
    """Joins one partition of entries into pairs, partitioned by query."""

    def __init__(
        self, dtype: np.dtype, max_distance: int, folder: str, num_partitions: int
    ):
        self._dtype = dtype
        self._max_distance = max_distance
        self._folder = folder
        self._num_partitions = num_partitions

    def start_bundle(self) -> None:
        self._pairs = SpillWriter(self._folder, _PAIRS, PAIR)

    def process(self, keyed: Any) -> Iterator[Any]:
        entries = read_rows(keyed[1], _ENTRIES, self._dtype)
        pairs = joins.join_entries(entries, self._max_distance)
        places = partition_of(pairs["query"][:, 0], self._num_partitions)
        yield from self._pairs.add(places, pairs)

    def finish_bundle(self) -> Iterator[Any]:
        yield from windowed(self._pairs.flush())


class _KeepNearestFn(beam.DoFn):
    """Merges the pairs of one partition of queries; drops duplicates proper."""

    def __init__(self, folder: str):
        self._folder = folder

    def start_bundle(self) -> None:
        self._candidates = SpillWriter(self._folder, _CANDIDATES, PAIR)

    def process(self, keyed: Any) -> Iterator[Extent]:
        extents = list(keyed[1])
        pairs = read_rows(extents, _PAIRS, PAIR)
        if not len(pairs):
            return
        references = read_rows(extents, _FINGERPRINTS, FINGERPRINT)
        kept = joins.nearest(joins.drop_twins(pairs, references["fingerprint"]))
        for _, extent in self._candidates.add(np.zeros(len(kept), np.int64), kept):
            yield extent

    def finish_bundle(self) -> Iterator[Any]:
        yield from windowed(extent for _, extent in self._candidates.flush())


def _write_index(extents: list[Extent], folder: str, splits: Sequence[str]) -> int:
    """Writes where the candidates stand; returns their number."""
    text = json.dumps({"splits": splits, "extents": sorted(extents)})
    path = FileSystems.join(folder, _INDEX_FILE)
    with FileSystems.create(path, "application/octet-stream") as file:
        file.write(text.encode())
    return sum(extent.num_rows for extent in extents)


def _read_index(folder: str) -> dict[str, Any]:
    path = FileSystems.join(folder, _INDEX_FILE)
    with FileSystems.open(path, "application/octet-stream") as file:
        index: dict[str, Any] = json.loads(file.read())
    return index
