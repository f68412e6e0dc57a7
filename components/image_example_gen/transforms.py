# SPDX-License-Identifier: Apache-2.0
"""Reads, validates and writes pictures with Beam.

The files are dealt out to shards by a hash of their paths, and each shard is written
by one worker in the order of the hashes. So classes are mixed, no picture travels
through a shuffle, and the shards are the same for every runner and any number of
workers.
"""

import collections
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from tensorflow.core.example import example_pb2
from tfx.dsl.io import fileio

from components.content.pictures import PictureError
from components.image_example_gen import metadata
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.folder import Kind, shown, walk
from components.image_example_gen.layout import ClassFolder
from components.image_example_gen.reading import read_picture
from components.image_example_gen.summary import Tally, merge_counts

FACTS = "facts"
"""Tag of what was counted: a `summary.Fact` each."""
SHARDS = "shards"
"""Tag of what was written: the fields of a `Shard` each."""

_PICTURES, _ROWS = "pictures", "rows"


class Shard(NamedTuple):
    """A TFRecord file that was written."""

    split: str
    """Name of the split."""
    number: int
    """Number of the shard; one without pictures of a split has no file of it."""
    file: str
    """Where the file is."""


class WritePictures(beam.PTransform):
    """Turns the pictures in class folders into gzipped TFRecord files of tf.Examples.

    Input: the pipeline. Output: PCollections by tag, `facts` and `shards`.
    """

    def __init__(
        self,
        base: str,
        class_folders: Sequence[ClassFolder],
        config: ImageExampleGenConfig,
        *,
        table: metadata.Table | None,
        num_shards: int,
        folder: str,
    ):
        """Says what to read and where to write.

        Args:
          base: The base folder.
          class_folders: Where the pictures are.
          config: Names of the features and limits.
          table: The metadata; None if there are none.
          num_shards: Shards that the pictures are dealt out to; at least 1.
          folder: Folder for the files, which all workers reach.
        """
        super().__init__()
        self._base = os.fsencode(base)
        self._class_folders = list(class_folders)
        self._config = config
        self._table = table
        self._num_shards = num_shards
        self._folder = folder

    def expand(self, pipeline: beam.Pipeline) -> Any:
        """Wires the steps. Beam has no type hint for tagged outputs."""
        table, num_shards = self._table, self._num_shards
        pictures = (
            pipeline
            | "ListClasses" >> beam.Create(self._class_folders, reshuffle=True)
            | "ListPictures" >> beam.ParDo(_ListPicturesFn(self._base, table))
            | "ShardOfPicture"
            >> beam.Map(lambda keyed: (_shard(keyed[0], num_shards), keyed))
        )
        rows = (
            pipeline
            | "ListTables" >> beam.Create([table] if table else [])
            | "ReadRows" >> beam.FlatMap(metadata.read_rows)
            | "ShardOfRow"
            >> beam.Map(lambda keyed: (_shard(keyed[0], num_shards), keyed))
        )
        written = (
            {_PICTURES: pictures, _ROWS: rows}
            | "GroupByShard" >> beam.CoGroupByKey()
            | "WriteShards"
            >> beam.ParDo(
                _WriteShardFn(self._base, self._config, table, self._folder)
            ).with_outputs(FACTS, main=SHARDS)
        )
        facts = written[FACTS] | "MergeFacts" >> beam.CombinePerKey(merge_counts)
        return {FACTS: facts, SHARDS: written[SHARDS]}


def _shard(key: bytes, num_shards: int) -> int:
    return int.from_bytes(_hash(key), "big") % num_shards


def _hash(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=8).digest()


class _ListPicturesFn(beam.DoFn):
    """Yields (key, (path, split, label)) of each picture in a class folder."""

    def __init__(self, base: bytes, table: metadata.Table | None):
        self._base = base
        self._table = table

    def process(self, folder: ClassFolder) -> Iterator[Any]:
        for entry in walk(self._base, folder.path):
            if entry.kind is Kind.PICTURE:
                key = self._table.key(entry.path) if self._table else entry.path
                yield key, (entry.path, folder.split, folder.label)


