# SPDX-License-Identifier: Apache-2.0
"""Tables of small rows: which record of which split has which key.

A key is whatever examples may share: the fingerprint of their content, or their
group. A row counts the records that are equal in all of it, so that copies of one
record are one row. The rows of one key lie in one partition, which the key decides;
a partition is what is held in memory at a time, about 40 bytes per record. The
results are the same however records are dealt to tables.
"""

import io
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from components.leakage.summary import Group, KeyCounts, Tally

KEY_SIZE = 16
"""Bytes of a key."""
NUM_PARTITIONS = 128
"""At 10^8 records, a partition is 31 MB."""
ROW = np.dtype(
    [
        ("high", "<u8"),  # The first 8 bytes of the key, as a big-endian number.
        ("low", "<u8"),  # The other 8.
        ("split", "<u4"),
        ("label", "<u4"),  # Index into the labels; 0 is no label.
        ("digest", "<u8"),  # The record's digest, as a big-endian number.
        ("count", "<i8"),
    ]
)
"""One row of a table; all fields but `count` are its identity."""
_IDENTITY = ("high", "low", "split", "label", "digest")
_MAX_LABELS = 10  # Labels listed per group and split.
_MAX_RECORDS = 3  # Records named per group and split.
_MAX_TEXT = 120  # Characters of a label's text.


class Table(NamedTuple):
    """Rows in the order of their identity, and the labels that they point to."""

    rows: np.ndarray
    """`ROW`, shape (n,); no two rows have one identity."""
    labels: tuple[str, ...]
    """Texts in ascending order; the first is "", no label."""


EMPTY = Table(np.empty(0, ROW), ("",))


def make_table(
    keys: Sequence[bytes],
    splits: Sequence[int],
    labels: Sequence[str | None],
    digests: Sequence[bytes],
) -> Table:
    """Makes a table of records.

    Args:
      keys: 16 bytes per record.
      splits: Index of the split of each record.
      labels: Text of each record's label; None or "", it has none.
      digests: 8 bytes per record.

    Raises:
      ValueError: If the sequences are not of one length.
    """
    if not len(keys) == len(splits) == len(labels) == len(digests):
        raise ValueError(
            f"{len(keys)} keys, {len(splits)} splits, {len(labels)} labels and "
            f"{len(digests)} digests: there must be one of each per record"
        )
    texts = tuple(sorted({"", *(label for label in labels if label)}))
    codes = {text: code for code, text in enumerate(texts)}
    rows = np.empty(len(keys), ROW)
    halves = np.frombuffer(b"".join(keys), ">u8").reshape(-1, 2)
    rows["high"], rows["low"] = halves[:, 0], halves[:, 1]
    rows["split"] = splits
    rows["label"] = [codes[label or ""] for label in labels]
    rows["digest"] = np.frombuffer(b"".join(digests), ">u8")
    rows["count"] = 1
    return Table(_add_up(rows), texts)


def merge(tables: Iterable[Table]) -> Table:
    """Merges tables, in whatever order they come, into one."""
    tables = list(tables)
    texts = tuple(sorted({"", *(text for table in tables for text in table.labels)}))
    codes = {text: code for code, text in enumerate(texts)}
    merged = [EMPTY.rows]
    for table in tables:
        rows = table.rows.copy()
        new = np.array([codes[text] for text in table.labels], "<u4")
        rows["label"] = new[rows["label"]]
        merged.append(rows)
    return Table(_add_up(np.concatenate(merged)), texts)


def _add_up(rows: np.ndarray) -> np.ndarray:
    """Sorts rows by their identity and adds up those of equal identity."""
    rows = rows[np.lexsort([rows[name] for name in reversed(_IDENTITY)])]
    starts = _starts(rows, _IDENTITY)
    if not len(rows) or len(starts) == len(rows):
        return rows
    merged = rows[starts]
    merged["count"] = np.add.reduceat(rows["count"], starts)
    return merged


