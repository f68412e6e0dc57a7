# SPDX-License-Identifier: Apache-2.0
"""Reads from a record what the splitter goes by: its label, and its unit or time."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from google.protobuf.message import DecodeError

from components.content.examples import (
    ExampleParser,
    ParsedExample,
    Unreadable,
    label_text,
    read_features,
)
from components.content.fingerprint import Values, canonical_value, fingerprint
from components.content.records import Record
from components.content.times import Kind, read_time
from components.example_splitter.config import By, SplitConfig
from components.example_splitter.plan import UNIT_SIZE

UNREADABLE, FLOAT_LABEL, ODD_LABEL = "unreadable", "float label", "odd label"
NO_LABEL, NO_GROUP, NO_TIME, ODD_TIME = "no label", "no group", "no time", "odd time"
"""What can be wrong with a record."""
_MAX_NAMES = 20  # Features named where one is missing.
_NO_FEATURE = ""  # A name that no feature has.


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was read from one record; `problem` says what is wrong with it.

    Attributes:
      record: The record.
      label: Text of the label; empty if there is none.
      unit: Digest of the content or group, 16 bytes; None in a split by time.
      time: Kind and place in the order of time; None in other splits.
      problem: What is wrong; None if nothing is.
      detail: What there is instead, for people.
    """

    record: Record
    label: str = ""
    unit: bytes | None = None
    time: tuple[Kind, int] | None = None
    problem: str | None = None
    detail: str = ""


class UnitReader:
    """Reads records in the way that a configuration asks for."""

    def __init__(self, label_key: str, config: SplitConfig):
        """Says what to read.

        Args:
          label_key: Name of the label feature.
          config: What is kept together.
        """
        self._label_key = label_key
        self._config = config
        self._no_content = (label_key, *config.no_content)
        # Where content does not count, no picture needs to be decoded.
        image = config.image if config.by is By.CONTENT else _NO_FEATURE
        self._parser = ExampleParser(label_key, config.no_content, image)

    def read(self, records: Sequence[Record]) -> Iterator[Reading]:
        """Yields what each record says, in their order."""
        parsed = self._parser.parse(records)
        for record, example in zip(records, parsed, strict=True):
            yield self._read_one(record, example)

    def _read_one(self, record: Record, example: ParsedExample | Unreadable) -> Reading:
        if isinstance(example, Unreadable):
            return self._read_as_stored(record)
        if example.label:
            reading = Reading(record, example.label)
        else:
            reading = self._read_label(record, example.features)
        if reading.problem not in (None, NO_LABEL):
            return reading
        if self._config.by is By.CONTENT:
            return dataclasses.replace(reading, unit=example.fingerprint)
        if self._config.by is By.GROUP:
            return self._with_group(reading, example)
        return self._with_time(reading, example)

    def _read_as_stored(self, record: Record) -> Reading:
        """Reads an example whose image cannot be decoded, if it is one at all."""
        try:
            features = read_features(record.data)
        except (DecodeError, UnicodeDecodeError):
            return Reading(record, problem=UNREADABLE, detail="no tf.train.Example")
        reading = self._read_label(record, features)
        if reading.problem not in (None, NO_LABEL):
            return reading
        unit = fingerprint(features, self._no_content)
        return dataclasses.replace(reading, unit=unit)

    def _with_group(self, reading: Reading, example: ParsedExample) -> Reading:
        values = _values_of(example, self._config.group)
        if not len(values):
            names = _names(example.features)
            return Reading(reading.record, problem=NO_GROUP, detail=names)
        value = canonical_value(values)
        unit = hashlib.blake2b(value, digest_size=UNIT_SIZE).digest()
        return dataclasses.replace(reading, unit=unit)

    def _with_time(self, reading: Reading, example: ParsedExample) -> Reading:
        values = _values_of(example, self._config.time)
        if not len(values):
            names = _names(example.features)
            return Reading(reading.record, problem=NO_TIME, detail=names)
        time = read_time(values)
        if time is None:
            detail = str(values[:3])[:60]
            return Reading(reading.record, problem=ODD_TIME, detail=detail)
        return dataclasses.replace(reading, time=time)

    def _read_label(self, record: Record, features: Mapping[str, Values]) -> Reading:
        values = features.get(self._label_key)
        if values is None:
            return Reading(record, problem=NO_LABEL, detail=_names(features))
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            return Reading(record, problem=FLOAT_LABEL, detail=str(values[0]))
        try:
            return Reading(record, label_text(values, errors="strict"))
        except UnicodeDecodeError:
            detail = str(list(values[:1]))[:60]
            return Reading(record, problem=ODD_LABEL, detail=detail)


def _values_of(example: ParsedExample, name: str | None) -> Values:
    """Returns the values of one feature, without a look at the others."""
    column = example.columns.get(name) if name is not None else None
    return [] if column is None else column.values_of(example.row)


def _names(features: Mapping[str, Values]) -> str:
    return ", ".join(sorted(features)[:_MAX_NAMES])
