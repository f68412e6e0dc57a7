# SPDX-License-Identifier: Apache-2.0
"""What the passes over the examples count."""

from collections.abc import Iterable

from components.content.times import Kind
from components.settings import Settings


class Group(Settings):
    """Examples that share a content, or a group: how many, never which."""

    fingerprint: str
    """Hexadecimal digits of what they share: 16 bytes."""
    examples: dict[str, int]
    """Examples by split."""
    num_labels: int
    """Different labels, over all splits."""
    labels: dict[str, dict[str, int]]
    """By split, examples by label: of up to 10 labels, the most frequent first."""
    records: dict[str, tuple[str, ...]] = {}
    """By split, hexadecimal digests of up to 3 records, of different labels where
    there are some."""
    similarity: float | None = None
    """Of near-duplicates: how alike the most similar pair is; 1 is equal."""

    @property
    def order(self) -> tuple[int, str]:
        """Sorts the largest group first; the fingerprint decides between equals."""
        return (-sum(self.examples.values()), self.fingerprint)


class KeyCounts(Settings):
    """What was counted in one split."""

    examples: int = 0
    """Examples that have the key: content always, a group where one is named."""
    distinct: int = 0
    """Different keys among them."""
    shared_examples: int = 0
    """Examples whose key also stands in the reference split; 0 for that split."""
    shared_distinct: int = 0
    """Different keys among the shared examples."""
    conflicting_examples: int = 0
    """Examples whose key carries several labels in the data at large."""


class Tally(Settings):
    """What the splits share of one kind of key: contents or groups."""

    splits: dict[str, KeyCounts] = {}
    """Counts by split; every split has an entry."""
    shared: dict[str, tuple[Group, ...]] = {}
    """By split, the largest groups that it shares with the reference split."""
    conflicting: tuple[Group, ...] = ()
    """The largest groups with several labels."""
    conflicting_distinct: int = 0
    """Keys with several labels."""
    outvoted_examples: int = 0
    """Examples whose label is not the most frequent one of their key."""

    @property
    def num_examples(self) -> int:
        """Examples over all splits."""
        return sum(counts.examples for counts in self.splits.values())


class TimeCounts(Settings):
    """When the examples of one split came to be."""

    examples: int = 0
    """Examples that have a time."""
    older_examples: int = 0
    """Examples strictly older than the newest of the reference split; 0 for it."""
    oldest: str | None = None
    """The oldest time, as text; None without any."""
    newest: str | None = None
    """The newest time, as text; None without any."""
    oldest_records: tuple[str, ...] = ()
    """Hexadecimal digests of the records of the oldest time, up to 3."""


class Place(Settings):
    """A record that something is wrong with."""

    file: str
    """Path of the file."""
    position: int
    """Position of the record in its file, from 0."""
    reason: str
    """What is wrong."""
    row: str = ""
    """What helps to find it in its source."""

    def __str__(self) -> str:
        """Returns `record 7 of a.gz (path=b'x.png'): zero bytes`."""
        row = f" ({self.row})" if self.row else ""
        return f"record {self.position} of {self.file}{row}: {self.reason}"


class Oddities(Settings):
    """What in one split is not as it should be."""

    unreadable: int = 0
    """Records that are no tf.train.Example, or whose image cannot be decoded."""
    unreadable_places: tuple[Place, ...] = ()
    """The first of them."""
    float_labels: int = 0
    """Examples whose label is a float."""
    odd_labels: int = 0
    """Examples whose label is no UTF-8."""
    odd_label_places: tuple[Place, ...] = ()
    """The first of them."""
    odd_times: int = 0
    """Examples whose time cannot be read."""
    odd_time_places: tuple[Place, ...] = ()
    """The first of them."""
    time_kinds: dict[Kind, int] = {}
    """Examples by kind of their time: `integer`, `float` or `text`."""
    pictures: int = 0
    """Examples with a picture."""
    without_content: int = 0
    """Examples without any feature that is content."""
    missing: dict[str, int] = {}
    """Examples without a value, by feature that the configuration names; left out
    where each example has one."""


class Summary(Settings):
    """Everything the passes over the examples have counted."""

    contents: Tally
    """Equal contents."""
    oddities: dict[str, Oddities] = {}
    """By split; every split has an entry."""
    feature_names: tuple[str, ...] = ()
    """Features of examples that lack a named feature."""
    groups: Tally | None = None
    """Shared groups; None where no group feature is named."""
    times: dict[str, TimeCounts] | None = None
    """By split; None where no time feature is named."""
    near: Tally | None = None
    """Near-duplicates: `shared_examples` have a near-duplicate, but no duplicate,
    in the reference split; None where none were looked for."""


def add_tallies(tallies: Iterable[Tally], max_groups: int) -> Tally:
    """Adds up the tallies of disjoint sets of keys.

    Args:
      tallies: At least one; all of the same splits.
      max_groups: Groups kept per list, the largest.
    """
    first, *others = tallies
    total = first
    for other in others:
        total = Tally(
            splits={
                split: KeyCounts(
                    **{
                        name: number + getattr(other.splits[split], name)
                        for name, number in counts.model_dump().items()
                    }
                )
                for split, counts in total.splits.items()
            },
            shared={
                split: _largest(
                    (*total.shared.get(split, ()), *other.shared.get(split, ())),
                    max_groups,
                )
                for split in sorted({*total.shared, *other.shared})
            },
            conflicting=_largest((*total.conflicting, *other.conflicting), max_groups),
            conflicting_distinct=total.conflicting_distinct
            + other.conflicting_distinct,
            outvoted_examples=total.outvoted_examples + other.outvoted_examples,
        )
    return total


def _largest(groups: Iterable[Group], max_groups: int) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: group.order)[:max_groups])