def _starts(rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Returns where a new value of the fields begins in sorted rows."""
    is_new = np.ones(len(rows), bool)
    if len(rows) > 1:
        is_new[1:] = False
        for name in names:
            is_new[1:] |= rows[name][1:] != rows[name][:-1]
    return np.flatnonzero(is_new)


def by_partition(table: Table, partition_by: str = "high") -> dict[int, Table]:
    """Deals the rows out to partitions by the first bits of a field."""
    # 128 partitions are 7 bits.
    places = (table.rows[partition_by] >> np.uint64(57)).astype(int)
    return {
        int(place): Table(table.rows[places == place], table.labels)
        for place in np.unique(places)
    }


def to_bytes(table: Table) -> bytes:
    """Writes a table, equal bytes for equal tables; labels in use only."""
    used, codes = np.unique(table.rows["label"], return_inverse=True)
    rows = table.rows.copy()
    has_none = bool(len(used)) and used[0] == 0
    rows["label"] = codes.reshape(-1) + (0 if has_none else 1)
    texts = ["", *(table.labels[code] for code in used if code)]
    head = json.dumps(texts).encode()
    return len(head).to_bytes(8, "little") + head + rows.tobytes()


def from_bytes(data: bytes) -> Table:
    """Reads what `to_bytes` wrote."""
    file = io.BytesIO(data)
    head = file.read(int.from_bytes(file.read(8), "little"))
    return Table(np.frombuffer(file.read(), ROW), tuple(json.loads(head)))


class Keys(NamedTuple):
    """The distinct keys of a table, in order."""

    starts: np.ndarray
    """Index of each key's first row, shape (keys,)."""
    examples: np.ndarray
    """Examples by key and split, shape (keys, splits)."""
    of_rows: np.ndarray
    """Index of each row's key, shape (rows,)."""


def keys_of(table: Table, num_splits: int) -> Keys:
    """Counts the examples of each key in each split."""
    rows = table.rows
    starts = _starts(rows, ("high", "low"))
    of_rows = np.zeros(len(rows), np.int64)
    of_rows[starts[1:]] = 1
    of_rows = np.cumsum(of_rows)
    examples = np.zeros((len(starts), num_splits), np.int64)
    np.add.at(examples, (of_rows, rows["split"].astype(np.int64)), rows["count"])
    return Keys(starts, examples, of_rows)


def is_shared(keys: Keys, reference: int) -> np.ndarray:
    """Tells which keys stand in the reference split and in another, shape (keys,)."""
    others = np.delete(keys.examples, reference, axis=1)
    return (keys.examples[:, reference] > 0) & (others.sum(axis=1) > 0)


def tally(
    table: Table, splits: Sequence[str], reference_split: str, max_groups: int
) -> Tally:
    """Counts what the splits share.

    Args:
      table: Rows of whole keys: a partition or several.
      splits: Names of the splits that the rows point to.
      reference_split: Name of the split that the others are held against.
      max_groups: Groups kept per list, the largest.
    """
    reference = list(splits).index(reference_split)
    keys = keys_of(table, len(splits))
    shared = is_shared(keys, reference)
    conflicts, outvoted = _conflicts(table, keys)
    counts, groups = {}, {}
    for index, split in enumerate(splits):
        examples = keys.examples[:, index]
        is_shared_here = shared & (examples > 0) & (index != reference)
        counts[split] = KeyCounts(
            examples=int(examples.sum()),
            distinct=int((examples > 0).sum()),
            shared_examples=int(examples[is_shared_here].sum()),
            shared_distinct=int(is_shared_here.sum()),
            conflicting_examples=int(examples[conflicts].sum()),
        )
        if is_shared_here.any():
            groups[split] = _largest(table, keys, is_shared_here, splits, max_groups)
    return Tally(
        splits=counts,
        shared=groups,
        conflicting=_largest(table, keys, conflicts, splits, max_groups),
        conflicting_distinct=int(conflicts.sum()),
        outvoted_examples=int(outvoted[conflicts].sum()),
    )


def _conflicts(table: Table, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    """Tells which keys carry several labels, and how many examples are outvoted.

    Returns:
      Two arrays of shape (keys,): whether there are several labels, and the number
      of labelled examples whose label is not the key's most frequent one.
    """
    has_label = table.rows["label"] > 0
    pairs = keys.of_rows[has_label] * len(table.labels) + table.rows["label"][has_label]
    distinct, of_pairs = np.unique(pairs, return_inverse=True)
    sizes = np.zeros(len(distinct), np.int64)
    np.add.at(sizes, of_pairs.reshape(-1), table.rows["count"][has_label])
    owners = distinct // len(table.labels)
    num_labels = np.bincount(owners, minlength=len(keys.starts))
    labelled, most = (np.zeros(len(keys.starts), np.int64) for _ in range(2))
    np.add.at(labelled, owners, sizes)
    np.maximum.at(most, owners, sizes)
    return num_labels > 1, labelled - most


def _largest(
    table: Table,
    keys: Keys,
    chosen: np.ndarray,
    splits: Sequence[str],
    max_groups: int,
) -> tuple[Group, ...]:
    """Returns the groups of the chosen keys with most examples, in their order."""
    (places,) = np.nonzero(chosen)
    # Keys are in ascending order, and the sort is stable: equals go by key.
    order = np.argsort(-keys.examples[places].sum(axis=1), kind="stable")
    return tuple(
        group_of(table, keys, int(place), splits)
        for place in places[order[:max_groups]]
    )


def group_of(table: Table, keys: Keys, place: int, splits: Sequence[str]) -> Group:
    """Returns the group of one key, bounded in size, for people.

    Args:
      table: The table.
      keys: Its keys.
      place: Index of the key.
      splits: Names of the splits.
    """
    ends = np.append(keys.starts[1:], len(table.rows))
    rows = table.rows[keys.starts[place] : ends[place]]
    labels: dict[str, dict[str, int]] = {}
    records: dict[str, tuple[str, ...]] = {}
    for index, split in enumerate(splits):
        inside = rows[rows["split"] == index]
        if not len(inside):
            continue
        by_label: dict[str, int] = {}
        for code in np.unique(inside["label"]):
            of_label = inside["count"][inside["label"] == code]
            by_label[table.labels[code]] = int(of_label.sum())
        listed = sorted(by_label.items(), key=lambda item: (-item[1], item[0]))
        labels[split] = {
            text[:_MAX_TEXT]: count for text, count in listed[:_MAX_LABELS]
        }
        records[split] = _some_records(inside)
    examples = {
        split: int(count)
        for split, count in zip(splits, keys.examples[place], strict=True)
        if count
    }
    first = rows[0]
    return Group(
        fingerprint=f"{int(first['high']):016x}{int(first['low']):016x}",
        examples=dict(sorted(examples.items())),
        num_labels=len({int(code) for code in rows["label"] if code}),
        labels=dict(sorted(labels.items())),
        records=dict(sorted(records.items())),
    )


def _some_records(rows: np.ndarray) -> tuple[str, ...]:
    """Returns digests of up to three records, of different labels where possible."""
    first = np.zeros(len(rows), np.int64)
    for start in _starts(rows, ("label",)):
        first[start:] = start
    rank = np.arange(len(rows)) - first  # Of each record among those of its label.
    order = np.lexsort([rows["digest"], rank])[:_MAX_RECORDS]
    return tuple(f"{int(digest):016x}" for digest in rows["digest"][order])
