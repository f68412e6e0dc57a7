# SPDX-License-Identifier: Apache-2.0
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from components.leakage import tables
from components.leakage.near.model import NearMatch
from components.leakage.near_matches import count_matches

SPLITS = ("train", "eval", "test")


def key(number):
    # Bytes of zero at the end, in the middle and at the beginning.
    return bytes([number]) + bytes(14) + bytes([number % 2])


def digest(number):
    return number.to_bytes(8, "big")


def contents_of(rows):
    """Makes a table of contents of (content, split, record)."""
    made = [(key(c), SPLITS.index(s), "a", digest(r)) for c, s, r in rows]
    return tables.make_table(*zip(*made, strict=True)) if made else tables.EMPTY


def match(query, reference, similarity=0.9, split="eval", record=0, centre=1):
    return NearMatch(
        key(query), split, digest(record), key(reference), digest(centre), similarity
    )


def count(matches, rows, max_groups=10):
    return count_matches(matches, [contents_of(rows)], SPLITS, "train", max_groups)


ROWS = [
    (1, "train", 1),
    (1, "train", 2),
    (2, "eval", 3),
    (2, "eval", 3),
    (2, "test", 4),
    (3, "eval", 5),
    (4, "train", 6),
    (5, "eval", 7),
    (6, "eval", 8),
    # An exact duplicate of the star's centre is no near-duplicate.
    (1, "eval", 9),
]


def test_every_example_of_a_near_content_counts():
    found = count(
        [match(2, 1, 0.8, record=3), match(3, 1, 0.9, record=5), match(5, 4, 1.0)], ROWS
    )
    tally = found.tally
    assert tally.splits["eval"].shared_examples == 2 + 1 + 1
    assert tally.splits["eval"].shared_distinct == 2
    assert tally.splits["test"].shared_examples == 1
    assert found.digests.tolist() == [3, 4, 5, 7]
    largest, other = tally.shared["eval"]
    assert largest.fingerprint == key(1).hex()
    assert largest.examples == {"eval": 3, "test": 1, "train": 2}
    assert largest.similarity == 0.9
    # The most similar first, whatever their digests.
    assert largest.records["eval"] == (digest(5).hex(), digest(3).hex())
    assert largest.records["train"] == (digest(1).hex(),)
    assert other.examples == {"eval": 1, "train": 1}


@pytest.mark.parametrize("most", [0, 1, 2])
def test_stars_are_bounded(most):
    found = count([match(2, 1), match(5, 4)], ROWS, max_groups=most)
    assert len(found.tally.shared["eval"]) == most
    assert found.tally.splits["eval"].shared_distinct == 2


def test_no_match_is_no_near_duplicate():
    found = count([], ROWS)
    assert found.tally.splits["eval"].shared_examples == 0
    assert list(found.tally.splits) == list(SPLITS)
    assert found.digests.tolist() == []


@given(st.permutations(range(len(ROWS))), st.lists(st.integers(0, 3), min_size=10))
def test_result_depends_on_no_order(order, places):
    matches = [match(2, 1, 0.8), match(3, 1, 0.9), match(5, 4, 1.0)]
    parts = tables.by_partition(contents_of([ROWS[i] for i in order]))
    found = count_matches(
        list(reversed(matches)), list(parts.values())[::-1], SPLITS, "train", 10
    )
    wanted = count(matches, ROWS)
    assert found.tally == wanted.tally
    assert np.array_equal(found.digests, wanted.digests)
