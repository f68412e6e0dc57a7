# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.content.records import Record
from components.leakage.config import LeakageConfig
from components.leakage.keys import content_key, group_key, time_key_of
from components.leakage.parse import (
    CountOdditiesFn,
    Oddity,
    ParseExamples,
    SplitExample,
)
from components.leakage.summary import Oddities, Place
from components.leakage.times import time_key


def parse(records, **config):
    """Parses records of split train; returns the examples and the oddities."""
    fn = ParseExamples({"a.gz": "train"}, "label", LeakageConfig(**config))
    fn.setup()
    fn.start_bundle()
    outputs = []
    for position, data in enumerate(records):
        outputs += fn.process(Record("a.gz", position, data))
    outputs += fn.finish_bundle()
    examples, oddities = [], []
    for output in outputs:
        output = getattr(output, "value", output)
        output = getattr(output, "value", output)
        (examples if isinstance(output, SplitExample) else oddities).append(output)
    return examples, [oddity for split, oddity in oddities if split == "train"]


def kinds(oddities):
    return [(oddity.kind, oddity.name) for oddity in oddities]


def test_whole_examples_have_no_oddities(example):
    examples, oddities = parse([example(x=n, label=n) for n in range(600)])
    assert [each.example.label for each in examples] == [str(n) for n in range(600)]
    assert {each.split for each in examples} == {"train"}
    assert oddities == []


def test_what_is_not_as_it_should_be_is_told(example):
    records = [
        example(x=1, label=0.5, id=1),
        example(x=1, label=b"\xff", id=1),
        example(label=1, id=1),
        example(x=1, id=7),
        example(x=1, label=1, id=1, day=[b"some day"]),
        example(x=1, label=1, id=1, day=[b"2026-01-01"]),
        b"\xff",
    ]
    examples, oddities = parse(records, ignore=("id",), time="day")
    assert len(examples) == 6
    assert kinds(oddities) == [
        ("float_labels", ""),
        ("missing", "day"),
        ("odd_labels", ""),
        ("missing", "day"),
        ("without_content", ""),
        ("missing", "day"),
        ("missing", "label"),
        ("missing", "day"),
        ("odd_times", ""),
        ("time_kinds", "text"),
        ("unreadable", ""),
    ]
    by_kind = {oddity.kind: oddity for oddity in oddities}
    assert by_kind["unreadable"].place.position == 6
    assert by_kind["odd_times"].place.row == "id=1"
    assert by_kind["odd_times"].place.reason == "[b'some day']"
    assert set(by_kind["missing"].features) == {"id", "x"}


ODDITIES = [
    Oddity("unreadable", place=Place(file="b", position=2, reason="x")),
    Oddity("unreadable", place=Place(file="a", position=10, reason="x")),
    *(
        Oddity("unreadable", place=Place(file="b", position=n, reason="x"))
        for n in range(3, 9)
    ),
    Oddity("missing", "label", features=("x", "y")),
    Oddity("missing", "label", features=("x", "z")),
    Oddity("missing", "id"),
    Oddity("time_kinds", "text"),
    Oddity("float_labels"),
]


@given(st.permutations(ODDITIES), st.lists(st.integers(0, 2), min_size=20))
def test_oddities_are_counted_whatever_the_shards(oddities, places):
    fn = CountOdditiesFn()
    shards = [fn.create_accumulator() for _ in range(3)]
    for oddity, place in zip(oddities, places, strict=False):
        shards[place] = fn.add_input(shards[place], oddity)
    first = fn.merge_accumulators(shards[:2])
    counted, names = fn.extract_output(fn.merge_accumulators([first, *shards[2:]]))
    assert counted.unreadable == 8
    named = [(place.file, place.position) for place in counted.unreadable_places]
    assert named == [("a", 10), ("b", 2), ("b", 3), ("b", 4), ("b", 5)]
    assert counted.missing == {"id": 1, "label": 2}
    assert counted.time_kinds == {"text": 1}
    assert counted.float_labels == 1
    assert names == ("x", "y", "z")


def test_nothing_odd_is_counted_as_nothing():
    fn = CountOdditiesFn()
    assert fn.extract_output(fn.create_accumulator()) == (Oddities(), ())


@pytest.mark.parametrize(
    ("some", "other", "is_equal"),
    [
        (7, 7.0, True),
        (7, b"7", False),
        (b"Ann", b"Ann", True),
        (b"Ann", b"ann", False),
        ([1, 2], [2, 1], False),
    ],
)
def test_groups_are_equal_by_value(example, some, other, is_equal):
    one, another = (
        group_key(parse([example(g=value, x=1)])[0][0], "g") for value in (some, other)
    )
    assert (one == another) == is_equal
    assert len(one) == 16


def test_example_without_a_key_has_none(example):
    ((element,), _) = parse([example(x=1, g=b"", t=b"")])
    assert group_key(element, "g") is None
    assert group_key(element, "absent") is None
    assert time_key_of(element, "t") is None
    assert time_key_of(element, "absent") is None
    assert time_key_of(element, "x") == time_key(1)
    assert content_key(element) == element.example.fingerprint
