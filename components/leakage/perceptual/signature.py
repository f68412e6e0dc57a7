# SPDX-License-Identifier: Apache-2.0
"""Hashes thumbnails, so that near-duplicates collide although they are transformed.

A signature is the signs of random projections (Charikar, 2002) of the low frequencies
of the DCT, whose own signs are pHash (Zauner, 2010): a coefficient that is nearly zero,
as half of them are in a symmetric drawing, would give a bit of chance. Candidates
share one of several keys, each of some of the bits (banded locality-sensitive hashing);
a query undoes each warp in turn and probes its likeliest keys, with the one or two
least certain bits turned round where that is likelier (multi-probe: Lv et al., 2007).
"""

import functools

import numpy as np
from scipy import special

from components.leakage.perceptual import projection

BANDS = 16
"""Keys of a reference picture."""
BAND_BITS = 22
"""Bits of a key: among 10^6 pictures, 222 probes meet 53 others by chance."""
PROBES = 6
"""Keys that are looked up for each warp of a query picture."""
MIN_CONTRAST = 1.0
"""Least root mean square of the hashed frequencies in grey levels; below it, what is
left after rounding to whole levels and JPEG is mostly noise."""
_BITS = projection.BITS
_NOISE = 0.3  # Tangent of the angle between a picture and its undone transform.
_PER_NOISE = 16  # Steps that certainty is counted in, to one such tangent.
_STEPS = 128  # Beyond the last step, 8 times the noise, a bit is certain.
_PRECISION = 64  # Steps of a log-likelihood.
_TURNS = 4  # A key as it is, and with one, another, or both of two bits turned.
_CHUNK = 64  # Pictures whose probes are ranked at once, so that caches hold them.

