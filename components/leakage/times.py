# SPDX-License-Identifier: Apache-2.0
"""Counts what is older than the newest example of the reference split."""

from collections.abc import Iterable, Sequence

import numpy as np

from components.content.times import Kind, time_text
from components.leakage.summary import TimeCounts
from components.leakage.tables import KEY_SIZE, Table

_MAX_RECORDS = 3  # Records named per split.
_BIAS = 2**63  # Makes signed integers unsigned, in the same order.


def time_key(order: int) -> bytes:
    """Returns a time as the key of a table; the order of keys is that of times."""
    return (order + _BIAS).to_bytes(8, "big").ljust(KEY_SIZE, b"\0")


def count_times(
    tables: Iterable[Table], splits: Sequence[str], reference_split: str, kind: Kind
) -> dict[str, TimeCounts]:
    """Counts the examples that are older than the newest of the reference split.

    Args:
      tables: Rows whose keys are times; read twice if it is a sequence, so give
        something that can be read twice.
      splits: Names of the splits that the rows point to.
      reference_split: Name of the split that the others are held against.
      kind: Kind of all times.

    Returns:
      Counts by split; without times, no split has any.
    """
    newest = newest_time(tables, list(splits).index(reference_split))
    found: dict[str, list[tuple[int, int, int, int, list[tuple[int, int]]]]] = {}
    for table in tables:
        for index, split in enumerate(splits):
            rows = table.rows[table.rows["split"] == index]
            if not len(rows):
                continue
            older = 0
            if newest is not None and split != reference_split:
                older = int(rows["count"][rows["high"] < newest].sum())
            order = np.lexsort([rows["digest"], rows["high"]])[:_MAX_RECORDS]
            first = [(int(rows["high"][i]), int(rows["digest"][i])) for i in order]
            found.setdefault(split, []).append(
                (
                    int(rows["count"].sum()),
                    older,
                    int(rows["high"].min()),
                    int(rows["high"].max()),
                    first,
                )
            )
    counts = {split: TimeCounts() for split in splits}
    for split, parts in found.items():
        examples, older_examples, oldest, latest, first_records = zip(
            *parts, strict=True
        )
        records = sorted(record for some in first_records for record in some)
        counts[split] = TimeCounts(
            examples=sum(examples),
            older_examples=sum(older_examples),
            oldest=time_text(min(oldest) - _BIAS, kind),
            newest=time_text(max(latest) - _BIAS, kind),
            oldest_records=tuple(
                f"{digest:016x}" for _, digest in records[:_MAX_RECORDS]
            ),
        )
    return counts


def newest_time(tables: Iterable[Table], split: int) -> int | None:
    """Returns the greatest key of a split, as in `high`; None without any."""
    newest = [
        int(table.rows["high"][inside].max())
        for table in tables
        if (inside := table.rows["split"] == split).any()
    ]
    return max(newest, default=None)
