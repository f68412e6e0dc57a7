# SPDX-License-Identifier: Apache-2.0
"""Joins the entries of two splits into candidate pairs, many at a time.

A bucket is the entries of one key. All of g queries with all of h references would
be g * h pairs, and 50,000 nearly equal pictures would be 2.5 * 10^9; here each query
meets at most `MAX_BUCKET` references of a bucket, those of the nearest signatures.
"""

import numpy as np

from components.leakage.near.layout import PAIR, REFERENCE, mix, starts

MAX_BUCKET = 32
"""References of one bucket that a query is held against. Chance fills a bucket with
few; where there are more, they are alike, and any of them will do."""

MAX_CANDIDATES = 4
"""Candidates of one query that are verified: those of the nearest signatures."""

_CHUNK = 2**15  # Queries joined at once: at most 2^20 pairs, 60 MB.


def join_entries(entries: np.ndarray, max_distance: int) -> np.ndarray:
    """Pairs the queries with the references that share a key.

    Entries may repeat (a content that occurs k times); they count once, as the
    record of the first split and the smallest digest. A content is not paired with
    itself.

    Args:
      entries: All entries of some keys, `layout.entry_dtype`, in any order.
      max_distance: Largest Hamming distance of two signatures.

    Returns:
      `PAIR`, at most `MAX_CANDIDATES` per query, sorted by query, distance and
      reference.
    """
    is_reference = entries["split"] == REFERENCE
    references, queries = entries[is_reference], entries[~is_reference]
    # Nearly all probes hit nothing: they leave before anything is sorted.
    keys = np.unique(references["key"])
    queries = queries[_is_in(queries["key"], keys)]
    references = references[_is_in(references["key"], np.unique(queries["key"]))]
    if not len(queries):
        return np.empty(0, PAIR)
    references, queries = _deduplicate(references), _deduplicate(queries)
    first, count = _buckets(references, queries)
    found = [
        nearest(
            _pair(references, queries[i : i + _CHUNK], *part, max_distance=max_distance)
        )
        for i in range(0, len(queries), _CHUNK)
        for part in [(first[i : i + _CHUNK], count[i : i + _CHUNK])]
    ]
    return nearest(np.concatenate(found))


def nearest(pairs: np.ndarray) -> np.ndarray:
    """Keeps the nearest `MAX_CANDIDATES` different references of each query.

    Args:
      pairs: `PAIR`, in any order; a pair may occur several times.

    Returns:
      `PAIR`, sorted by query, distance and reference: the same for any order.
    """
    query, reference = pairs["query"], pairs["reference"]
    order = np.lexsort(
        (
            # A content that several records hold may come with any of them.
            pairs["split"],
            pairs["query_digest"],
            pairs["reference_digest"],
            pairs["distance"],
            reference[:, 1],
            reference[:, 0],
            query[:, 1],
            query[:, 0],
        )
    )
    pairs = pairs[order]
    pairs = pairs[starts(pairs["query"], pairs["reference"])]
    query, reference = pairs["query"], pairs["reference"]
    # The fingerprint of the reference, which decides between equal distances, is
    # already in order, and lexsort is stable.
    pairs = pairs[np.lexsort((pairs["distance"], query[:, 1], query[:, 0]))]
    begins = starts(pairs["query"])
    first = np.maximum.accumulate(np.where(begins, np.arange(len(pairs)), 0))
    return pairs[np.arange(len(pairs)) - first < MAX_CANDIDATES]


