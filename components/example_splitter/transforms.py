# SPDX-License-Identifier: Apache-2.0
"""Surveys the examples in a first pass, and splits them in a second one.

The records themselves are never shuffled, nor kept: what is shuffled of each example
in the first pass is a digest and its label.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from components.content.batches import BatchedRecordsFn
from components.content.records import Record
from components.content.sampling import CountingBottomKFn
from components.example_splitter import plan as plans
from components.example_splitter.config import By, SplitConfig
from components.example_splitter.plan import NearestUnits, Plan, TimePlan, UnitPlan
from components.example_splitter.survey import rarest
from components.example_splitter.units import NO_LABEL, Reading, UnitReader

LABELS, CLASSES, TIMES, TROUBLES = "labels", "classes", "times", "troubles"
"""Kinds of the results of the first pass, as in the fields of `Survey`."""
MAX_TIMES = 100_000
"""Different times up to which the border in time is exact. Of more, a sample of as many
is taken: the share for evaluation is then met to about 0.2 %."""
_MAX_FIRST = 3  # Records named per kind of trouble.


class SurveyExamples(beam.PTransform):
    """Finds out what the split depends on.

    Input: a PCollection of `Record`. Output: a PCollection of JSON texts, pairs of a
    kind of result and a value for `Survey`; the same for any sharding.
    """

    def __init__(self, label_key: str, config: SplitConfig):
        """Says what to look for.

        Args:
          label_key: Name of the label feature.
          config: How the examples are split.
        """
        super().__init__()
        self._label_key = label_key
        self._config = config

    def expand(self, records: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        read = records | "ReadUnits" >> beam.ParDo(
            ReadUnitsFn(self._label_key, self._config)
        ).with_outputs(LABELS, TROUBLES, main="units")
        labels = read[LABELS] | "CountLabels" >> beam.combiners.Count.PerElement()
        troubles = read[TROUBLES] | "CountTroubles" >> beam.CombinePerKey(
            CountTroublesFn()
        )
        split = self._sample_times if self._config.by is By.TIME else self._split_units
        return (
            (
                labels | "NameLabels" >> beam.Map(lambda pair: (LABELS, pair)),
                troubles | "NameTroubles" >> beam.Map(lambda pair: (TROUBLES, pair)),
                split(read["units"], labels),
            )
            | "FlattenResults" >> beam.Flatten()
            | "WriteAsJson" >> beam.Map(json.dumps)
        )

    def _split_units(
        self, units: beam.PCollection, labels: beam.PCollection
    ) -> beam.PCollection:
        return (
            units
            | "GatherLabels" >> beam.CombinePerKey(GatherLabelsFn())
            | "ChooseClass"
            >> beam.Map(
                lambda unit, counts: (rarest(unit[1], counts), unit[0]),
                beam.pvalue.AsDict(labels),
            )
            | "FindNearestUnits"
            >> beam.CombinePerKey(
                NearestUnitsFn(self._config.eval_share, self._config.salt)
            )
            | "SplitClasses" >> beam.Map(_split_class, self._config.eval_share)
        )

    def _sample_times(
        self, times: beam.PCollection, labels: beam.PCollection
    ) -> beam.PCollection:
        del labels  # Time asks for no class.
        return (
            times
            | "SampleTimes"
            >> beam.CombineGlobally(CountingBottomKFn(MAX_TIMES, MAX_TIMES, _one))
            | "NameTimes"
            >> beam.FlatMap(
                lambda sample: [(TIMES, (*time, count)) for _, time, count in sample]
            )
        )


class SplitRecords(beam.PTransform):
    """Splits records in two.

    Input: a PCollection of `Record`. Output: PCollections of bytes by name of the
    split, each record as it was.
    """

    def __init__(self, label_key: str, config: SplitConfig, plan: Plan):
        """Says what goes where.

        Args:
          label_key: Name of the label feature.
          config: What the plan was made with.
          plan: What goes where.
        """
        super().__init__()
        self._label_key = label_key
        self._config = config
        self._plan = plan

    def expand(self, records: beam.PCollection) -> Any:
        """Wires the step. Beam has no type hint for tagged outputs."""
        return records | "SplitRecords" >> beam.ParDo(
            _SplitRecordsFn(self._label_key, self._config, self._plan)
        ).with_outputs(self._config.eval_split, main=self._config.train_split)


class _ReadingsFn(BatchedRecordsFn):
    """Reads records for the survey and for the split."""

    def __init__(self, label_key: str, config: SplitConfig):
        super().__init__()
        self._label_key = label_key
        self._config = config

    def setup(self) -> None:
        self._reader = UnitReader(self._label_key, self._config)

    def read_batch(self, records: Sequence[Record]) -> Iterator[Any]:
        for reading in self._reader.read(records):
            yield from self.emit(reading)

    def emit(self, reading: Reading) -> Iterator[Any]:
        """Yields what is made of one reading."""
        raise NotImplementedError


class ReadUnitsFn(_ReadingsFn):
    """Reads records for the survey.

    Main output: (unit, label); in a split by time (hash of the time, time). Output
    `labels`: the label. Output `troubles`: (kind, (file, position, detail)).
    """

    def emit(self, reading: Reading) -> Iterator[Any]:
        """Yields what the survey counts; of an unusable record only the trouble."""
        record = reading.record
        if reading.problem:
            first = record.file, record.position, reading.detail
            yield beam.pvalue.TaggedOutput(TROUBLES, (reading.problem, first))
            if reading.problem != NO_LABEL:
                return
        yield beam.pvalue.TaggedOutput(LABELS, reading.label)
        if reading.unit is not None:
            yield reading.unit, reading.label
        elif reading.time is not None:
            kind, time = reading.time
            digest = plans.place_of(time.to_bytes(8, "big", signed=True), kind)
            yield digest.to_bytes(8, "big"), reading.time


class _SplitRecordsFn(_ReadingsFn):
    def __init__(self, label_key: str, config: SplitConfig, plan: Plan):
        super().__init__(label_key, config)
        self._plan = plan

    def emit(self, reading: Reading) -> Iterator[Any]:
        if _is_eval(self._plan, reading):
            yield beam.pvalue.TaggedOutput(self._config.eval_split, reading.record.data)
        else:
            yield reading.record.data


class GatherLabelsFn(beam.CombineFn):
    """Gathers the different labels of a unit, as a sorted tuple."""

    def create_accumulator(self) -> tuple[str, ...]:
        """Returns no label."""
        return ()

    def add_input(self, labels: tuple[str, ...], label: str) -> tuple[str, ...]:
        """Adds one label."""
        return labels if label in labels else tuple(sorted((*labels, label)))

    def merge_accumulators(self, many: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        """Joins labels."""
        return tuple(sorted({label for labels in many for label in labels}))

    def extract_output(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the labels."""
        return labels


