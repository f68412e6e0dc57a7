# SPDX-License-Identifier: Apache-2.0
"""Decides on the content of two thumbnails whether they are near-duplicates."""

from typing import NamedTuple

import numpy as np

from components.leakage.perceptual import (
    projection,
    registration,
    residual,
    signature,
    thumbnail,
    warps,
)

LIMIT_SHARE = 0.04
"""Largest distance of near-duplicates as a share of the distance of different pictures
of their kind, where these look so much alike that it is below 1. Swept on handwritten
digits of 8 x 8 and of 28 x 28 pixels and on clothes of 28 x 28 pixels, all different:
with 0.04, 0 to 0.4 % of them passed for near-duplicates; with 0.1, 2 to 7 %."""
_STARTS = 3  # Warps that are refined for each pair.
_MIN_COSINE = 0.6  # Of the hashed vectors; with less there is nothing to refine.
_CHUNK = 64  # Pairs at once, so that caches hold them.
_FURTHEST = 1e3  # Distance of pairs that have nothing in common.
_MIN_LIMIT = 0.02  # What resizing leaves of equal pictures.
_MIN_SAMPLE = 20  # Pictures without which nothing is known of the others.
_SAMPLE = 64  # Pictures whose surroundings are measured.
_RANK_SHARE = 0.01  # A group of copies that is larger hides what is different.
_RANKS = (0, 4, 8)  # Beyond that rank; the furthest counts, so that copies do not.
_KIND = 5  # Measured pictures that are of the kind of another one.


class Background(NamedTuple):
    """How far different pictures of a data set are from each other, by their kind."""

    vectors: np.ndarray
    """Hashed vectors of some pictures, float32 (s, 64), of length 1."""
    distances: np.ndarray
    """Distance of each to the most alike of the others, float32 (s,)."""


def verify(
    query: np.ndarray,
    reference: np.ndarray,
    mirrored: bool,
    background: Background | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compares pairs of pictures.

    Args:
        query: uint8 (m, 3074) as of `thumbnail.describe`; m may be 0.
        reference: Likewise; row i is compared with row i of `query`.
        mirrored: Whether mirror images are near-duplicates.
        background: As of `measure_background`; None, all pictures may look different.

    Returns:
        Similarity float32 (m,), 1 for equal pictures, above 0.5 for near-duplicates,
        and bool (m,), whether they are.
    """
    found = distances(query, reference, mirrored)
    limit = np.ones(len(query), np.float32)
    near = np.flatnonzero(found < 1)
    if background is not None and len(near):
        limit[near] = _limits(reference[near], background)
    # Half at the limit, so that pairs of all kinds compare alike.
    return limit / (limit + found), found < limit


def measure_background(reference: np.ndarray, mirrored: bool) -> Background | None:
    """Measures how far different pictures are from each other.

    Args:
        reference: Sample of the reference split, uint8 (b, 3074); b may be 0.
        mirrored: Whether mirror images are near-duplicates.

    Returns:
        The background, or None if there are too few pictures to tell.
    """
    _, _, usable = signature.index(reference)
    reference = reference[usable]
    if len(reference) < _MIN_SAMPLE:
        return None
    vectors = _vectors(reference, projection.reference_matrix(1))[:, 0]
    chosen = np.arange(0, len(reference), max(1, len(reference) // _SAMPLE))[:_SAMPLE]
    classes = projection.aspect_classes(reference)
    first = max(2, round(_RANK_SHARE * len(reference)))
    neighbours = []
    for row in chosen:
        matrix = projection.query_matrix(float(classes[row]), mirrored, 1)
        warped = _vectors(reference[row : row + 1], matrix)[0]
        cosine = (vectors @ warped.T).max(axis=1)
        cosine[row] = -1
        order = np.argsort(-cosine, kind="stable")
        neighbours.append(order[[first + rank for rank in _RANKS]])
    found = distances(
        reference[np.repeat(chosen, len(_RANKS))],
        reference[np.concatenate(neighbours)],
        mirrored,
    )
    return Background(vectors[chosen], found.reshape(len(chosen), -1).max(axis=1))


def _limits(reference: np.ndarray, background: Background) -> np.ndarray:
    """Largest distances of near-duplicates of pictures (m, 3074): float32 (m,)."""
    vectors = _vectors(reference, projection.reference_matrix(1))[:, 0]
    cosine = np.einsum("mk,sk->ms", vectors, background.vectors)
    kind = np.argsort(-cosine, axis=1, kind="stable")[:, :_KIND]
    typical = np.median(background.distances[kind], axis=1)
    return np.clip(LIMIT_SHARE * typical, _MIN_LIMIT, 1)


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
