# SPDX-License-Identifier: Apache-2.0
"""Counts examples of equal content, however they are cut into shards.

No accumulator holds the members of a group: a content that occurs 200,000 times
is one set of counts per split and label. Where only some of many are kept, they
are the first by their own order, so that neither shards nor bundles decide.
"""

import collections
import heapq
from collections.abc import Iterable, Mapping

import apache_beam as beam

from components.leakage.summary import Group, SplitCounts, Summary

_MAX_ROWS = 3  # Rows named per group and split.
_MAX_LABELS = 10  # Labels listed per group and split.
MAX_NAMES = 1000  # Feature names kept for an error message.
_MAX_TEXT = 120  # Characters of a label's text.

Member = tuple[str, str, str]
"""Split, label and row of one example."""
Content = tuple[dict[tuple[str, str], int], dict[str, tuple[str, ...]]]
"""Examples by (split, label), and a few rows by split."""
Tally = tuple[int, tuple[str, ...]]
"""How often an oddity occurred, and feature names beside it."""


class CountMembersFn(beam.CombineFn):
    """Counts the members of one content by split and label.

    Input: (split, label, row). Output: the counts by (split, label), and by split
    the three smallest of the different rows. An accumulator grows with the number
    of splits and labels, never with the number of members.
    """

    def create_accumulator(self) -> Content:
        """Returns empty counts."""
        return {}, {}

    def add_input(self, accumulator: Content, member: Member) -> Content:
        """Counts one example."""
        counts, rows = accumulator
        split, label, row = member
        counts[split, label] = counts.get((split, label), 0) + 1
        rows[split] = smallest(rows.get(split, ()), (row,), _MAX_ROWS)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Content]) -> Content:
        """Adds up counts, into a fresh accumulator."""
        counts, rows = self.create_accumulator()
        for other_counts, other_rows in accumulators:
            for key, count in other_counts.items():
                counts[key] = counts.get(key, 0) + count
            for split, some in other_rows.items():
                rows[split] = smallest(rows.get(split, ()), some, _MAX_ROWS)
        return counts, rows

    def extract_output(self, accumulator: Content) -> Content:
        """Returns the counts."""
        return accumulator


class CountOddityFn(beam.CombineFn):
    """Counts oddities of one kind. Input: feature names. Output: count and names."""

    def create_accumulator(self) -> Tally:
        """Returns nothing counted."""
        return 0, ()

    def add_input(self, accumulator: Tally, names: tuple[str, ...]) -> Tally:
        """Counts one oddity."""
        return accumulator[0] + 1, smallest(accumulator[1], names, MAX_NAMES)

    def merge_accumulators(self, accumulators: Iterable[Tally]) -> Tally:
        """Adds up counts, into a fresh accumulator."""
        count, names = self.create_accumulator()
        for other_count, other_names in accumulators:
            count += other_count
            names = smallest(names, other_names, MAX_NAMES)
        return count, names

    def extract_output(self, accumulator: Tally) -> Tally:
        """Returns count and names."""
        return accumulator


class _Totals:
    """Accumulator of `SummarizeGroupsFn`."""

    def __init__(self) -> None:
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.shared: dict[str, list[Group]] = {}
        self.conflicting: list[Group] = []


class SummarizeGroupsFn(beam.CombineFn):
    """Adds up the groups of equal content. Output: a `Summary` without oddities.

    Input: (fingerprint, (counts by (split, label), rows by split)).
    """

    def __init__(
        self, splits: tuple[str, ...], reference_split: str, max_groups: int
    ) -> None:
        super().__init__()
        self._splits = splits
        self._reference_split = reference_split
        self._max_groups = max_groups

    def create_accumulator(self) -> _Totals:
        """Returns empty totals."""
        return _Totals()

    def add_input(self, totals: _Totals, content: tuple[bytes, Content]) -> _Totals:
        """Adds one group."""
        key, (counts, rows) = content
        by_split: collections.Counter[str] = collections.Counter()
        by_label: collections.Counter[str] = collections.Counter()
        for (split, label), count in counts.items():
            by_split[split] += count
            if label:
                by_label[label] += count
        shared = [split for split in by_split if split != self._reference_split]
        if self._reference_split not in by_split:
            shared = []
        conflicts = len(by_label) > 1

        for split, count in by_split.items():
            totals.counts["examples", split] += count
            totals.counts["contents", split] += 1
            if conflicts:
                totals.counts["conflicting_examples", split] += count
        for split in shared:
            totals.counts["shared_examples", split] += by_split[split]
            totals.counts["shared_contents", split] += 1
        if conflicts:
            totals.counts["conflicting_contents", ""] += 1
            totals.counts["outvoted_examples", ""] += sum(by_label.values()) - max(
                by_label.values()
            )
        if shared or conflicts:
            group = make_group(key, counts, rows)
            for split in shared:
                totals.shared[split] = self._largest(
                    [*totals.shared.get(split, ()), group]
                )
            if conflicts:
                totals.conflicting = self._largest([*totals.conflicting, group])
        return totals

    def merge_accumulators(self, accumulators: Iterable[_Totals]) -> _Totals:
        """Adds up totals, into a fresh accumulator."""
        merged = self.create_accumulator()
        for totals in accumulators:
            merged.counts.update(totals.counts)
            for split, groups in totals.shared.items():
                merged.shared[split] = self._largest(
                    [*merged.shared.get(split, ()), *groups]
                )
            merged.conflicting = self._largest(
                [*merged.conflicting, *totals.conflicting]
            )
        return merged

    def extract_output(self, totals: _Totals) -> Summary:
        """Returns the totals as a summary."""
        fields = (
            "examples",
            "contents",
            "shared_examples",
            "shared_contents",
            "conflicting_examples",
        )
        return Summary(
            splits={
                split: SplitCounts(
                    **{name: totals.counts[name, split] for name in fields}
                )
                for split in self._splits
            },
            shared={
                split: tuple(totals.shared[split]) for split in sorted(totals.shared)
            },
            conflicting=tuple(totals.conflicting),
            conflicting_contents=totals.counts["conflicting_contents", ""],
            outvoted_examples=totals.counts["outvoted_examples", ""],
        )

    def _largest(self, groups: list[Group]) -> list[Group]:
        return heapq.nsmallest(self._max_groups, groups, key=lambda group: group.order)


def make_group(
    key: bytes,
    counts: Mapping[tuple[str, str], int],
    rows: Mapping[str, tuple[str, ...]],
) -> Group:
    """Makes the group that is shown to people: sorted and bounded in size."""
    examples: dict[str, int] = {}
    labels: dict[str, dict[str, int]] = {}
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0]))
    for (split, label), count in ordered:
        examples[split] = examples.get(split, 0) + count
        listed = labels.setdefault(split, {})
        if len(listed) < _MAX_LABELS:
            text = label[:_MAX_TEXT]
            listed[text] = listed.get(text, 0) + count
    return Group(
        fingerprint=key.hex(),
        examples=examples,
        num_labels=len({label for _, label in counts if label}),
        labels=labels,
        rows={split: rows[split] for split in sorted(rows)},
    )


def smallest(
    some: tuple[str, ...], others: tuple[str, ...], size: int
) -> tuple[str, ...]:
    """Returns up to `size` of the smallest of the different texts of both."""
    if not others or (len(others) == 1 and others[0] in some):
        return some
    return tuple(sorted({*some, *others})[:size])
