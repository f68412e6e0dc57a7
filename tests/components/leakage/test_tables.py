# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage import tables
from components.leakage.summary import add_tallies

SPLITS = ("train", "eval", "test")
KEYS = [bytes([n]) * 15 + b"\0" for n in range(6)]
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.integers(0, 2),
        st.sampled_from([None, "cat", "dog", "é"]),
        st.integers(0, 3).map(lambda n: n.to_bytes(8, "big")),
    ),
    max_size=30,
)


def table_of(records):
    return tables.make_table(*zip(*records, strict=True)) if records else tables.EMPTY


def counted(records, max_groups=10, reference="train"):
    return tables.tally(table_of(records), SPLITS, reference, max_groups)


def record(key, split, label="a", digest=0):
    return KEYS[key], SPLITS.index(split), label, digest.to_bytes(8, "big")


@given(RECORDS, st.lists(st.integers(0, 4), min_size=30), st.randoms())
def test_tables_do_not_depend_on_how_records_are_dealt(records, places, random):
    shards = [[] for _ in range(5)]
    for each, place in zip(records, places, strict=False):
        shards[place].append(each)
    random.shuffle(shards)
    first = tables.merge([table_of(shard) for shard in shards[:3]])
    merged = tables.merge([first, *map(table_of, shards[3:])])
    whole = tables.merge([table_of(records)])
    assert tables.to_bytes(merged) == tables.to_bytes(whole)


@given(RECORDS)
def test_counts_are_those_of_plain_counting(records):
    tally = counted(records)
    contents = {}
    for key, split, label, _ in records:
        contents.setdefault(key, []).append((SPLITS[split], label))
    for split in SPLITS:
        counts = tally.splits[split]
        inside = {k: m for k, m in contents.items() if split in dict(m)}
        shared = {k for k, m in inside.items() if "train" in dict(m)}
        shared = shared if split != "train" else set()
        conflicts = {k for k, m in contents.items() if len({n for _, n in m if n}) > 1}
        members = [(k, s) for k, m in contents.items() for s, _ in m if s == split]
        assert counts.examples == len(members)
        assert counts.distinct == len(inside)
        assert counts.shared_distinct == len(shared)
        assert counts.shared_examples == sum(k in shared for k, _ in members)
        assert counts.conflicting_examples == sum(k in conflicts for k, _ in members)
    assert tally.conflicting_distinct == len(conflicts)


@given(RECORDS)
def test_partitions_add_up_to_the_whole(records):
    table = table_of(records)
    parts = tables.by_partition(table)
    nothing = tables.tally(tables.EMPTY, SPLITS, "train", 2)
    tallies = [tables.tally(part, SPLITS, "train", 2) for part in parts.values()]
    assert add_tallies([nothing, *tallies], 2) == counted(records, max_groups=2)


@given(RECORDS)
def test_tables_survive_their_bytes(records):
    table = table_of(records)
    again = tables.from_bytes(tables.to_bytes(table))
    assert (again.rows == table.rows).all()
    assert again.labels == table.labels


def test_bytes_of_a_part_name_only_its_own_labels():
    table = table_of([record(0, "train", "a"), record(5, "train", "b")])
    part = tables.Table(table.rows[1:], table.labels)
    again = tables.from_bytes(tables.to_bytes(part))
    assert again.labels == ("", "b")
    assert again.labels[again.rows["label"][0]] == "b"


def test_equal_records_are_one_row():
    table = table_of([record(0, "train")] * 1000)
    assert len(table.rows) == 1
    assert table.rows["count"][0] == 1000


def test_group_lists_examples_labels_and_records():
    records = [
        record(1, "train", "a", 4),
        record(1, "train", "a", 3),
        record(1, "train", "a", 2),
        record(1, "train", "b", 9),
        record(1, "eval", None, 1),
    ]
    tally = counted(records)
    (group,) = tally.shared["eval"]
    assert group.fingerprint == KEYS[1].hex()
    assert group.examples == {"eval": 1, "train": 4}
    assert group.num_labels == 2
    assert group.labels == {"eval": {"": 1}, "train": {"a": 3, "b": 1}}
    # One of each label before a second one of any.
    assert [int(d, 16) for d in group.records["train"]] == [2, 9, 3]
    assert group.records["eval"] == ("0000000000000001",)
    assert tally.conflicting == (group,)
    assert tally.outvoted_examples == 1


@pytest.mark.parametrize("most", [0, 1, 2, 9])
def test_largest_groups_come_first_and_equals_by_key(most):
    records = [record(key, split) for key in (2, 1, 3) for split in ("train", "eval")]
    records += [record(3, "eval", digest=7)]
    groups = counted(records, max_groups=most).shared.get("eval", ())
    wanted = [KEYS[3].hex(), KEYS[1].hex(), KEYS[2].hex()][:most]
    assert [group.fingerprint for group in groups] == wanted


def test_each_split_but_the_reference_has_its_own_list():
    records = [record(1, s) for s in SPLITS] + [record(2, "eval"), record(2, "test")]
    tally = counted(records, reference="eval")
    assert {s: len(groups) for s, groups in tally.shared.items()} == {
        "train": 1,
        "test": 2,
    }


def test_group_for_people_lists_the_most_frequent_labels_only():
    records = [
        record(1, "train", f"label {n:02}" + "x" * 500)
        for n in range(20)
        for _ in range(n + 1)
    ]
    (group,) = counted(records).conflicting
    assert group.num_labels == 20
    assert list(group.labels["train"].values()) == list(range(20, 10, -1))
    assert max(map(len, group.labels["train"])) == 120


def test_nothing_has_a_tally_too():
    tally = counted([])
    assert list(tally.splits) == list(SPLITS)
    assert tally.num_examples == 0
    assert tally.shared == {}


def test_partition_of_a_key_is_its_first_seven_bits():
    keys = [bytes([n]) + b"\xff" * 15 for n in (0, 1, 2, 255)]
    table = tables.make_table(keys, [0] * 4, [None] * 4, [b"\xff" * 8] * 4)
    assert {p: len(part.rows) for p, part in tables.by_partition(table).items()} == {
        0: 2,
        1: 1,
        127: 1,
    }
    by_digest = tables.by_partition(table, "digest")
    assert list(by_digest) == [tables.NUM_PARTITIONS - 1]


def test_sequences_of_different_length_are_refused():
    with pytest.raises(ValueError, match="1 keys, 2 splits"):
        tables.make_table([KEYS[0]], [0, 1], [None], [b"\0" * 8])


def test_shared_keys_are_told_from_others():
    records = [record(0, "train"), record(1, "eval"), record(2, "train")]
    table = table_of([*records, record(2, "test")])
    keys = tables.keys_of(table, 3)
    assert tables.is_shared(keys, 0).tolist() == [False, False, True]
    assert not tables.is_shared(tables.keys_of(tables.EMPTY, 3), 0).any()
    assert keys.of_rows.tolist() == [0, 1, 2, 2]
    assert np.array_equal(keys.examples[2], [1, 0, 1])
