# SPDX-License-Identifier: Apache-2.0
"""Judges what is left of the difference when one thumbnail lies over another.

Three questions, each as a share of the contrast of the pictures, so that brightness
and contrast do not matter: how much differs in all, how much of the detail differs, and
how much differs where most does. The last tells a picture from another one of the same
scene, texture, frame or layout, whose differences are local.
"""

import functools

import numpy as np

from components.leakage.perceptual import registration, thumbnail

# Swept on nine sets of about 4400 real pictures in all (photographs, tiles of
# photographs, cliparts, flags, stamps, screenshots of documents), 30 transforms of 100
# of each, and the likeliest pairs of different ones. Up to two thirds of the last limit
# transforms are lost; from four thirds, road signs of one shape, coins and cards pass.
# Pairs that pass are copies but for a letter, and diagrams that differ by a word.
_MAX_DIFFERENCE = 0.1
"""Largest 1 - correlation of all colours."""
_MAX_DETAIL = 0.2
"""Largest 1 - correlation of what a blur takes away."""
_MAX_LOCAL = 0.3
"""Largest mean squared difference of 5 x 5 pixels, in variances of the picture."""
_PATCH = 5
_MIN_PATCH = 0.6  # Share of a patch that both pictures must show.
_MIN_OVERLAP = 0.4  # Share of the judged pixels that both must show.
_DARK, _BRIGHT = 6.0, 249.0  # Beyond, a mean of pixels of 0 to 255 may be clipped.
_MIN_FREE = 0.3  # Share of the pixels that must not be clipped to be fitted alone.
_GAINS = (0.2, 5.0)
_MAX_BEND = 0.01  # Per grey level; a gamma of 0.5 or 2 bends about half as much.
_MAX_SOFTNESS = 1.0  # Blurs of one pixel that the pictures may differ by.
_MIN_VARIANCE = 1.0  # Of the brightness, squared grey levels; nothing to compare below.
_WORST = 1e3
_SIDE = thumbnail.SIDE
_EDGE = 2  # Pixels at each edge that are not judged.
_INNER = _SIDE - 2 * _EDGE


def distance(query: np.ndarray, reference: np.ndarray, warps: np.ndarray) -> np.ndarray:
    """Measures how much pictures differ that lie over each other.

    Args:
        query: Colours, float32 (m, 32, 32, 3), 0 to 255.
        reference: Likewise.
        warps: float32 (m, 2, 3): where in the query a point of the reference lies.

    Returns:
        float32 (m,): 0 for equal pictures, up to 1 for near-duplicates, at most 1000.
    """
    values, inside = registration.sample(_blur(query), warps, _points())
    values = np.ascontiguousarray(np.moveaxis(values, 2, 1))  # (m, 3, 784)
    smooth = _blur(reference)
    target, softness = _inner(smooth), _inner(_blur(smooth) - smooth)
    shown = inside[:, None].astype(np.float32)
    error = _tone_error(values, target, softness, shown)
    fitted = _centre(target - error, shown)
    target = _centre(target, shown)
    total = shown.sum(axis=(1, 2)) + 1e-6
    power = np.sqrt(_total(fitted, fitted) * _total(target, target))
    variance = power / total
    whole = 1 - _total(fitted, target) / (power + 1e-3)
    detail = 1 - _detail_correlation(fitted.sum(axis=1), target.sum(axis=1), inside)
    spread = (error**2).sum(axis=1) / (variance[:, None] + 1e-3)
    local = _largest_patch(spread, shown[:, 0])
    found = np.maximum(whole / _MAX_DIFFERENCE, detail / _MAX_DETAIL)
    found = np.maximum(found, local / _MAX_LOCAL)
    unseen = (total < _MIN_OVERLAP * _INNER**2) | (variance < _MIN_VARIANCE)
    return np.where(unseen, _WORST, np.clip(found, 0, _WORST)).astype(np.float32)