_Probes = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def index(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes reference pictures.

    Args:
        descriptors: uint8 (n, 3074) as of `thumbnail.describe`; n may be 0.

    Returns:
        Keys uint64 (n, 16), signatures uint64 (n, 2), and whether the pictures have
        content to hash, bool (n,).
    """
    values = projection.project(
        projection.inputs(descriptors), projection.reference_matrix()
    )[:, 0]
    words = _pack(values > 0)
    usable = projection.contrast(values) >= MIN_CONTRAST
    return _keys(values[:, 0] > 0), words, usable


def queries(descriptors: np.ndarray, mirrored: bool) -> _Probes:
    """Lists the keys under which near-duplicates of pictures are to be looked up.

    Args:
        descriptors: uint8 (n, 3074) as of `thumbnail.describe`; n may be 0.
        mirrored: Whether to look for the mirrored pictures too; doubles the probes.

    Returns:
        For each of q probes, ordered by picture: its row int32, its band uint8, its
        key uint64 and, (q, 2), the uint64 signature of the picture with the warp
        undone. None comes twice; pictures without content to hash have none.
    """
    classes = projection.aspect_classes(descriptors)
    inputs = projection.inputs(descriptors)
    parts = [_no_probes()]
    for found in np.unique(classes):
        alike = np.flatnonzero(classes == found)
        matrix = projection.query_matrix(float(found), mirrored)
        for start in range(0, len(alike), _CHUNK):
            rows = alike[start : start + _CHUNK]
            values = projection.project(inputs[rows], matrix)
            usable = projection.contrast(values[:, 0]) >= MIN_CONTRAST
            if usable.any():
                parts.append(_probe(rows[usable], values[usable]))
    rows, bands, keys, words = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    place = (rows.astype(np.uint64) << np.uint64(32)) | (
        bands.astype(np.uint64) << np.uint64(BAND_BITS)
    )
    order = np.lexsort((words[:, 1], words[:, 0], place | keys))
    rows, bands, keys, words = rows[order], bands[order], keys[order], words[order]
    new = np.ones(len(rows), bool)
    new[1:] = (
        (rows[1:] != rows[:-1])
        | (bands[1:] != bands[:-1])
        | (keys[1:] != keys[:-1])
        | (words[1:] != words[:-1]).any(axis=1)
    )
    return rows[new], bands[new], keys[new], words[new]


def _keys(positive: np.ndarray) -> np.ndarray:
    """Keys uint64 (n, 16) of the signs of the lowest frequencies, bool (n, 64)."""
    weights = np.zeros((_BITS, BANDS), np.float32)
    np.put_along_axis(
        weights, _band_bits().T, np.exp2(np.arange(BAND_BITS))[:, None], axis=0
    )
    # Below 2^24, where float32 is exact.
    return (positive.astype(np.float32) @ weights).astype(np.uint64)


def _no_probes() -> _Probes:
    return (
        np.empty(0, np.int32),
        np.empty(0, np.uint8),
        np.empty(0, np.uint64),
        np.empty((0, projection.WORDS), np.uint64),
    )


def _probe(rows: np.ndarray, values: np.ndarray) -> _Probes:
    """Picks the likeliest keys for each warp of values (n, warps, 2, 64)."""
    num_warps = values.shape[1]
    values = values.reshape(-1, projection.WORDS, _BITS)
    positive = values > 0
    costs, flips = _turned(values[:, 0])
    choices = len(costs)
    # With its place in the lowest bits each cost is unique: no tie is left to chance.
    ranked = costs * choices + np.arange(choices, dtype=np.int32)[:, None]
    best = np.empty((len(values), PROBES), np.int32)
    for i in range(PROBES):
        least = ranked.min(axis=0)
        best[:, i] = least % choices
        np.putmask(ranked, ranked == least, np.iinfo(np.int32).max)
    bands = best // _TURNS
    probed = np.take_along_axis(_keys(positive[:, 0]), bands, 1)
    probed ^= np.take_along_axis(flips.T, best, 1)
    return (
        np.repeat(rows, num_warps * PROBES).astype(np.int32),
        bands.ravel().astype(np.uint8),
        probed.ravel(),
        np.repeat(_pack(positive), PROBES, axis=0),
    )


def _turned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Costs, the lower the likelier, and turned bits of the keys of values (n, 64).

    Returns:
        int32 and uint64, each (16 * 4, n): for each band the key as it is, then with
        its least certain bit, the next one, and both turned round.
    """
    # Shifted, so that the sum of the squares is exact in float64.
    power = ((values >> 4).astype(np.float64) ** 2).sum(axis=1, keepdims=True)
    spread = np.sqrt(np.maximum(power, 1) / _BITS) * (_NOISE / _PER_NOISE * 16)
    steps = np.minimum(np.abs(values) / spread, _STEPS - 1).astype(np.uint8)
    as_is, extra = (table[steps] for table in _cost_tables())
    members = np.zeros((_BITS, BANDS), np.float32)
    np.put_along_axis(members, _band_bits().T, 1, axis=0)
    base = (as_is @ members).T.astype(np.int32)
    # A bit's price and its place in the key in one number: the least of 22 numbers
    # for all keys at once is far faster than as many searches for a place.
    coded = (extra * BAND_BITS).T[_band_bits().T]
    coded += np.arange(BAND_BITS, dtype=np.uint16)[:, None, None]
    first = coded.min(axis=0)
    np.putmask(coded, coded == first, np.iinfo(np.uint16).max)
    second = coded.min(axis=0)
    (low, one), (high, other) = (
        (
            (least // BAND_BITS).astype(np.int32),
            np.left_shift(np.uint64(1), (least % BAND_BITS).astype(np.uint64)),
        )
        for least in (first, second)
    )
    costs = np.stack([base, base + low, base + high, base + low + high], axis=1)
    flips = np.stack([np.zeros_like(one), one, other, one | other], axis=1)
    return costs.reshape(-1, len(values)), flips.reshape(-1, len(values))


@functools.lru_cache(maxsize=1)
def _cost_tables() -> tuple[np.ndarray, np.ndarray]:
    """Negative log-likelihood of a bit by its certainty, and what turning it adds.

    Both are whole numbers, so that their sums are exact.
    """
    margin = (np.arange(_STEPS) + 0.5) / _PER_NOISE
    right, wrong = -special.log_ndtr(margin), -special.log_ndtr(-margin)
    return (
        np.round(right * _PRECISION).astype(np.float32),
        np.round((wrong - right) * _PRECISION).astype(np.uint16),
    )


@functools.lru_cache(maxsize=1)
def _band_bits() -> np.ndarray:
    """The bits of each key: int (16, 22)."""
    rng = np.random.Generator(np.random.PCG64(7))
    return np.stack([np.sort(rng.permutation(_BITS)[:BAND_BITS]) for _ in range(BANDS)])


def _pack(bits: np.ndarray) -> np.ndarray:
    """Packs the last axis of 64 bits into one uint64, the first bit lowest."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8")[..., 0].astype(np.uint64)
