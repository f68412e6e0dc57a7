# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.leakage.near import pairs as joins
from components.leakage.near.layout import PAIR, REFERENCE, entry_dtype
from components.leakage.near.pairs import (
    MAX_BUCKET,
    MAX_CANDIDATES,
    drop_twins,
    hamming,
    join_entries,
    nearest,
)

QUERY = 1


def entries(rows, words=1):
    """Makes entries of (key, signature, fingerprint, digest, split)."""
    made = np.zeros(len(rows), entry_dtype(words))
    for i, (key, signature, fingerprint, digest, split) in enumerate(rows):
        made[i] = key, signature, (0, fingerprint), digest, split
    return made


def found(pairs):
    return [
        (int(pair["query"][1]), int(pair["reference"][1]), int(pair["distance"]))
        for pair in pairs
    ]


def brute_force(rows, max_distance):
    distances = {}
    for key, signature, fingerprint, _, split in rows:
        for other_key, other, reference, _, other_split in rows:
            if split == REFERENCE or other_split != REFERENCE or key != other_key:
                continue
            distance = bin(signature ^ other).count("1")
            if fingerprint != reference and distance <= max_distance:
                pair = fingerprint, reference
                distances[pair] = min(distance, distances.get(pair, 64))
    best = []
    for query in sorted({query for query, _ in distances}):
        of_query = sorted((d, r) for (q, r), d in distances.items() if q == query)
        best += [(query, r, d) for d, r in of_query[:MAX_CANDIDATES]]
    return best


# A content has one signature per key, as models promise for equal contents.
contents = st.tuples(st.integers(0, 3), st.integers(0, 9)).map(
    lambda drawn: (drawn[0], (drawn[1] * 37 + drawn[0] * 11) % 128, drawn[1])
)
rows_of_both_sides = st.lists(
    st.tuples(contents, st.integers(0, 5), st.sampled_from([REFERENCE, 1, 2])).map(
        lambda drawn: (*drawn[0], drawn[1], drawn[2])
    ),
    max_size=40,
)


@given(rows_of_both_sides, st.integers(0, 8))
def test_small_buckets_give_what_all_pairs_give(rows, max_distance):
    pairs = join_entries(entries(rows), max_distance)
    assert found(pairs) == brute_force(rows, max_distance)


