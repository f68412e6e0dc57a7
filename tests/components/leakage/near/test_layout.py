# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage.near.layout import (
    band_keys,
    entry_dtype,
    mix,
    pack_digests,
    pack_fingerprints,
    partition_of,
    starts,
    unpack_digest,
    unpack_fingerprint,
)


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1))
def test_fingerprints_as_numbers_keep_their_order_and_come_back(fingerprints):
    packed = pack_fingerprints(fingerprints)
    assert [unpack_fingerprint(each) for each in packed] == fingerprints
    by_number = np.lexsort((packed[:, 1], packed[:, 0]))
    assert [fingerprints[i] for i in by_number] == sorted(fingerprints)


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1))
def test_digests_as_numbers_keep_their_order_and_come_back(digests):
    packed = pack_digests(digests)
    assert [unpack_digest(each) for each in packed] == digests
    assert [digests[i] for i in np.argsort(packed, kind="stable")] == sorted(digests)


def test_nothing_packs_into_no_rows():
    assert pack_fingerprints([]).shape == (0, 2)
    assert pack_digests([]).shape == (0,)


def test_a_row_has_no_padding():
    assert entry_dtype(1).itemsize == 41
    assert entry_dtype(4).itemsize == 65


def test_mixing_keeps_numbers_apart_and_flips_half_the_bits():
    numbers = np.arange(10_000, dtype=np.uint64)
    mixed = mix(numbers)
    assert len(np.unique(mixed)) == len(numbers)
    flipped = [bin(int(bits)).count("1") for bits in mixed[1:] ^ mixed[:-1]]
    assert np.mean(flipped) == pytest.approx(32, abs=0.5)


def test_equal_keys_of_different_bands_differ():
    keys = band_keys(np.arange(8, dtype=np.uint8), np.zeros(8, np.uint64))
    assert len(np.unique(keys)) == 8


def test_partitions_are_all_used_and_none_is_beyond_the_last():
    numbers = mix(np.arange(10_000, dtype=np.uint64))
    numbers[:2] = 0, 2**64 - 1
    places = partition_of(numbers, 7)
    assert np.bincount(places).min() > 1_000
    assert (places[:2] == [0, 6]).all()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (([1, 1, 2],), [True, False, True]),
        (([1, 1, 1], [[0, 0], [0, 1], [0, 1]]), [True, True, False]),
        (([],), []),
        (([5],), [True]),
    ],
    ids=["one_column", "two_columns", "empty", "one_row"],
)
def test_runs_of_equal_rows_start_where_any_column_changes(columns, expected):
    assert starts(*map(np.array, columns)).tolist() == expected
