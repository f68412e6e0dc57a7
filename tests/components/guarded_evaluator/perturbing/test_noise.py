# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_evaluator.perturbing.noise import (
    NOISE,
    Scale,
    add_noise,
    estimate_scales,
)


def rows(values):
    return [{"x": np.asarray(row, np.float32).reshape(-1)} for row in values]


def test_each_position_has_a_scale_of_its_own():
    values = np.random.default_rng(0).normal([0, 5, 9], [1, 10, 0], (400, 3))
    scale = estimate_scales(rows(values))["x"]
    np.testing.assert_allclose(scale.deviation[:2], values.std(axis=0)[:2], rtol=1e-5)
    assert scale.deviation[2] == 0  # All nines, which are integers as well.
    np.testing.assert_allclose(scale.low[0], values[:, 0].min(), rtol=1e-5)


def test_lists_of_many_lengths_share_one_scale():
    scale = estimate_scales(rows([[0.5, 1.5], [2.5], [3.5, 4.5, 5.5]]))["x"]
    assert scale.deviation.shape == (1,)
    assert scale.deviation[0] == pytest.approx(np.std([0.5, 1.5, 2.5, 3.5, 4.5, 5.5]))


@pytest.mark.parametrize(
    "values",
    [
        [[1.0], [2.0], [7.0]],  # Codes or counts.
        [[0.25], [0.25]],  # A constant.
        [[np.nan], [np.nan]],
        [[], []],
        [],
    ],
)
def test_codes_constants_and_nothing_are_left_alone(values):
    assert estimate_scales(rows(values)) == {}


def test_values_that_are_not_finite_do_not_count():
    given = estimate_scales(rows([[0.5], [1.5], [np.nan], [np.inf]]))["x"]
    assert given.deviation[0] == pytest.approx(0.5)
    assert (given.low[0], given.high[0]) == (0.5, 1.5)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    st.binary(max_size=8),
)
def test_noise_is_small_stays_in_range_and_repeats(values, seed):
    values = np.array(values, np.float32)
    scale = Scale(np.array([10.0]), np.array([-50.0]), np.array([50.0]))
    moved = add_noise(values, scale, seed)
    again = add_noise(values, scale, seed)
    if moved is None:
        # Nothing but 0, or but the end of the range and beyond.
        assert again is None
        assert np.all((values == 0) | (np.abs(values) >= 50))
        return
    assert np.array_equal(moved, again)
    assert moved.dtype == np.float32
    assert np.all(np.abs(moved - values) <= 10 * NOISE + 1e-4)
    assert np.all(moved[values == 0] == 0)
    inside = np.abs(values) <= 50
    assert np.all(np.abs(moved[inside]) <= 50)


def test_directions_are_even_and_differ_by_seed():
    scale = Scale(np.array([1.0]), np.array([-9.0]), np.array([9.0]))
    values = np.ones(10_000, np.float32)
    first, second = (add_noise(values, scale, seed) > 1 for seed in (b"a", b"b"))
    assert abs(first.mean() - 0.5) < 0.03
    assert abs((first == second).mean() - 0.5) < 0.03


def test_nan_stays_and_another_number_of_values_is_left_alone():
    scale = Scale(np.ones(2), -9 * np.ones(2), 9 * np.ones(2))
    moved = add_noise(np.array([np.nan, 1.0], np.float32), scale, b"")
    assert np.isnan(moved[0])
    assert moved[1] != 1.0
    assert add_noise(np.ones(3, np.float32), scale, b"") is None
