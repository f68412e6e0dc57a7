# SPDX-License-Identifier: Apache-2.0
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage.combiners import (
    CountMembersFn,
    CountOddityFn,
    SummarizeGroupsFn,
    make_group,
    smallest,
)

MEMBERS = [
    ("train", "cat", "id=1"),
    ("train", "cat", "id=9"),
    ("train", "dog", "id=3"),
    ("train", "cat", "id=1"),
    ("train", "", "id=5"),
    ("eval", "cat", "id=2"),
]
CONTENTS = [
    (b"\x01", ({("train", "a"): 2, ("eval", "a"): 1}, {"eval": ("id=1",)})),
    (b"\x02", ({("train", "a"): 3, ("train", "b"): 1}, {})),
    (b"\x03", ({("eval", "a"): 5}, {})),
    (b"\x04", ({("eval", "a"): 1, ("eval", ""): 4}, {})),
    (b"\x05", ({("train", "a"): 1, ("eval", "b"): 9, ("test", "c"): 9}, {})),
    (b"\x06", ({("train", "b"): 1, ("test", "b"): 2}, {})),
]


def combine(fn, shards):
    """Combines as a runner may: shard by shard, merging twice, inputs untouched."""
    accumulators = []
    for shard in shards:
        accumulator = fn.create_accumulator()
        for element in shard:
            accumulator = fn.add_input(accumulator, element)
        accumulators.append(accumulator)
    first = fn.merge_accumulators(accumulators[: len(shards) // 2])
    return fn.extract_output(
        fn.merge_accumulators([first, *accumulators[len(shards) // 2 :]])
    )


@st.composite
def cuts(draw, elements):
    """Deals the elements out to up to six shards in any order."""
    elements = draw(st.permutations(elements))
    places = draw(st.lists(st.integers(0, 5), min_size=len(elements)))
    return [
        [each for each, place in zip(elements, places, strict=False) if place == shard]
        for shard in range(6)
    ]


@given(cuts(MEMBERS))
def test_members_are_counted_whatever_the_shards(shards):
    counts, rows = combine(CountMembersFn(), shards)
    assert counts == {
        ("train", "cat"): 3,
        ("train", "dog"): 1,
        ("train", ""): 1,
        ("eval", "cat"): 1,
    }
    assert rows == {"train": ("id=1", "id=3", "id=5"), "eval": ("id=2",)}


@given(cuts([("b", "a"), ("c",), (), ("a",)]))
def test_oddities_are_counted_whatever_the_shards(shards):
    assert combine(CountOddityFn(), shards) == (4, ("a", "b", "c"))


@given(cuts(CONTENTS))
def test_groups_are_summarized_whatever_the_shards(shards):
    fn = SummarizeGroupsFn(("train", "eval", "test"), "train", max_groups=1)
    summary = combine(fn, shards)
    train, evaluated, test = (summary.splits[s] for s in ("train", "eval", "test"))
    assert (train.examples, evaluated.examples, test.examples) == (8, 20, 11)
    assert (train.contents, evaluated.contents, test.contents) == (4, 4, 2)
    assert (train.shared_examples, train.shared_contents) == (0, 0)
    assert (evaluated.shared_examples, evaluated.shared_contents) == (10, 2)
    assert (test.shared_examples, test.shared_contents) == (11, 2)
    assert train.conflicting_examples == 5
    assert evaluated.conflicting_examples == 9
    assert summary.conflicting_contents == 2
    assert summary.outvoted_examples == 1 + 10
    assert [group.fingerprint for group in summary.shared["eval"]] == ["05"]
    assert [group.fingerprint for group in summary.shared["test"]] == ["05"]
    assert [group.fingerprint for group in summary.conflicting] == ["05"]


def test_equally_large_groups_are_listed_by_fingerprint():
    contents = [(bytes([n]), ({("a", ""): 1, ("b", ""): 1}, {})) for n in (3, 1, 2)]
    summary = combine(SummarizeGroupsFn(("a", "b"), "a", 2), [contents[:1], contents])
    assert [group.fingerprint for group in summary.shared["b"]] == ["01", "02"]


def test_nothing_has_a_summary_too():
    fn = SummarizeGroupsFn(("train", "eval"), "train", 10)
    summary = combine(fn, [])
    assert list(summary.splits) == ["train", "eval"]
    assert summary.num_examples == 0
    assert combine(CountMembersFn(), []) == ({}, {})
    assert combine(CountOddityFn(), [[], []]) == (0, ())


def test_merging_leaves_the_accumulators_as_they_were():
    fn = CountMembersFn()
    one = fn.add_input(fn.create_accumulator(), MEMBERS[0])
    before = copy.deepcopy(one)
    fn.merge_accumulators([one, one])
    assert one == before


def test_accumulator_does_not_grow_with_the_number_of_copies():
    fn = CountMembersFn()
    accumulator = fn.create_accumulator()
    for number in range(20_000):
        accumulator = fn.add_input(accumulator, ("train", "cat", f"id={number:05}"))
    counts, rows = accumulator
    assert counts == {("train", "cat"): 20_000}
    assert rows == {"train": ("id=00000", "id=00001", "id=00002")}


def test_group_for_people_lists_the_most_frequent_labels_only():
    counts = {("train", f"label {n:03}" + "x" * 500): 1 + n for n in range(100)}
    group = make_group(b"\xff", counts, {})
    assert group.fingerprint == "ff"
    assert group.examples == {"train": 5050}
    assert group.num_labels == 100
    assert list(group.labels["train"].values()) == list(range(100, 90, -1))
    assert max(map(len, group.labels["train"])) == 120


@given(st.lists(st.text(max_size=2)), st.lists(st.text(max_size=2)))
def test_smallest_of_two_is_the_smallest_of_all(some, others):
    merged = smallest(smallest((), tuple(some), 3), tuple(others), 3)
    assert merged == tuple(sorted({*some, *others})[:3])


@pytest.mark.parametrize("fn", [CountMembersFn(), SummarizeGroupsFn(("a",), "a", 1)])
def test_accumulators_are_fresh_each_time(fn):
    assert fn.create_accumulator() is not fn.create_accumulator()