class _WriteShardFn(beam.DoFn):
    """Joins the pictures and rows of a shard, and writes the examples by split."""

    def __init__(
        self,
        base: bytes,
        config: ImageExampleGenConfig,
        table: metadata.Table | None,
        folder: str,
    ):
        self._base = base
        self._config = config
        self._table = table
        self._folder = folder

    def setup(self) -> None:
        fileio.makedirs(self._folder)

    def process(self, shard: tuple[int, dict[str, Iterable[Any]]]) -> Iterator[Any]:
        number, groups = shard
        tally = Tally()
        pictures = sorted(
            groups[_PICTURES], key=lambda keyed: (_hash(keyed[1][0]), keyed[1])
        )
        rows = self._match(pictures, groups[_ROWS], tally)
        if self._is_error(tally):
            pictures = []  # There will be no examples; decoding would be a waste.
        writers: dict[str, tf.io.TFRecordWriter] = {}
        files: dict[str, str] = {}
        try:
            for key, (path, split, label) in pictures:
                example = self._make_example(path, label, rows.get(key, {}), tally)
                if example is None:
                    continue
                if split not in writers:
                    # A name of its own, so that a worker that repeats the work of
                    # another one does not write to the same file.
                    name = f"{split}-{number:05d}-{uuid.uuid4().hex}.gz"
                    files[split] = os.path.join(self._folder, name)
                    writers[split] = tf.io.TFRecordWriter(files[split], "GZIP")
                writers[split].write(example)
                tally.add(shown(path), "example", split, label)
        finally:
            for writer in writers.values():
                writer.close()
        for split, file in files.items():
            yield Shard(split, number, file)
        for fact in tally.facts():
            yield beam.pvalue.TaggedOutput(FACTS, fact)

    def _match(
        self,
        pictures: list[Any],
        rows: Iterable[tuple[bytes, metadata.Values]],
        tally: Tally,
    ) -> dict[bytes, metadata.Values]:
        """Returns the row of each key, and notes what does not match."""
        if self._table is None:
            return {}
        counts = collections.Counter(key for key, _ in pictures)
        found: dict[bytes, metadata.Values] = {}
        for key, values in rows:
            if key in found:
                tally.add(shown(key), "repeated_rows")
            elif key not in counts:
                tally.add(shown(key), "unmatched_rows")
            elif counts[key] > 1:
                tally.add(shown(key), "ambiguous_rows")
            found[key] = values
        for key, (path, _, _) in pictures:
            if key not in found:
                tally.add(shown(path), "unmatched_pictures")
        return found

    def _is_error(self, tally: Tally) -> bool:
        """Whether what does not match will end the run."""
        allowed = {"unmatched_pictures", "unmatched_rows"}
        if self._config.on_unmatched == "error":
            allowed.clear()
        return any(kind[0] not in allowed for kind, _ in tally.facts())

    def _make_example(
        self, path: bytes, label: str, values: metadata.Values, tally: Tally
    ) -> bytes | None:
        """Returns a serialized tf.Example; None if the picture is undecodable."""
        try:
            picture = read_picture(os.path.join(self._base, path), self._config)
        except PictureError as error:
            tally.add(f"{shown(path)} ({error})", "undecodable")
            return None
        if picture.rewritten:
            tally.add(shown(path), "rewritten", picture.rewritten)
        if picture.animated:
            tally.add(shown(path), "animated")
        return _example(
            {
                self._config.label_key: label.encode(),
                self._config.image_key: picture.encoded,
                self._config.path_key: path,
                **values,
            }
        )


def _example(features: dict[str, int | float | bytes]) -> bytes:
    example = example_pb2.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.append(value)
    # Else the order of the features differs between processes.
    return example.SerializeToString(deterministic=True)
