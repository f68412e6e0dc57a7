# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage import tables
from components.leakage.times import count_times, newest_time, time_key

INTEGER = "integer"
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(INT64, INT64)
def test_order_of_keys_is_that_of_times(some, other):
    assert (time_key(some) < time_key(other)) == (some < other)
    assert len(time_key(some)) == tables.KEY_SIZE


def table_of(**times):
    """Makes a table of times by split, each record with its time as its digest."""
    rows = [
        (time_key(time), index, None, time.to_bytes(8, "big"))
        for index, some in enumerate(times.values())
        for time in some
    ]
    return tables.make_table(*zip(*rows, strict=True)) if rows else tables.EMPTY


def test_older_examples_are_counted():
    table = table_of(train=[3, 5, 5, 1], eval=[5, 4, 4, 9, 0], test=[6, 7])
    counts = count_times([table], ("train", "eval", "test"), "train", INTEGER)
    assert {split: each.older_examples for split, each in counts.items()} == {
        "train": 0,
        "eval": 3,
        "test": 0,
    }
    assert (counts["eval"].oldest, counts["eval"].newest) == ("0", "9")
    assert counts["eval"].examples == 5
    assert [int(digest, 16) for digest in counts["eval"].oldest_records] == [0, 4, 5]


def test_counts_do_not_depend_on_the_partitions():
    times = {"train": [3, 5, 5, 1], "eval": [5, 4, 4, 9, 0]}
    table = table_of(**times)
    parts = [tables.Table(table.rows[i::3], table.labels) for i in range(3)]
    whole = count_times([table], tuple(times), "train", INTEGER)
    assert count_times(parts, tuple(times), "train", INTEGER) == whole


@pytest.mark.parametrize(
    "times", [{"train": [], "eval": [4]}, {"train": [], "eval": []}]
)
def test_without_a_reference_nothing_is_older(times):
    counts = count_times([table_of(**times)], tuple(times), "train", INTEGER)
    assert counts["eval"].older_examples == 0
    assert counts["train"].newest is None
    assert newest_time([table_of(**times)], 0) is None