@given(rows_of_both_sides, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_change_the_pairs(rows, random):
    again = rows + [random.choice(rows) for _ in range(len(rows))]
    random.shuffle(again)
    first, second = join_entries(entries(rows), 8), join_entries(entries(again), 8)
    assert first.tobytes() == second.tobytes()


@settings(max_examples=20)
@given(st.integers(1, 100), st.integers(0, 2**32))
def test_order_does_not_change_the_pairs_of_large_buckets(chunk, seed):
    rng = np.random.default_rng(seed)
    made = np.zeros(600, entry_dtype(2))
    made["key"] = rng.integers(0, 2, 600)
    made["signature"] = rng.integers(0, 2**64, (600, 2), np.uint64)
    made["fingerprint"][:, 1] = np.arange(600)
    made["split"] = rng.integers(0, 2, 600)
    original, joins._CHUNK = joins._CHUNK, chunk
    try:
        shuffled = join_entries(rng.permutation(made), 50)
    finally:
        joins._CHUNK = original
    assert shuffled.tobytes() == join_entries(made, 50).tobytes()


def test_a_content_of_many_records_is_the_first_of_them():
    rows = [(1, 0, 5, digest, REFERENCE) for digest in (9, 3, 7)]
    rows += [(1, 0, 6, digest, split) for digest, split in [(1, 2), (8, 1), (4, 1)]]
    (pair,) = join_entries(entries(rows), 0)
    assert pair["reference_digest"] == 3
    assert (pair["query_digest"], pair["split"]) == (4, 1)


def test_a_copy_is_not_its_own_near_duplicate():
    rows = [(1, 0, 5, 0, REFERENCE), (1, 0, 5, 1, QUERY)]
    assert len(join_entries(entries(rows), 64)) == 0


@pytest.mark.parametrize(("bits", "expected"), [(3, 1), (4, 0)])
def test_a_pair_is_kept_up_to_the_largest_distance(bits, expected):
    rows = [(1, 0, 5, 0, REFERENCE), (1, 2**bits - 1, 6, 1, QUERY)]
    assert len(join_entries(entries(rows), 3)) == expected


@pytest.mark.parametrize(
    "rows",
    [[], [(1, 0, 5, 0, REFERENCE)], [(1, 0, 5, 0, QUERY)]],
    ids=["nothing", "references_only", "queries_only"],
)
def test_without_both_sides_there_are_no_pairs(rows):
    assert join_entries(entries(rows), 64).shape == (0,)


def test_fifty_thousand_nearly_equal_contents_do_not_make_their_square():
    n = 50_000
    rng = np.random.default_rng(0)
    made = np.zeros(n, entry_dtype(1))
    # One bit of 64 differs from a common signature: all are within 2 of each other.
    made["signature"][:, 0] = np.uint64(1) << rng.integers(0, 64, n).astype(np.uint64)
    made["fingerprint"][:, 1] = np.arange(n)
    made["split"][n // 2 :] = QUERY
    pairs = join_entries(made, 2)
    assert len(pairs) == n // 2 * MAX_CANDIDATES
    # All 25,000 references are near; of equal signatures there are some 390.
    assert (pairs["distance"] == 0).all()


def test_the_nearest_of_a_large_bucket_is_found_in_one_of_several_bands():
    rng = np.random.default_rng(1)
    references, queries, bands = 20_000, 200, 6
    made = np.zeros((references + queries, bands), entry_dtype(1))
    signatures = rng.integers(0, 2**64, references, np.uint64)
    copied = np.arange(queries)
    flipped = np.uint64(1) << rng.integers(0, 64, queries).astype(np.uint64)
    near = signatures[copied] ^ flipped
    made["signature"][..., 0] = np.concatenate([signatures, near])[:, np.newaxis]
    made["key"] = np.arange(bands) + 1  # Everything collides in every band.
    made["fingerprint"][..., 1] = np.arange(references + queries)[:, np.newaxis]
    made["split"][references:] = QUERY
    pairs = join_entries(made.ravel(), 4)
    hits = {(q - references, r) for q, r, _ in found(pairs)}
    assert len(hits & {(i, i) for i in range(queries)}) >= 0.97 * queries


def test_a_query_meets_no_more_of_a_bucket_than_the_cap(monkeypatch):
    met = []

    def count(a, b):
        met.append(len(a))
        return hamming(a, b)

    monkeypatch.setattr(joins, "hamming", count)
    rows = [(1, i, i, i, REFERENCE) for i in range(3 * MAX_BUCKET)]
    rows += [(1, i, 1000 + i, i, QUERY) for i in range(10)]
    join_entries(entries(rows), 64)
    assert sum(met) == 10 * MAX_BUCKET


@given(rows_of_both_sides)
def test_keeping_the_nearest_of_parts_is_keeping_the_nearest_of_all(rows):
    parts = [join_entries(entries(rows[i::2]), 8) for i in range(2)]
    merged = nearest(np.concatenate(parts))
    again = nearest(np.concatenate([*map(nearest, parts[::-1]), merged]))
    assert merged.tobytes() == again.tobytes()


def test_of_equally_near_references_the_smallest_fingerprints_are_kept():
    pairs = np.zeros(6, PAIR)
    pairs["reference"][:, 1] = [6, 2, 5, 1, 4, 3]
    pairs["distance"][0] = 0
    pairs["distance"][1:] = 2
    assert [r for _, r, _ in found(nearest(pairs))] == [6, 1, 2, 3]


def test_queries_that_are_in_the_reference_split_are_dropped():
    pairs = np.zeros(3, PAIR)
    pairs["query"] = [(0, 1), (1, 1), (1, 2)]
    references = np.array([[1, 2], [7, 7], [1, 2], [0, 2]], np.uint64)
    kept = drop_twins(pairs, references)
    assert kept["query"].tolist() == [[0, 1], [1, 1]]
    assert len(drop_twins(pairs, np.empty((0, 2), np.uint64))) == 3
    assert len(drop_twins(pairs[:0], references)) == 0


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 4), min_size=1, max_size=10))
def test_hamming_distance_counts_differing_bits_of_all_words(numbers):
    a, b = np.split(np.array(numbers, np.uint64), 2, axis=1)
    expected = [bin(p ^ r).count("1") + bin(q ^ s).count("1") for p, q, r, s in numbers]
    assert hamming(a, b).tolist() == expected