class NearestUnitsFn(beam.CombineFn):
    """Counts the units of a class and keeps those nearest to the border."""

    def __init__(self, share: float, salt: str):
        """Says where the border is.

        Args:
          share: Share of the units to evaluate on.
          salt: Goes into the hash of each unit.
        """
        super().__init__()
        self._border = plans.border_of(share)
        self._salt = salt

    def create_accumulator(self) -> NearestUnits:
        """Returns no unit."""
        return NearestUnits()

    def add_input(self, nearest: NearestUnits, unit: bytes) -> NearestUnits:
        """Adds one unit."""
        nearest.add(plans.place_of(unit, self._salt), unit, self._border)
        return nearest

    def merge_accumulators(self, many: Iterable[NearestUnits]) -> NearestUnits:
        """Adds up units, into a fresh accumulator."""
        merged = NearestUnits()
        for nearest in many:
            merged.merge(nearest)
        return merged

    def extract_output(self, nearest: NearestUnits) -> NearestUnits:
        """Returns the units."""
        return nearest


class CountTroublesFn(beam.CombineFn):
    """Counts records that something is wrong with, and keeps the first few.

    Input: (file, position, detail). Output: number of records, and the first.
    """

    def create_accumulator(self) -> tuple[int, tuple[Any, ...]]:
        """Returns no trouble."""
        return 0, ()

    def add_input(self, counted: Any, first: tuple[str, int, str]) -> Any:
        """Adds one record."""
        return self.merge_accumulators([counted, (1, (first,))])

    def merge_accumulators(self, many: Iterable[Any]) -> tuple[int, tuple[Any, ...]]:
        """Adds up records; neither shards nor bundles decide which are the first."""
        counts, firsts = zip(*many, strict=True)
        ordered = sorted({one for first in firsts for one in first})
        return sum(counts), tuple(ordered[:_MAX_FIRST])

    def extract_output(self, counted: Any) -> Any:
        """Returns the count and the first records."""
        return counted


def _split_class(
    keyed: tuple[str, NearestUnits], share: float
) -> tuple[str, Mapping[str, Any]]:
    """Returns the split of one class, its units as hexadecimal text."""
    split = plans.split_class(*keyed, share)
    return CLASSES, {
        "label": split.label,
        "num_units": split.num_units,
        "num_eval": split.num_eval,
        "into_eval": [unit.hex() for unit in split.into_eval],
        "into_train": [unit.hex() for unit in split.into_train],
    }


def _is_eval(plan: Plan, reading: Reading) -> bool:
    if isinstance(plan, TimePlan) and reading.time is not None:
        return plan.is_eval(reading.time[1])
    if isinstance(plan, UnitPlan) and reading.unit is not None:
        return plan.is_eval(reading.unit)
    record = reading.record
    raise RuntimeError(
        f"{record.file}, record {record.position}: expected what the first pass read, "
        f"but now it is {reading.problem}; nobody may write the file meanwhile"
    )


def _one(time: Any) -> int:
    del time
    return 1
