# SPDX-License-Identifier: Apache-2.0
"""Decides on the content of two thumbnails whether they are near-duplicates."""

import numpy as np

from components.leakage.perceptual import (
    projection,
    registration,
    residual,
    signature,
    thumbnail,
    warps,
)

_STARTS = 3  # Warps that are refined for each pair.
_MIN_COSINE = 0.6  # Of the hashed vectors; with less there is nothing to refine.
_CHUNK = 64  # Pairs at once, so that caches hold them.
_FURTHEST = 1e3  # Distance of pairs that have nothing in common.

TYPICAL_SHARE = 0.2
"""Largest distance of near-duplicates as a share of the typical distance of different
pictures, where that is small because all pictures of a data set look alike. Among
scikit-learn's 1797 handwritten digits, the nearest of all pairs of different ones are
0.42 times as far from each other as typical nearest ones; cleanlab's `exact threshold`
asks for 0.13 of that median, of distances that are not squared as ours are."""
_MIN_LIMIT = 0.02  # What resizing leaves of equal pictures.
_NEIGHBOURS = 2  # Likeliest pictures that are compared with a sampled one.
_SAMPLE = 64  # Pictures whose nearest ones are looked for.
_MIN_SAMPLE = 20  # Pictures without which nothing is typical.


def verify(
    query: np.ndarray,
    reference: np.ndarray,
    mirrored: bool,
    typical_distance: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compares pairs of pictures.

    Args:
        query: uint8 (m, 3074) as of `thumbnail.describe`; m may be 0.
        reference: Likewise; row i is compared with row i of `query`.
        mirrored: Whether mirror images are near-duplicates.
        typical_distance: As of `typical_distance`; None, it does not matter.

    Returns:
        Similarity float32 (m,), 1 for equal pictures, above 0.5 for near-duplicates,
        and bool (m,), whether they are.
    """
    found = distances(query, reference, mirrored)
    limit = 1.0
    if typical_distance is not None:
        limit = max(_MIN_LIMIT, min(limit, TYPICAL_SHARE * typical_distance))
    # Half-way at the limit, so that pairs of any data set compare alike.
    return (limit / (limit + found)).astype(np.float32), found < limit


def typical_distance(
    query_sample: np.ndarray, reference_sample: np.ndarray, mirrored: bool
) -> float | None:
    """Measures how far the nearest different pictures are from each other.

    The median, over pictures of a sample, of the distance to the nearest in the
    reference sample; once for pictures of either split, and the greater of the two:
    a leak shortens the first, repetitions in the reference split the second.

    Args:
        query_sample: uint8 (a, 3074); a may be 0.
        reference_sample: uint8 (b, 3074); b may be 0.
        mirrored: Whether mirror images are near-duplicates.

    Returns:
        The distance, or None, if there are too few pictures to tell.
    """
    _, _, usable = signature.index(reference_sample)
    reference = reference_sample[usable]
    if len(reference) < _MIN_SAMPLE:
        return None
    medians = [_median_distance(reference, reference, mirrored, same=True)]
    if len(query_sample) >= _MIN_SAMPLE:
        medians.append(_median_distance(query_sample, reference, mirrored, same=False))
    return max(medians)


def distances(query: np.ndarray, reference: np.ndarray, mirrored: bool) -> np.ndarray:
    """Distances of pairs, 0 to 1000, below 1 for near-duplicates: float32 (m,)."""
    found = np.full(len(query), _FURTHEST, np.float32)
    for start in range(0, len(query), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = _chunk_distances(query[part], reference[part], mirrored)
    return found


def _chunk_distances(
    query: np.ndarray, reference: np.ndarray, mirrored: bool
) -> np.ndarray:
    cosine, starts = _starts(query, reference, mirrored)
    found = np.full(len(query), _FURTHEST, np.float32)
    near = np.flatnonzero(cosine >= _MIN_COSINE)
    if not len(near):
        return found
    aligned = registration.register(
        thumbnail.luma(query[near]).astype(np.float32),
        thumbnail.luma(reference[near]).astype(np.float32),
        starts[near],
    )
    found[near] = residual.distance(
        thumbnail.rgb(query[near]).astype(np.float32),
        thumbnail.rgb(reference[near]).astype(np.float32),
        aligned,
    )
    return found


def _starts(
    query: np.ndarray, reference: np.ndarray, mirrored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The best warps of the grid: cosines (m,) and float32 (m, 3, 2, 3)."""
    values = _vectors(reference, projection.reference_matrix(1))[:, 0]
    cosine = np.zeros(len(query), np.float32)
    starts = np.zeros((len(query), _STARTS, 2, 3), np.float32)
    classes = projection.aspect_classes(query)
    for found in np.unique(classes):
        rows = np.flatnonzero(classes == found)
        matrix = projection.query_matrix(float(found), mirrored, 1)
        warped = _vectors(query[rows], matrix)
        cosines = (warped * values[rows, None]).sum(axis=2)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :_STARTS]
        cosine[rows] = cosines.max(axis=1)
        starts[rows] = warps.warps(2.0 ** float(found), mirrored)[best]
    return cosine, starts


def _vectors(descriptors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Unit vectors of the higher frequencies: float32 (n, warps, 64)."""
    values = projection.project(projection.inputs(descriptors), matrix)
    vectors = values[:, :, 0].astype(np.float32)
    length = np.sqrt((vectors**2).sum(axis=2, keepdims=True))
    return vectors / np.maximum(length, 1)


def _median_distance(
    query: np.ndarray, reference: np.ndarray, mirrored: bool, same: bool
) -> float:
    step = max(1, len(query) // _SAMPLE)
    chosen = np.arange(0, len(query), step)[:_SAMPLE]
    query = query[chosen]
    vectors = _vectors(reference, projection.reference_matrix(1))[:, 0]
    classes = projection.aspect_classes(query)
    rows, columns = [], []
    for row in range(len(query)):
        matrix = projection.query_matrix(float(classes[row]), mirrored, 1)
        warped = _vectors(query[row : row + 1], matrix)[0]
        cosines = (vectors @ warped.T).max(axis=1)
        if same:
            cosines[chosen[row]] = -1
        nearest = np.argsort(-cosines, kind="stable")[:_NEIGHBOURS]
        rows.append(np.full(len(nearest), row))
        columns.append(nearest)
    found = distances(
        query[np.concatenate(rows)], reference[np.concatenate(columns)], mirrored
    )
    return float(np.median(found.reshape(len(query), -1).min(axis=1)))
