# SPDX-License-Identifier: Apache-2.0
import collections
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.content.sampling import BottomKFn, CountingBottomKFn, keep_smallest

ELEMENTS = st.lists(st.integers(0, 50), max_size=200)
PARTS = st.integers(1, 6)


def key_of(element):
    return hashlib.blake2b(b"%d" % element, digest_size=8).digest()


def combine(fn, elements, parts):
    """Combines elements in parts, as shards would."""
    samples = []
    for part in range(parts):
        sample = fn.create_accumulator()
        for element in elements[part::parts]:
            sample = fn.add_input(sample, (key_of(element), element))
        samples.append(fn.compact(sample))
    return fn.extract_output(fn.merge_accumulators(samples))


class TestBottomK:
    @given(ELEMENTS, PARTS, st.integers(1, 30))
    def test_smallest_hashes_are_kept_whatever_the_sharding(self, elements, parts, k):
        expected = sorted((key_of(element), element) for element in set(elements))[:k]
        assert combine(BottomKFn(k), elements, parts) == expected

    @given(st.permutations(range(8)))
    def test_of_equal_hashes_the_smallest_element_is_kept(self, elements):
        fn = BottomKFn(3)
        sample = fn.create_accumulator()
        for element in elements:
            sample = fn.add_input(sample, (b"same", element))
        assert fn.extract_output(sample) == [(b"same", 0)]

    def test_memory_is_bounded(self):
        fn = BottomKFn(5)
        sample = fn.create_accumulator()
        for element in range(1000):
            sample = fn.add_input(sample, (key_of(element), element))
            assert len(sample) < 10

    def test_sample_is_uniform(self):
        fn = BottomKFn(2000)
        kept = [element for _, element in combine(fn, range(10_000), 1)]
        # Four standard deviations of a hypergeometric count: 20.
        assert sum(element < 5000 for element in kept) == pytest.approx(1000, abs=80)


class TestCountingBottomK:
    @given(ELEMENTS, PARTS, st.integers(1, 30), st.integers(0, 600))
    def test_counts_are_exact_whatever_the_sharding(self, elements, parts, k, most):
        counts = collections.Counter(elements)
        expected, weight = [], 0
        for key, element in sorted((key_of(element), element) for element in counts)[
            :k
        ]:
            if expected and weight + element > most:
                break
            weight += element
            expected.append((key, element, counts[element]))
        fn = CountingBottomKFn(k, most, int)
        assert combine(fn, elements, parts) == expected

    @given(st.permutations(range(8)))
    def test_of_equal_hashes_the_smallest_element_is_kept(self, elements):
        fn = CountingBottomKFn(3, 100, lambda element: 1)
        sample = fn.create_accumulator()
        for element in elements:
            sample = fn.add_input(sample, (b"same", element))
        assert fn.extract_output(sample) == [(b"same", 0, 8)]

    def test_first_element_is_kept_however_heavy(self):
        fn = CountingBottomKFn(3, 1, lambda element: 10)
        assert len(combine(fn, range(50), 2)) == 1

    def test_memory_is_bounded_by_weight(self):
        fn = CountingBottomKFn(1000, 100, lambda element: 10)
        sample = fn.create_accumulator()
        for element in range(1000):
            sample = fn.add_input(sample, (key_of(element), element))
            assert len(sample.elements) <= 20


@pytest.mark.parametrize("make", [BottomKFn, lambda k: CountingBottomKFn(k, 1, int)])
def test_sample_of_nothing_is_refused(make):
    with pytest.raises(ValueError, match="at least 1"):
        make(0)


@pytest.mark.parametrize("fn", [BottomKFn(3), CountingBottomKFn(3, 9, int)])
def test_empty_collection_is_an_empty_sample(fn):
    assert combine(fn, [], 2) == []


def test_smallest_keys_are_sorted():
    assert keep_smallest([b"c", b"a", b"b"], 2) == [b"a", b"b"]