def _tone_error(
    values: np.ndarray, target: np.ndarray, softness: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """Difference of the target from the values with their tone fitted.

    One gain for all colours and an offset for each; how much the curve between them is
    bent, as by another gamma; and how much sharper one picture is than the other, as
    after resizing. Fitted to all pixels and to those that are not clipped; the better
    fit counts.
    """
    dark = (values <= _DARK) | (target <= _DARK)
    bright = (values >= _BRIGHT) | (target >= _BRIGHT)
    clipped = (dark | bright).any(axis=1, keepdims=True)
    # What is clipped in one picture says only that the other is at least as bright,
    # or as dark: a difference in that direction is none.
    at_least = (values >= _BRIGHT) | (target <= _DARK)
    at_most = (values <= _DARK) | (target >= _BRIGHT)

    def fit(rows: slice | np.ndarray, weight: np.ndarray) -> np.ndarray:
        error = _fit(values[rows], target[rows], softness[rows], weight)
        excused = (at_least[rows] & (error > 0)) | (at_most[rows] & (error < 0))
        error[excused] = 0
        error *= shown[rows]
        return error

    error = fit(slice(None), shown)
    free = shown * ~clipped
    share = free.sum(axis=(1, 2)) / (shown.sum(axis=(1, 2)) + 1e-6)
    rows = np.flatnonzero((share >= _MIN_FREE) & (share < 1))
    if len(rows):
        other = fit(rows, free[rows])
        better = _total(other, other) < _total(error[rows], error[rows])
        error[rows[better]] = other[better]
    return error


def _fit(
    values: np.ndarray, target: np.ndarray, softness: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Error of a fit to weighted pixels, at all pixels: float32 (m, 3, k)."""
    total = weight.sum(axis=2, keepdims=True) + 1e-6
    centred = values - (values * weight).sum(axis=2, keepdims=True) / total
    aim = target - (target * weight).sum(axis=2, keepdims=True) / total
    weighted = centred * weight
    gain = _total(weighted, aim) / (_total(weighted, centred) + 1e-3)
    centred *= np.clip(gain, *_GAINS)[:, None, None]
    aim -= centred
    bend = centred * centred
    bend -= (bend * weight).sum(axis=2, keepdims=True) / total
    for extra, bound in ((bend, _MAX_BEND), (softness, _MAX_SOFTNESS)):
        weighted = extra * weight
        amount = _total(weighted, aim) / (_total(weighted, extra) + 1e-3)
        aim -= np.clip(amount, -bound, bound)[:, None, None] * extra
    return aim


def _detail_correlation(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Correlation of what a blur takes away from greys (m, 784): float32 (m,)."""
    inner = inside.reshape(-1, _INNER, _INNER)
    for _ in range(2):  # Pixels whose surroundings are shown.
        eroded = inner.copy()
        eroded[:, 1:] &= inner[:, :-1]
        eroded[:, :-1] &= inner[:, 1:]
        eroded[:, :, 1:] &= inner[:, :, :-1]
        eroded[:, :, :-1] &= inner[:, :, 1:]
        inner = eroded
    weight = inner.reshape(len(inner), 1, _INNER**2).astype(np.float32)
    details = []
    for grey in (first, second):
        picture = grey.reshape(-1, _INNER, _INNER, 1)
        detail = picture - _blur(_blur(_blur(picture)))
        details.append(_centre(detail.reshape(len(grey), 1, _INNER**2), weight))
    one, other = details
    power = np.sqrt(_total(one, one) * _total(other, other))
    return _total(one, other) / (power + 1e-3)


def _largest_patch(error: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Largest mean of an error (m, 784) over a patch that is shown: float32 (m,)."""
    count = _patch_sums(shown)
    mean = _patch_sums(error * shown) / np.maximum(count, 1)
    return np.where(count >= _MIN_PATCH * _PATCH**2, mean, 0).max(axis=(1, 2))


def _patch_sums(values: np.ndarray) -> np.ndarray:
    sums = values.reshape(-1, _INNER, _INNER)
    last = _INNER - _PATCH + 1
    sums = np.add.reduce([sums[:, i : i + last] for i in range(_PATCH)])
    return np.add.reduce([sums[:, :, i : i + last] for i in range(_PATCH)])


def _total(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum of the products of (m, c, k) over channels and pixels: (m,)."""
    return np.einsum("mck,mck->m", first, second)


def _inner(pictures: np.ndarray) -> np.ndarray:
    """Judged pixels of pictures (m, 32, 32, 3): (m, 3, 784)."""
    inner = pictures[:, _EDGE:-_EDGE, _EDGE:-_EDGE]
    return np.ascontiguousarray(
        np.moveaxis(inner.reshape(len(inner), _INNER**2, 3), 2, 1)
    )


def _centre(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Values (m, c, k) less the mean of those that are shown; the others are 0."""
    total = shown.sum(axis=2, keepdims=True) + 1e-6
    return (values - (values * shown).sum(axis=2, keepdims=True) / total) * shown


def _blur(pictures: np.ndarray) -> np.ndarray:
    """Binomial blur, 1 2 1 in each direction, of pictures (m, h, w, c)."""
    down = 2 * pictures
    down[:, 1:] += pictures[:, :-1]
    down[:, :-1] += pictures[:, 1:]
    down[:, 0] += pictures[:, 0]
    down[:, -1] += pictures[:, -1]
    right = 2 * down
    right[:, :, 1:] += down[:, :, :-1]
    right[:, :, :-1] += down[:, :, 1:]
    right[:, :, 0] += down[:, :, 0]
    right[:, :, -1] += down[:, :, -1]
    return right * np.float32(1 / 16)


@functools.lru_cache(maxsize=1)
def _points() -> np.ndarray:
    points = registration.pixel_centres().reshape(_SIDE, _SIDE, 2)
    return points[_EDGE:-_EDGE, _EDGE:-_EDGE].reshape(-1, 2)
