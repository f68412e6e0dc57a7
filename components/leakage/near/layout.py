# SPDX-License-Identifier: Apache-2.0
"""The rows that travel between the steps of the search: packed, of fixed size.

A data set has hundreds of millions of keys. As numpy rows they take tens of bytes
each and are sorted and joined a hundred thousand at a time; as Python objects, ten
times the memory and a hundred times the time.
"""

from collections.abc import Sequence

import numpy as np

FINGERPRINT_BYTES = 16
DIGEST_BYTES = 8

REFERENCE = 0
"""Index of the reference split; the others follow from 1."""

PAIR = np.dtype(
    [
        ("query", "<u8", (2,)),
        ("reference", "<u8", (2,)),
        ("query_digest", "<u8"),
        ("reference_digest", "<u8"),
        ("split", "u1"),
        ("distance", "<u2"),
    ]
)
"""A candidate: fingerprints and record digests of both, the query's split, and how
many bits of their signatures differ."""

FINGERPRINT = np.dtype([("fingerprint", "<u8", (2,))])
"""The fingerprint of a content of the reference split."""


def entry_dtype(signature_words: int) -> np.dtype:
    """Returns the type of an entry: one key of one content."""
    return np.dtype(
        [
            ("key", "<u8"),
            ("signature", "<u8", (signature_words,)),
            ("fingerprint", "<u8", (2,)),
            ("digest", "<u8"),
            ("split", "u1"),
        ]
    )


def described_dtype(dtype: np.dtype, shape: tuple[int, ...]) -> np.dtype:
    """Returns the type of a described record: its digest and its descriptor."""
    return np.dtype([("digest", "<u8"), ("descriptor", dtype, shape)])


def half_pair_dtype(dtype: np.dtype, shape: tuple[int, ...]) -> np.dtype:
    """Returns the type of a pair that carries the reference's descriptor."""
    return np.dtype([("pair", PAIR), ("descriptor", dtype, shape)])


def pack_fingerprints(fingerprints: Sequence[bytes]) -> np.ndarray:
    """Returns fingerprints as numbers, uint64, shape (n, 2), in the order of bytes."""
    return np.frombuffer(b"".join(fingerprints), ">u8").reshape(-1, 2).astype("<u8")


def unpack_fingerprint(fingerprint: np.ndarray) -> bytes:
    """Returns one fingerprint, shape (2,), as bytes again."""
    return fingerprint.astype(">u8").tobytes()


def pack_digests(digests: Sequence[bytes]) -> np.ndarray:
    """Returns record digests as numbers, uint64, shape (n,), in the order of bytes."""
    return np.frombuffer(b"".join(digests), ">u8").astype("<u8")


def unpack_digest(digest: np.uint64) -> bytes:
    """Returns one record digest as bytes again."""
    return int(digest).to_bytes(DIGEST_BYTES, "big")


def mix(numbers: np.ndarray) -> np.ndarray:
    """Scrambles uint64 numbers one to one, so that all bits look random.

    The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def band_keys(bands: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Returns keys that differ between bands, uint64, shape as `keys`.

    One to one within a band; keys of two bands are equal with odds of 2^-64, and
    such a pair would not survive verification.
    """
    return mix(keys ^ mix(bands.astype(np.uint64)))


def partition_of(numbers: np.ndarray, num_partitions: int) -> np.ndarray:
    """Returns the partition of each scrambled number, int64, shape (n,)."""
    high = numbers >> np.uint64(32)
    return ((high * np.uint64(num_partitions)) >> np.uint64(32)).astype(np.int64)


def starts(*columns: np.ndarray) -> np.ndarray:
    """Tells where a run of equal rows begins in sorted columns.

    Args:
      *columns: Shape (n,) or (n, k) each.

    Returns:
      Bool, shape (n,); the first is True.
    """
    first = np.zeros(len(columns[0]), bool)
    first[:1] = True
    for column in columns:
        differs = column[1:] != column[:-1]
        first[1:] |= differs.any(axis=1) if differs.ndim > 1 else differs
    return first
