# SPDX-License-Identifier: Apache-2.0
"""Counts the examples whose content has a near-duplicate in the reference split.

The search matches contents; here each match is joined with the table of contents,
so that every example counts. Groups are stars around a content of the reference
split: what is counted of a star are its own examples in the reference split, and
those of all contents that are nearest to it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from components.leakage import tables
from components.leakage.near.model import NearMatch
from components.leakage.summary import Group, Tally
from components.leakage.tables import Table

_MAX_RECORDS = 3  # Records named per star and split.


class NearDuplicates(NamedTuple):
    """The near-duplicates of a data set."""

    tally: Tally
    """Shared keys are stars; the examples of a split are those counted here only."""
    digests: np.ndarray
    """Digests of the other splits' records that are near-duplicates, uint64."""


def count_matches(
    matches: Sequence[NearMatch],
    contents: Iterable[Table],
    splits: Sequence[str],
    reference_split: str,
    max_groups: int,
) -> NearDuplicates:
    """Counts the examples of all matches.

    Args:
      matches: At most one per content of another split.
      contents: The table of contents, in parts of whole keys.
      splits: Names of the splits that the rows point to.
      reference_split: Name of the split that the others are held against.
      max_groups: Groups kept per split, the largest.
    """
    reference = list(splits).index(reference_split)
    stars = _stars(matches, contents, reference)
    tally = tables.tally(stars, splits, reference_split, max_groups)
    members: dict[tuple[str, str], list[NearMatch]] = {}
    listed = {group.fingerprint for some in tally.shared.values() for group in some}
    for match in matches:
        star = match.reference_fingerprint.hex()
        if star in listed:
            members.setdefault((star, match.query_split), []).append(match)
    shared = {
        split: tuple(_named(group, members, reference_split) for group in groups)
        for split, groups in tally.shared.items()
    }
    others = stars.rows[stars.rows["split"] != reference]
    return NearDuplicates(
        tally.model_copy(update={"shared": shared, "conflicting": ()}),
        np.unique(others["digest"]),
    )


def _stars(
    matches: Sequence[NearMatch], contents: Iterable[Table], reference: int
) -> Table:
    """Returns the rows of all matches, under the key of the reference's content."""
    if not matches:
        return tables.EMPTY
    matches = sorted(matches)
    queries = np.array([match.query_fingerprint for match in matches], "S16")
    centres = np.array([match.reference_fingerprint for match in matches], "S16")
    known = np.unique(centres)
    found = [tables.EMPTY]
    for table in contents:
        keys = _keys(table.rows)
        places = np.minimum(np.searchsorted(queries, keys), len(queries) - 1)
        in_reference = table.rows["split"] == reference
        is_query = ~in_reference & (queries[places] == keys)
        members = table.rows[is_query]
        new = np.frombuffer(centres[places[is_query]].tobytes(), ">u8").reshape(-1, 2)
        members["high"], members["low"] = new[:, 0], new[:, 1]
        found.append(Table(members, table.labels))
        is_centre = in_reference & np.isin(keys, known)
        found.append(Table(table.rows[is_centre], table.labels))
    return tables.merge(found)


def _keys(rows: np.ndarray) -> np.ndarray:
    """Returns the keys as bytes, `S16`, shape (n,); their order is that of rows."""
    halves = np.stack([rows["high"], rows["low"]], axis=1).astype(">u8")
    return np.frombuffer(halves.tobytes(), "S16")


def _named(
    group: Group,
    members: dict[tuple[str, str], list[NearMatch]],
    reference_split: str,
) -> Group:
    """Names the most similar records of a star, the most similar first."""
    records = dict(group.records)
    closest: list[float] = []
    for split in group.examples:
        some = members.get((group.fingerprint, split), [])
        some.sort(key=lambda match: (-match.similarity, match.query_fingerprint))
        if some:
            records[split] = tuple(
                match.query_record_digest.hex() for match in some[:_MAX_RECORDS]
            )
            records[reference_split] = (some[0].reference_record_digest.hex(),)
            closest.append(some[0].similarity)
    return group.model_copy(
        update={"records": records, "similarity": max(closest, default=None)}
    )
