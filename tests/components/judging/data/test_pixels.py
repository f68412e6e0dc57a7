# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.judging.data import pixels
from components.judging.data.pixels import LevelFinder, OffLevelsError


def find(*chunks):
    finder = LevelFinder()
    for chunk in chunks:
        finder.add(np.asarray(chunk))
    return finder.levels


@pytest.fixture
def stored():
    numbers = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1))
    numbers[0, 0, :2, 0] = 0, 255
    return numbers.astype(np.uint8)


@pytest.mark.parametrize(
    "scale",
    [
        lambda x: x,
        lambda x: x.astype(np.float64),
        lambda x: x / 255,
        lambda x: x.astype(np.float32) / np.float32(255),
        lambda x: x * np.float32(1 / 255),
        lambda x: x / 127.5 - 1,
        lambda x: (x.astype(np.float32) - 33.3) / 78.6,
        lambda x: x // 16 / 16,
        lambda x: x // 128,
    ],
)
def test_numbers_come_back_from_bytes(stored, scale):
    numbers = scale(stored)
    levels = find(numbers[:3], numbers[3:])
    given = levels.values[levels.to_bytes(numbers)]
    assert np.array_equal(given, numbers.astype(np.float32))


def test_few_levels_are_stretched_over_the_bytes():
    assert find(np.arange(17) / 16).to_bytes(np.array([0, 1])).tolist() == [0, 240]


def test_between_levels_numbers_are_interpolated():
    levels = find(np.arange(17.0))
    assert levels.values[15] == 1
    assert 1 < levels.values[20] < 2


@pytest.mark.parametrize(
    "numbers",
    [
        np.random.default_rng(0).normal(size=100),
        [0.0, np.nan],
        [0.0, np.inf],
        [0, 1, 256],
        [-1, 0, 300],
        [],
    ],
)
def test_numbers_that_are_no_levels_have_none(numbers):
    assert find(numbers) is None


def test_splits_that_are_scaled_unlike_each_other_have_no_common_levels(stored):
    assert find(stored, stored / 255) is None
    assert find(stored / 255, stored) is None


def test_other_numbers_than_those_looked_at_are_refused(stored):
    levels = find(stored)
    with pytest.raises(OffLevelsError):
        levels.to_bytes(np.array([0.5]))
    with pytest.raises(OffLevelsError):
        find(np.array([0, 100])).to_bytes(np.array([200]))


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((8, 8, 1), "float32", True),
        ((8, 8, 3), "uint8", True),
        ((8, 8), "uint8", True),
        ((8, 8), "float32", False),  # A sequence has this shape as well.
        ((8, 8, 4), "uint8", False),
        ((1, 8, 3), "uint8", False),
        ((64,), "uint8", False),
        ((8, 8, 3), "object", False),
        ((4, 8, 8, 3), "uint8", False),
    ],
)
def test_pictures_are_told_by_shape_and_type(shape, dtype, expected):
    assert pixels.may_be_pictures(shape, np.dtype(dtype)) is expected
