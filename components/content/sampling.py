# SPDX-License-Identifier: Apache-2.0
"""A uniform sample that neither shards nor bundles decide."""

import heapq
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

Keyed = tuple[bytes, Any]
"""A hash of the element, and the element."""


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
        return {key: sample[key] for key in heapq.nsmallest(self._k, sample)}
