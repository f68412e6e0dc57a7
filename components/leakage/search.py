# SPDX-License-Identifier: Apache-2.0
"""The passes over the examples, and what each leaves for the next.

    count      parses each record once: tables of contents, groups and times, the
               sample, and of pictures the candidates for near-duplicates
    compare    of rows of numbers the candidates, within the tolerances that follow
               from the sample
    verify     reads again, if there are candidates, and parses only these
    clean      on request: writes the examples again without those that leak
    describe   reads again, if there is evidence, for texts and pictures of a few

What leaves a pass lies in files of one folder, so that each pass is an ordinary
pipeline for any runner, and nothing large travels through this process.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from components.content.examples import ExampleParser, ParsedExample
from components.content.records import DAMAGED, RECORDS, Damage, ReadRecords, Record
from components.errors import InputError
from components.leakage import tables
from components.leakage.config import LeakageConfig
from components.leakage.evidence import DescribeRecords, Shown
from components.leakage.keys import content_key, group_key, time_key_of
from components.leakage.near.candidates import FindCandidates, count_candidates
from components.leakage.near.model import NearMatch, NearModel
from components.leakage.near.rows import RowModel
from components.leakage.near.tolerances import choose
from components.leakage.near.verification import VerifyCandidates
from components.leakage.near_matches import NearDuplicates, count_matches
from components.leakage.parse import (
    ODDITIES,
    CountOdditiesFn,
    ParseExamples,
    SplitExample,
    make_parser,
)
from components.leakage.perceptual.pictures import PictureModel
from components.leakage.pictures import (
    BY_LABEL,
    DescribePictures,
    describe_picture,
)
from components.leakage.predictive.rows import SampleRow
from components.leakage.predictive.sample import Sample
from components.leakage.predictive.transforms import SampleRows, SumPicturesFn
from components.leakage.predictive.variance import PictureSums
from components.leakage.quarantine import WriteKept, copy_split
from components.leakage.row_layout import Describer, RowLayout
from components.leakage.stored import StoredTable, load, save
from components.leakage.summary import Oddities, Summary, add_tallies
from components.leakage.tabulate import Tabulate
from components.leakage.times import count_times

_EXAMPLES, _DESCRIBED = "examples", "described"
_CONTENTS, _GROUPS, _TIMES, _NEAR = "contents", "groups", "times", "near"
"""Folders of the tables, and of the search for near-duplicates."""


@dataclasses.dataclass(frozen=True)
class Counted:
    """What the first pass has found.

    Attributes:
      summary: All counts but near-duplicates.
      sample: Rows of the reference split.
      pictures: Sums of the reference split's pictures by label.
    """

    summary: Summary
    sample: Sample
    pictures: Mapping[str, PictureSums]


class Search:
    """Runs the passes, each when it is called; `count` comes first."""

    def __init__(
        self,
        make_pipeline: Callable[[], beam.Pipeline],
        files: Mapping[str, Sequence[str]],
        label_key: str,
        config: LeakageConfig,
        folder: str,
    ):
        """Says what to search.

        Args:
          make_pipeline: Makes a pipeline on the runner that the user chose.
          files: Paths of the TFRecord files of each split, gzipped where they end in
            `.gz`; a split may have none.
          label_key: Name of the label feature.
          config: What to look for.
          folder: Path of an empty folder that all workers see, for this search only.
        """
        self._make_pipeline = make_pipeline
        self._files = {split: list(paths) for split, paths in files.items()}
        self._label_key = label_key
        self._config = config
        self._folder = folder

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order that tables point to them."""
        return tuple(self._files)

    @property
    def contents(self) -> StoredTable:
        """The table of contents; after `count`."""
        return StoredTable(self._path(_CONTENTS))

    @property
    def groups(self) -> StoredTable:
        """The table of groups; after `count`, without rows if none are named."""
        return StoredTable(self._path(_GROUPS))

    @property
    def times(self) -> StoredTable:
        """The table of times; after `count`, without rows if none are named."""
        return StoredTable(self._path(_TIMES))

    def count(self) -> Counted:
        """Parses each record once, and counts.

        Raises:
          InputError: If a file breaks off.
        """
        config = self._config
        with self._make_pipeline() as pipeline:
            read = self._read(pipeline)
            parsed = read[RECORDS] | "ParseExamples" >> beam.ParDo(
                ParseExamples(self._split_of, self._label_key, config)
            ).with_outputs(ODDITIES, main=_EXAMPLES)
            examples = parsed[_EXAMPLES]
            for name, key_of, partition_by in self._keys:
                _ = examples | f"Tabulate[{name}]" >> Tabulate(
                    self._path(name), self.splits, key_of, partition_by
                )
            reference = examples | "TakeReference" >> beam.FlatMap(
                _of_split, config.reference_split
            )
            sample = reference | "SampleRows" >> SampleRows(
                self._label_key, config.no_content, config.sample_size
            )
            described = examples | "DescribePictures" >> beam.ParDo(
                DescribePictures(config.reference_split, config.mirrored)
            ).with_outputs(BY_LABEL, main=_DESCRIBED)
            if config.near_duplicates:
                _ = described[_DESCRIBED] | "FindPictures" >> FindCandidates(
                    PictureModel(config.mirrored),
                    self._path(_NEAR),
                    self.splits,
                    config.reference_split,
                )
            save(
                self._folder,
                "counted",
                damage=read[DAMAGED],
                oddities=parsed[ODDITIES]
                | "CountOddities" >> beam.CombinePerKey(CountOdditiesFn()),
                sample=sample,
                pictures=described[BY_LABEL]
                | "SumPictures" >> beam.CombinePerKey(SumPicturesFn()),
            )
        found = load(self._folder, "counted")
        self._require_whole(found["damage"])
        (sampled,) = found["sample"]
        return Counted(
            self._summarize(dict(found["oddities"])),
            Sample(sampled),
            dict(found["pictures"]),
        )

    def find_near_duplicates(self, counted: Counted) -> NearDuplicates | None:
        """Looks for near-duplicates: of pictures where there are any, else of rows.

        Returns:
          None if there are neither pictures nor rows of numbers.
        """
        config = self._config
        if any(odd.pictures for odd in counted.summary.oddities.values()):
            model: NearModel = PictureModel(config.mirrored)
            describe: Callable[[ParsedExample], Any] = functools.partial(
                describe_picture, mirrored=config.mirrored
            )
        else:
            rows = self._row_model(counted)
            if rows is None:
                return None
            layout, model = rows
            describe = Describer(layout).describe
            self._compare(model, describe)
        matches = self._verify(model, describe)
        return count_matches(
            matches,
            self.contents,
            self.splits,
            config.reference_split,
            config.max_evidence,
        )

    def write_kept(
        self, leaks: Mapping[str, np.ndarray], folders: Mapping[str, str]
    ) -> dict[tuple[str, str], int]:
        """Writes the examples again, the reference split as it is.

        Args:
          leaks: By cause, the digests of the records that leak, uint64, ascending.
          folders: Where to write each split.

        Returns:
          Examples by split and cause of being left out, or `quarantine.KEPT`.
        """
        reference = self._config.reference_split
        copy_split(self._files[reference], folders[reference])
        others = {
            split: paths for split, paths in self._files.items() if split != reference
        }
        with self._make_pipeline() as pipeline:
            counts = pipeline | "WriteKept" >> WriteKept(
                others, folders, leaks, self._path("leaks")
            )
            save(self._folder, "kept", counts=counts)
        return dict(load(self._folder, "kept")["counts"])

    def describe(self, digests: Collection[str], folder: str) -> dict[str, Shown]:
        """Describes some records, and writes their pictures.

        Args:
          digests: Of the records, as hexadecimal digits.
          folder: Where to make the folder of the pictures.
        """
        with self._make_pipeline() as pipeline:
            shown = self._read(pipeline)[RECORDS] | "DescribeRecords" >> (
                DescribeRecords(digests, self._label_key, self._config, folder)
            )
            save(self._folder, "shown", shown=shown)
        found = load(self._folder, "shown")["shown"]
        return {digest: json.loads(text) for digest, text in found}

    def _row_model(self, counted: Counted) -> tuple[RowLayout, RowModel] | None:
        """Returns how rows are compared; None if no feature is a number."""
        rows: Sequence[SampleRow] = counted.sample.rows
        layout = RowLayout.of(rows, (self._label_key, *self._config.no_content))
        if layout is None:
            return None
        reference = counted.summary.contents.splits[self._config.reference_split]
        return layout, RowModel(
            choose(
                layout.matrix(rows),
                reference.distinct,
                self._config.relative_tolerance,
                layout.tolerances(self._config.tolerances),
            )
        )

    def _compare(self, model: NearModel, describe: Callable[..., Any]) -> None:
        """Finds candidates among rows, in a pass of its own."""
        with self._make_pipeline() as pipeline:
            parsed = self._read(pipeline)[RECORDS] | "ParseExamples" >> beam.ParDo(
                ParseExamples(self._split_of, self._label_key, self._config)
            ).with_outputs(ODDITIES, main=_EXAMPLES)
            _ = (
                parsed[_EXAMPLES]
                | "DescribeRows"
                >> beam.Map(
                    lambda each: (
                        each.split,
                        each.example.fingerprint,
                        each.example.record_digest,
                        describe(each.example),
                    )
                )
                | "FindRows"
                >> FindCandidates(
                    model,
                    self._path(_NEAR),
                    self.splits,
                    self._config.reference_split,
                )
            )

    def _verify(
        self, model: NearModel, describe: Callable[[ParsedExample], Any]
    ) -> list[NearMatch]:
        """Compares the candidates; no pass if there are none."""
        if not count_candidates(self._path(_NEAR)):
            return []
        read_again = functools.partial(
            _describe_record,
            parser=make_parser(self._label_key, self._config),
            describe=describe,
        )
        with self._make_pipeline() as pipeline:
            matches = (
                self._read(pipeline)[RECORDS]
                | "TakeData" >> beam.Map(lambda record: record.data)
                | "VerifyCandidates"
                >> VerifyCandidates(model, self._path(_NEAR), read_again)
                | "DropKeys" >> beam.Values()
            )
            save(self._folder, "matches", matches=matches)
        return load(self._folder, "matches")["matches"]

    @property
    def _split_of(self) -> dict[str, str]:
        return {path: split for split, paths in self._files.items() for path in paths}

    @property
    def _keys(self) -> list[tuple[str, Callable[..., bytes | None], str]]:
        """Name, key and partitioning of each table."""
        keys: list[tuple[str, Callable[..., bytes | None], str]] = [
            (_CONTENTS, content_key, "high")
        ]
        if self._config.group:
            key_of = functools.partial(group_key, feature=self._config.group)
            keys.append((_GROUPS, key_of, "high"))
        if self._config.time:
            # Times are no hashes; records' digests are.
            key_of = functools.partial(time_key_of, feature=self._config.time)
            keys.append((_TIMES, key_of, "digest"))
        return keys

    def _read(self, pipeline: beam.Pipeline) -> Any:
        return pipeline | "ReadExamples" >> ReadRecords(
            [path for paths in self._files.values() for path in paths]
        )

    def _require_whole(self, damaged: Sequence[Damage]) -> None:
        if damaged:
            first = min(damaged)
            raise InputError(
                f"split {self._split_of[first.file]!r} in {first.file}: expected whole "
                f"TFRecord files, but record {first.position} cannot be read "
                f"({first.reason}; damaged files: {len(damaged)}); make the examples "
                "again"
            )

    def _summarize(
        self, found: Mapping[str, tuple[Oddities, tuple[str, ...]]]
    ) -> Summary:
        config = self._config
        count = functools.partial(
            tables.tally,
            splits=self.splits,
            reference_split=config.reference_split,
            max_groups=config.max_evidence,
        )
        nothing = count(tables.EMPTY)

        def add(parts: StoredTable) -> Any:
            return add_tallies([nothing, *map(count, parts)], config.max_evidence)

        kinds = {kind for odd, _ in found.values() for kind in odd.time_kinds}
        names = {name for _, some in found.values() for name in some}
        return Summary(
            contents=add(self.contents),
            oddities={
                split: found[split][0] if split in found else Oddities()
                for split in self.splits
            },
            feature_names=tuple(sorted(names)),
            groups=add(self.groups) if config.group else None,
            times=count_times(
                self.times,
                self.splits,
                config.reference_split,
                min(kinds, default="text"),
            )
            if config.time
            else None,
        )

    def _path(self, name: str) -> str:
        return str(FileSystems.join(self._folder, name))


def _of_split(element: SplitExample, split: str) -> Iterator[Any]:
    if element.split == split:
        yield element.example


def _describe_record(
    data: bytes, parser: ExampleParser, describe: Callable[[ParsedExample], Any]
) -> Any:
    """Describes a record that was read before."""
    (parsed,) = parser.parse([Record("", 0, data)])
    if not isinstance(parsed, ParsedExample):
        raise ValueError(f"a record that was read before cannot be: {parsed.reason}")
    return describe(parsed)
