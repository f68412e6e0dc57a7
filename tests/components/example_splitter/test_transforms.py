# SPDX-License-Identifier: Apache-2.0
import json

import apache_beam as beam
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from components.content.records import Record
from components.example_splitter.config import SplitConfig
from components.example_splitter.plan import split_class
from components.example_splitter.transforms import (
    CLASSES,
    LABELS,
    TROUBLES,
    CountTroublesFn,
    GatherLabelsFn,
    NearestUnitsFn,
    SurveyExamples,
)


def combine(fn, elements, parts):
    """Combines elements in parts, as shards would."""
    accumulators = []
    for part in range(parts):
        accumulator = fn.create_accumulator()
        for element in elements[part::parts]:
            accumulator = fn.add_input(accumulator, element)
        accumulators.append(fn.compact(accumulator))
    return fn.extract_output(fn.merge_accumulators(accumulators))


PARTS = st.integers(1, 5)


@given(st.lists(st.text(max_size=2)), PARTS)
def test_labels_are_gathered_whatever_the_sharding(labels, parts):
    assert combine(GatherLabelsFn(), labels, parts) == tuple(sorted(set(labels)))


@given(st.lists(st.tuples(st.text(max_size=1), st.integers(0), st.text())), PARTS)
def test_first_troubles_are_named_whatever_the_sharding(troubles, parts):
    count, first = combine(CountTroublesFn(), troubles, parts)
    assert count == len(troubles)
    assert first == tuple(sorted(set(troubles))[:3])


@given(st.sets(st.binary(min_size=16, max_size=16), max_size=200), PARTS)
def test_nearest_units_are_found_whatever_the_sharding(units, parts):
    fn = NearestUnitsFn(0.3, "salt")
    one = split_class("a", combine(fn, sorted(units), 1), 0.3)
    assert split_class("a", combine(fn, sorted(units)[::-1], parts), 0.3) == one
    assert one.num_units == len(units)


def test_group_of_several_labels_counts_for_its_rarest(example):
    records = [
        Record(
            "a.gz",
            5 * group + row,
            example(label=b"rare" if group < 4 and not row else b"often", group=group),
        )
        for group in range(40)
        for row in range(5)
    ]
    records.append(Record("a.gz", 200, b"\xffnothing"))

    def check(lines):
        found = {}
        for kind, value in map(json.loads, lines):
            found.setdefault(kind, []).append(value)
        assert sorted(found[LABELS]) == [["often", 196], ["rare", 4]]
        splits = {each["label"]: each for each in found[CLASSES]}
        assert (splits["rare"]["num_units"], splits["rare"]["num_eval"]) == (4, 1)
        assert (splits["often"]["num_units"], splits["often"]["num_eval"]) == (36, 7)
        (trouble,) = found[TROUBLES]
        assert trouble == [
            "unreadable",
            [1, [["a.gz", 200, "no tf.train.Example"]]],
        ]

    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        surveyed = (
            pipeline
            | beam.Create(records)
            | SurveyExamples("label", SplitConfig(by="group", group="group"))
        )
        assert_that(surveyed, check)