def drop_twins(pairs: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Leaves out the queries whose very content is in the reference split.

    Args:
      pairs: `PAIR`.
      references: Fingerprints of the reference split, uint64, shape (n, 2), in any
        order: at least all those that might equal a query of `pairs`.

    Returns:
      `PAIR`, in the order given.
    """
    queries = pairs["query"]
    both = np.concatenate([queries, references])
    order = np.lexsort((both[:, 1], both[:, 0]))
    group = np.empty(len(both), np.int64)
    group[order] = np.cumsum(starts(both[order]))
    is_twin = np.isin(group[: len(pairs)], group[len(pairs) :])
    return pairs[~is_twin]


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Counts differing bits.

    Args:
      a: uint64, shape (n, words).
      b: Same shape.

    Returns:
      int64, shape (n,).
    """
    bits = a ^ b
    # In parallel within a word (Warren, "Hacker's Delight", 5-1); numpy has a
    # function for it from version 2 only.
    ones, twos, fours = (
        np.uint64(mask)
        for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)
    )
    bits = bits - ((bits >> np.uint64(1)) & ones)
    bits = (bits & twos) + ((bits >> np.uint64(2)) & twos)
    bits = (bits + (bits >> np.uint64(4))) & fours
    return ((bits * np.uint64(0x0101010101010101)) >> np.uint64(56)).sum(
        axis=1, dtype=np.int64
    )


def _is_in(keys: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Whether each key is among sorted ones; bool, shape (n,)."""
    if not len(among):
        return np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    return among[at] == keys


def _deduplicate(entries: np.ndarray) -> np.ndarray:
    """Sorts entries by key and place in the bucket; drops repeated ones."""
    fingerprint, place = entries["fingerprint"], _places(entries)
    order = np.lexsort(
        (
            entries["digest"],
            entries["split"],
            fingerprint[:, 1],
            fingerprint[:, 0],
            *place.T[::-1],
            entries["key"],
        )
    )
    entries = entries[order]
    return entries[starts(entries["key"], entries["signature"], entries["fingerprint"])]


def _places(entries: np.ndarray) -> np.ndarray:
    """Returns signatures whose lexicographic order is the order within a bucket.

    Neighbours in that order agree in their leading bits. Which bits lead is drawn
    from the key, so that a near-duplicate whose leading bits differ in one bucket
    is a neighbour in another.

    Returns:
      uint64, shape (n, words).
    """
    signatures = entries["signature"]
    draw = mix(entries["key"])
    words = np.uint64(signatures.shape[1])
    leading = (draw >> np.uint64(6)) % words
    columns = (leading[:, np.newaxis] + np.arange(words, dtype=np.uint64)) % words
    rolled = np.take_along_axis(signatures, columns.astype(np.int64), axis=1)
    shift = (draw & np.uint64(63))[:, np.newaxis]
    back = (np.uint64(64) - shift) & np.uint64(63)
    return (rolled << shift) | (rolled >> back)


def _buckets(
    references: np.ndarray, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Finds, for each query, its neighbours among the references of its bucket.

    Args:
      references: Deduplicated entries.
      queries: Deduplicated entries; each key has references.

    Returns:
      The first reference and their number, int64, shape (queries,) each.
    """
    both = np.concatenate([references, queries])
    is_query = np.arange(len(both)) >= len(references)
    order = np.lexsort((is_query, *_places(both).T[::-1], both["key"]))
    passed = np.cumsum(~is_query[order])
    place = np.empty(len(both), np.int64)
    place[order] = passed
    place = place[len(references) :]
    low = np.searchsorted(references["key"], queries["key"], "left")
    high = np.searchsorted(references["key"], queries["key"], "right")
    first = np.clip(place - MAX_BUCKET // 2, low, np.maximum(low, high - MAX_BUCKET))
    return first, np.minimum(high - low, MAX_BUCKET)


def _pair(
    references: np.ndarray,
    queries: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    max_distance: int,
) -> np.ndarray:
    """Writes out the pairs of some queries that are near by signature."""
    query = np.repeat(np.arange(len(queries)), count)
    within = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)
    reference = np.repeat(first, count) + within
    distance = hamming(queries["signature"][query], references["signature"][reference])
    same = (queries["fingerprint"][query] == references["fingerprint"][reference]).all(
        axis=1
    )
    kept = (distance <= max_distance) & ~same
    query, reference = query[kept], reference[kept]
    pairs = np.empty(len(query), PAIR)
    pairs["query"] = queries["fingerprint"][query]
    pairs["reference"] = references["fingerprint"][reference]
    pairs["query_digest"] = queries["digest"][query]
    pairs["reference_digest"] = references["digest"][reference]
    pairs["split"] = queries["split"][query]
    pairs["distance"] = distance[kept]
    return pairs
