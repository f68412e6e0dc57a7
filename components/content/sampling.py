# SPDX-License-Identifier: Apache-2.0
"""A uniform sample that neither shards nor bundles decide."""

import heapq
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam

Keyed = tuple[bytes, Any]
"""A hash of the element, and the element."""
Counted = tuple[bytes, Any, int]
"""A hash, the element, and how many elements had this hash."""


def keep_smallest(keys: Iterable[bytes], k: int) -> list[bytes]:
    """Returns the k smallest of some keys, sorted."""
    return heapq.nsmallest(k, keys)


class BottomKFn(beam.CombineFn):
    """Keeps the k elements of the smallest hashes: a bottom-k sample.

    The hash decides which elements are kept, so the sample is the same for any
    sharding and any runner (Cohen and Kaplan, "Summarizing data using bottom-k
    sketches", PODC 2007); with a good hash it is uniform without replacement. Of
    elements with equal hashes one is kept, the smallest.

    Input: (hash, element). Output: a list of them, sorted by hash; at most k.
    """

    def __init__(self, k: int):
        """Says how many to keep.

        Args:
          k: Size of the sample; at least 1.

        Raises:
          ValueError: If `k` is less than 1.
        """
        super().__init__()
        if k < 1:
            raise ValueError(f"a sample holds at least 1 element, not {k}")
        self._k = k

    def create_accumulator(self) -> dict[bytes, Any]:
        """Returns an empty sample."""
        return {}

    def add_input(self, sample: dict[bytes, Any], keyed: Keyed) -> dict[bytes, Any]:
        """Adds one element; cuts back to k when there are twice as many."""
        key, element = keyed
        if key not in sample or element < sample[key]:
            sample[key] = element
        return self._cut(sample) if len(sample) >= 2 * self._k else sample

    def merge_accumulators(
        self, samples: Iterable[dict[bytes, Any]]
    ) -> dict[bytes, Any]:
        """Merges samples into a fresh one."""
        merged: dict[bytes, Any] = {}
        for sample in samples:
            for keyed in sample.items():
                merged = self.add_input(merged, keyed)
        return merged

    def compact(self, sample: dict[bytes, Any]) -> dict[bytes, Any]:
        """Cuts back to k before the sample travels."""
        return self._cut(sample)

    def extract_output(self, sample: dict[bytes, Any]) -> list[Keyed]:
        """Returns the sample, sorted by hash."""
        return sorted(self._cut(sample).items())

    def _cut(self, sample: dict[bytes, Any]) -> dict[bytes, Any]:
        if len(sample) <= self._k:
            return sample
        return {key: sample[key] for key in keep_smallest(sample, self._k)}


class CountingBottomKFn(beam.CombineFn):
    """Keeps the distinct elements of the smallest hashes, and counts each of them.

    As `BottomKFn`, but bounded in memory as well as in number: kept are the first
    elements, in the order of their hashes, whose weights add up to `max_weight`. What
    is in the sample of the whole is in the sample of each part, so the counts are
    exact whatever the sharding.

    Input: (hash, element); of those of one hash, the smallest is kept. Output: a list
    of (hash, element, count), sorted by hash.
    """

    def __init__(self, k: int, max_weight: int, weigh: Callable[[Any], int]):
        """Says how many to keep.

        Args:
          k: Elements to keep at most; at least 1.
          max_weight: Largest sum of their weights; the first element is kept even
            if it alone weighs more.
          weigh: Weight of an element, at least 0; the same for all of one hash.

        Raises:
          ValueError: If `k` is less than 1.
        """
        super().__init__()
        if k < 1:
            raise ValueError(f"a sample holds at least 1 element, not {k}")
        self._k = k
        self._max_weight = max_weight
        self._weigh = weigh

    def create_accumulator(self) -> "_Counts":
        """Returns an empty sample."""
        return _Counts()

    def add_input(self, counts: "_Counts", keyed: Keyed) -> "_Counts":
        """Adds one element; cuts back when there are twice as many as may be."""
        key, element = keyed
        return self._add(counts, key, element, 1)

    def merge_accumulators(self, many: Iterable["_Counts"]) -> "_Counts":
        """Merges samples into a fresh one."""
        merged = _Counts()
        for counts in many:
            merged.lower(counts.border)
            for key, (element, count) in counts.elements.items():
                merged = self._add(merged, key, element, count)
        return merged

    def compact(self, counts: "_Counts") -> "_Counts":
        """Cuts back before the sample travels."""
        return self._cut(counts)

    def extract_output(self, counts: "_Counts") -> list[Counted]:
        """Returns the sample, sorted by hash."""
        elements = self._cut(counts).elements
        return [(key, *elements[key]) for key in sorted(elements)]

    def _add(
        self, counts: "_Counts", key: bytes, element: Any, times: int
    ) -> "_Counts":
        if counts.border is not None and key >= counts.border:
            return counts
        if key in counts.elements:
            other, count = counts.elements[key]
            counts.elements[key] = min(element, other), count + times
            return counts
        counts.elements[key] = element, times
        counts.weight += self._weigh(element)
        is_full = len(counts.elements) >= 2 * self._k
        return (
            self._cut(counts)
            if is_full or counts.weight > 2 * self._max_weight
            else counts
        )

    def _cut(self, counts: "_Counts") -> "_Counts":
        if len(counts.elements) <= self._k and counts.weight <= self._max_weight:
            return counts
        kept = _Counts()
        ordered = keep_smallest(counts.elements, self._k + 1)
        for number, key in enumerate(ordered):
            weight = self._weigh(counts.elements[key][0])
            if number == self._k or (
                number and kept.weight + weight > self._max_weight
            ):
                kept.border = key
                return kept
            kept.elements[key] = counts.elements[key]
            kept.weight += weight
        kept.border = counts.border
        return kept


class _Counts:
    """Elements and counts by hash, and the weight of all elements.

    From `border` on, the smallest hash that has been cut off, no hash is kept: else a
    light element could come in where a heavier one before it had to go.
    """

    def __init__(self) -> None:
        self.elements: dict[bytes, tuple[Any, int]] = {}
        self.weight = 0
        self.border: bytes | None = None

    def lower(self, border: bytes | None) -> None:
        """Keeps only what is below both borders; the weight becomes an upper bound."""
        if border is None or (self.border is not None and self.border <= border):
            return
        self.border = border
        self.elements = {
            key: counted for key, counted in self.elements.items() if key < border
        }
