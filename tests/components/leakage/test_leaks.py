# SPDX-License-Identifier: Apache-2.0
import pytest

from components.leakage import leaks, tables
from components.leakage.times import time_key

SPLITS = ("train", "eval", "test")


def table_of(rows):
    """Makes a table of (key as an integer, split, digest as an integer)."""
    made = [
        (time_key(key), SPLITS.index(split), None, digest.to_bytes(8, "big"))
        for key, split, digest in rows
    ]
    return tables.make_table(*zip(*made, strict=True))


def test_all_records_of_other_splits_with_a_shared_key_leak():
    table = table_of(
        [
            (1, "train", 10),
            (1, "eval", 11),
            (1, "eval", 12),
            (1, "eval", 12),
            (1, "test", 13),
            (2, "eval", 14),
            (2, "test", 15),
            (3, "train", 16),
        ]
    )
    assert leaks.sharing([table], SPLITS, "train").tolist() == [11, 12, 13]
    assert leaks.sharing([table], SPLITS, "eval").tolist() == [10, 13, 15]


def test_records_older_than_the_newest_of_the_reference_leak():
    table = table_of(
        [
            (5, "train", 1),
            (7, "train", 2),
            (7, "eval", 3),
            (6, "eval", 4),
            (1, "test", 5),
        ]
    )
    assert leaks.older([table], SPLITS, "train").tolist() == [4, 5]
    assert leaks.older([table], SPLITS, "test").tolist() == []


@pytest.mark.parametrize("find", [leaks.sharing, leaks.older])
def test_nothing_leaks_from_nothing(find):
    assert find([], SPLITS, "train").tolist() == []
    assert find([table_of([(1, "eval", 2)])], SPLITS, "train").tolist() == []
