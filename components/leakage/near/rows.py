# SPDX-License-Identifier: Apache-2.0
"""Near-duplicates among rows of numbers.

Two rows are near-duplicates if they differ in no feature by more than its tolerance.

How they are hashed. In units of the tolerances, near-duplicates differ by at most 1
in each of the d features. A row is projected onto k directions: onto the features
themselves if there are at most `MAX_PROJECTIONS`, else onto sums of all features
with random signs, which differ by sqrt(d) on average at most (the root of the mean
square). The projections are cut into cells of width W, shifted at random, and the k
cells are the key (p-stable hashing, Datar et al., SoCG 2004). A projection is cut
between two rows that differ by s in it with probability s / W; with W = c k sqrt(n),
where n is the number of features in a direction (1 or d), all k projections together
cut near-duplicates apart with probability 1 / c at most, whatever d. `NUM_GRIDS`
grids of independent signs and shifts miss them all with c^-5 = 0.1 % at most; that
is if the rows differ by the full tolerance in every feature. Differences spread
evenly over the tolerance, by half of it on average, are missed at 0.003 %.

All of it is done in integers, in 1/64 of a tolerance: sums of floats differ with the
size of the batch they are computed in, and what is a near-duplicate must not.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from components.leakage.near.layout import mix

NUM_GRIDS = 5
MAX_PROJECTIONS = 8
"""Directions of one grid. Eight cells tell as much as a key needs: of 10^6 rows of
thirty independent features at a thousandth of their deviation, 10^-10 share one."""

_CUT = 4  # c: near-duplicates are cut apart by a grid with probability 1 / c at most.
_UNITS = 64  # Integer steps per tolerance.
_LARGEST = 2.0**55  # Beyond, 2^49 tolerances from zero, rows look alike to a grid.
_LEVELS = 8  # Bits per projection in a signature.


@dataclasses.dataclass(frozen=True)
class RowModel:
    """Rows of numbers, equal within a tolerance per feature.

    A NaN equals a NaN, and an infinity itself, nothing else. It is a `NearModel`;
    descriptors are float64, shape (features,).

    Attributes:
      tolerances: Largest difference of near-duplicates in each feature, in the
        feature's unit; 0, the values must be equal. See `tolerances.choose`.
    """

    tolerances: tuple[float, ...]

    def __post_init__(self) -> None:
        valid = all(math.isfinite(each) and each >= 0 for each in self.tolerances)
        if not self.tolerances or not valid:
            raise ValueError(
                "tolerances must be one finite number of at least 0 for each of one "
                f"feature or more, but are {self.tolerances}; look for near-duplicates "
                "only where there are numeric features"
            )

    @property
    def descriptor_dtype(self) -> np.dtype:
        """Type of the numbers: float64."""
        return np.dtype(np.float64)

    @property
    def descriptor_shape(self) -> tuple[int, ...]:
        """One number per feature."""
        return (len(self.tolerances),)

    @property
    def num_bands(self) -> int:
        """One key per grid."""
        return NUM_GRIDS

    @property
    def signature_words(self) -> int:
        """One word: 8 bits for each of at most 8 projections."""
        return 1

    @property
    def max_distance(self) -> int:
        """Bits in which the signatures of near-duplicates differ at most.

        A level is W / 8 = sqrt(n) k / 2 tolerances wide. On features, n = 1 and k =
        d: a difference of 1 crosses at most 2 / d + 1 levels, all d of them d + 2.
        On sums, s is below 4 sqrt(n), a single level, with odds of 0.9993
        (Hoeffding); then each of the 8 crosses at most 2.
        """
        return 2 * MAX_PROJECTIONS

    def index(
        self, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hashes rows; see `NearModel`. Every row is usable."""
        keys, signatures = self._hash(descriptors)
        return keys, signatures, np.ones(len(keys), bool)

    def queries(
        self, descriptors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Hashes rows, one probe per grid; see `NearModel`."""
        keys, signatures = self._hash(descriptors)
        rows = np.repeat(np.arange(len(keys), dtype=np.int32), NUM_GRIDS)
        bands = np.tile(np.arange(NUM_GRIDS, dtype=np.uint8), len(keys))
        return rows, bands, keys.ravel(), signatures[rows]

    def verify(
        self, query: np.ndarray, reference: np.ndarray, background: object = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compares pairs of rows; see `NearModel`.

        Returns:
          1 - the greatest difference in units of its tolerance, from 1 for equal
          rows to 0 at the tolerance and beyond; and whether no difference is
          greater than its tolerance.
        """
        del background
        tolerances = np.array(self.tolerances)
        equal = (query == reference) | (np.isnan(query) & np.isnan(reference))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            difference = np.where(equal, 0.0, np.abs(query - reference))
            is_near = (difference <= tolerances).all(axis=1)
            share = np.where(equal, 0.0, difference / tolerances).max(axis=1)
        similarity = np.where(is_near, 1 - np.minimum(share, 1), 0)
        return similarity.astype(np.float32), is_near

    def background(
        self, query_sample: np.ndarray, reference_sample: np.ndarray
    ) -> None:
        """Returns nothing: how alike rows are is in the tolerances already."""
        del query_sample, reference_sample

    def _hash(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns keys, uint64, (n, grids), and signatures, uint64, (n, 1)."""
        rows = np.asarray(rows, np.float64)
        tolerances = np.array(self.tolerances)
        exact = self._exact_hash(rows)
        loose = rows[:, tolerances > 0]
        if not loose.shape[1]:
            keys = np.repeat(exact[:, np.newaxis], NUM_GRIDS, axis=1)
            return keys, np.zeros((len(rows), 1), np.uint64)
        with np.errstate(over="ignore"):
            scaled = loose * (_UNITS / tolerances[tolerances > 0])
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=_LARGEST, neginf=-_LARGEST)
        steps = np.rint(np.clip(scaled, -_LARGEST, _LARGEST)).astype(np.int64)
        grids = _grids(loose.shape[1])
        projections = steps @ grids.directions if grids.directions.size else steps
        return self._keys(exact, projections, grids), _signatures(projections, grids)

    def _exact_hash(self, rows: np.ndarray) -> np.ndarray:
        """Hashes what must be equal: features without tolerance, NaN, infinities.

        Returns:
          uint64, shape (n,).
        """
        hashed = np.zeros(len(rows), np.uint64)
        for i, tolerance in enumerate(self.tolerances):
            values = rows[:, i]
            is_finite = np.isfinite(values)
            if tolerance > 0 and is_finite.all():
                continue
            # Adding 0.0 turns -0.0 into 0.0; all NaNs become one.
            bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
            mixed = mix(hashed ^ mix(bits ^ mix(np.full(1, i, np.uint64))))
            hashed = np.where((tolerance > 0) & is_finite, hashed, mixed)
        return hashed

    @staticmethod
    def _keys(
        exact: np.ndarray, projections: np.ndarray, grids: "_Grids"
    ) -> np.ndarray:
        """Returns the hash of the cells of each grid, uint64, (n, grids)."""
        k = grids.shifts.shape[1]
        keys = np.empty((len(exact), NUM_GRIDS), np.uint64)
        for grid in range(NUM_GRIDS):
            first = grid * k if grids.directions.size else 0
            cells = (projections[:, first : first + k] + grids.shifts[grid]) // (
                grids.width
            )
            keys[:, grid] = exact
            for cell in cells.T:
                keys[:, grid] = mix(keys[:, grid] ^ mix(cell.view(np.uint64)))
        return keys


@dataclasses.dataclass(frozen=True)
class _Grids:
    """Where projections are cut."""

    directions: np.ndarray
    """Shape (d, grids * k); without columns for the features themselves."""
    width: int
    """Of a cell, in steps."""
    shifts: np.ndarray
    """Shape (grids, k)."""


@functools.lru_cache(maxsize=8)
def _grids(d: int) -> _Grids:
    """Draws the grids for d features; the same on every machine, at every time."""
    k = min(d, MAX_PROJECTIONS)
    per_direction = 1 if d <= MAX_PROJECTIONS else d
    # Rounding to whole steps adds up to one step to a difference.
    width = math.ceil(_CUT * k * math.sqrt(per_direction) * (_UNITS + 1))
    draws = mix(np.arange((NUM_GRIDS + 1) * k, dtype=np.uint64)).reshape(-1, k)
    # The grids cut each projection in different places, W / 5 apart, in an order of
    # its own: what one grid cuts apart there, no other does.
    places = np.argsort(draws[1:], axis=0) * (width // NUM_GRIDS)
    shifts = (draws[0] % np.uint64(width)).astype(np.int64) + places
    if d <= MAX_PROJECTIONS:
        return _Grids(np.empty((d, 0), np.int64), width, shifts)
    draws = mix(mix(np.arange(d * NUM_GRIDS * k, dtype=np.uint64)))
    signs = 1 - 2 * (draws & np.uint64(1)).astype(np.int64)
    return _Grids(signs.reshape(d, NUM_GRIDS * k), width, shifts)


def _signatures(projections: np.ndarray, grids: _Grids) -> np.ndarray:
    """Codes the first k projections so that nearby ones differ in few bits.

    Each is cut into levels of W / 8, which are coded as the 16 states of an 8-bit
    Johnson counter: neighbours differ in one bit, and levels up to eight apart in as
    many bits.

    Returns:
      uint64, shape (n, 1).
    """
    k = grids.shifts.shape[1]
    levels = (projections[:, :k] // max(grids.width // _LEVELS, 1)) % (2 * _LEVELS)
    codes = np.array(_johnson_codes(), np.uint64)[levels]
    shifts = np.arange(k, dtype=np.uint64) * np.uint64(_LEVELS)
    return np.bitwise_or.reduce(codes << shifts, axis=1)[:, np.newaxis]


def _johnson_codes() -> Sequence[int]:
    ones = 2**_LEVELS - 1
    rising = [2**i - 1 for i in range(_LEVELS)]
    return [*rising, *(ones - code for code in rising)]
