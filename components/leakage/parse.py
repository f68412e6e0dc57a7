# SPDX-License-Identifier: Apache-2.0
"""Parses records once, for all checks of one pass, and counts what is odd."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from components.content.batches import BatchedRecordsFn
from components.content.examples import ExampleParser, ParsedExample, Unreadable
from components.content.records import Record
from components.content.times import read_time
from components.leakage.config import LeakageConfig
from components.leakage.summary import Oddities, Place

ODDITIES = "oddities"
"""Tag of what is odd: (split, `Oddity`)."""
_MAX_NAMES = 1000  # Feature names kept for an error message.
_MAX_PLACES = 5  # Records named per split and kind.


class SplitExample(NamedTuple):
    """An example and its split; made to be used where it was made."""

    split: str
    """Name of the split."""
    example: ParsedExample
    """What was read."""


class Oddity(NamedTuple):
    """Something of one record that is not as it should be."""

    kind: str
    """A counter of `Oddities`; `missing` and `time_kinds` count by `name`."""
    name: str = ""
    """The feature that is missing, or the kind of time."""
    place: Place | None = None
    """The record, where it is to be named."""
    features: tuple[str, ...] = ()
    """Features that the example has, where one is missing."""


class ParseExamples(BatchedRecordsFn):
    """Turns records into examples of their splits.

    Main output: `SplitExample`. Output `oddities`: (split, `Oddity`).
    """

    def __init__(
        self, split_of: Mapping[str, str], label_key: str, config: LeakageConfig
    ):
        """Says what to read.

        Args:
          split_of: The split of each file.
          label_key: Name of the label feature.
          config: What is content.
        """
        super().__init__()
        self._split_of = dict(split_of)
        self._label_key = label_key
        self._config = config
        named = (label_key, *config.no_content, config.image)
        self._named = tuple(dict.fromkeys(name for name in named if name))

    def setup(self) -> None:
        """Makes the parser."""
        self._parser = make_parser(self._label_key, self._config)

    def read_batch(self, records: Sequence[Record]) -> Iterator[Any]:
        """Yields the examples, and what is odd of them."""
        for parsed in self._parser.parse(records):
            split = self._split_of[parsed.file]
            for oddity in self._oddities(parsed):
                yield beam.pvalue.TaggedOutput(ODDITIES, (split, oddity))
            if isinstance(parsed, ParsedExample):
                yield SplitExample(split, parsed)

    def _oddities(self, parsed: ParsedExample | Unreadable) -> Iterator[Oddity]:
        if isinstance(parsed, Unreadable):
            place = Place(
                file=parsed.file,
                position=parsed.position,
                reason=parsed.reason,
                row=parsed.row,
            )
            yield Oddity("unreadable", place=place)
            return
        if parsed.label_problem == "float":
            yield Oddity("float_labels")
        elif parsed.label_problem is not None:
            yield Oddity("odd_labels", place=self._place(parsed, "no UTF-8"))
        if not parsed.has_content:
            yield Oddity("without_content")
        if parsed.pixels is not None:
            yield Oddity("pictures")
        for name in self._named:
            if not parsed.has(name):
                yield Oddity("missing", name, features=tuple(parsed.features))
            elif name == self._config.time:
                time = read_time(parsed.features[name])
                if time is None:
                    text = str(parsed.features[name])[:60]
                    yield Oddity("odd_times", place=self._place(parsed, text))
                else:
                    yield Oddity("time_kinds", time[0])

    def _place(self, parsed: ParsedExample, reason: str) -> Place:
        return Place(
            file=parsed.file,
            position=parsed.position,
            reason=reason,
            row=parsed.describe(self._label_key, self._config.ignore),
        )


def make_parser(label_key: str, config: LeakageConfig) -> ExampleParser:
    """Makes the parser that the configuration describes."""
    return ExampleParser(
        label_key,
        no_content=config.no_content,
        image=config.image,
        named_by=config.ignore,
    )


@dataclasses.dataclass
class _Counts:
    """Accumulator of `CountOdditiesFn`."""

    numbers: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    places: dict[str, list[Place]] = dataclasses.field(default_factory=dict)
    features: set[str] = dataclasses.field(default_factory=set)

    def add(self, key: tuple[str, str], number: int) -> None:
        self.numbers[key] = self.numbers.get(key, 0) + number

    def name(self, kind: str, places: Iterable[Place]) -> None:
        """Keeps the first places; neither shards nor bundles decide which."""
        merged = {
            (place.file, place.position): place
            for place in (*self.places.get(kind, ()), *places)
        }
        self.places[kind] = [merged[key] for key in sorted(merged)[:_MAX_PLACES]]

    def know(self, features: Iterable[str]) -> None:
        self.features.update(features)
        if len(self.features) > 2 * _MAX_NAMES:
            self.features = set(sorted(self.features)[:_MAX_NAMES])


class CountOdditiesFn(beam.CombineFn):
    """Counts the oddities of one split.

    Input: `Oddity`. Output: `Oddities`, and the names of features that examples have
    which lack another.
    """

    def create_accumulator(self) -> _Counts:
        """Returns nothing counted."""
        return _Counts()

    def add_input(self, counts: _Counts, oddity: Oddity) -> _Counts:
        """Counts one oddity."""
        counts.add((oddity.kind, oddity.name), 1)
        if oddity.place is not None:
            counts.name(oddity.kind, [oddity.place])
        if not counts.features.issuperset(oddity.features):
            counts.know(oddity.features)
        return counts

    def merge_accumulators(self, accumulators: Iterable[_Counts]) -> _Counts:
        """Adds up counts, into a fresh accumulator."""
        merged = self.create_accumulator()
        for counts in accumulators:
            for key, number in counts.numbers.items():
                merged.add(key, number)
            for kind, places in counts.places.items():
                merged.name(kind, places)
            merged.know(counts.features)
        return merged

    def extract_output(self, counts: _Counts) -> tuple[Oddities, tuple[str, ...]]:
        """Returns the counts, in a fixed order."""
        plain = {
            kind: number for (kind, name), number in counts.numbers.items() if not name
        }
        by_name = {
            kind: {
                name: number
                for (other, name), number in sorted(counts.numbers.items())
                if other == kind
            }
            for kind in ("missing", "time_kinds")
        }
        places = {
            field: tuple(counts.places.get(kind, ()))
            for kind, field in (
                ("unreadable", "unreadable_places"),
                ("odd_labels", "odd_label_places"),
                ("odd_times", "odd_time_places"),
            )
        }
        oddities = Oddities.model_validate({**plain, **by_name, **places})
        return oddities, tuple(sorted(counts.features)[:_MAX_NAMES])
