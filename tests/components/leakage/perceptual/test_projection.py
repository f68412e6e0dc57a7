# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.leakage.perceptual import projection, thumbnail

SEEDS = st.integers(0, 2**32 - 1)


def _descriptors(seed, count):
    found = np.random.default_rng(seed).integers(
        0, 256, (count, thumbnail.LENGTH), np.uint8
    )
    found[:, -2:] = 50
    return found


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("aspect_class", [-1.5, 0.0, 1.5])
def test_no_sum_can_leave_the_integers_of_float32(aspect_class, mirrored):
    matrix = projection.query_matrix(aspect_class, mirrored)
    assert (matrix == np.round(matrix)).all()
    assert np.abs(matrix.astype(np.float64)).sum(axis=-1).max() * 510 < 2**24


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(1, 40), st.data())
def test_values_do_not_depend_on_the_batch(seed, count, data):
    inputs = projection.inputs(_descriptors(seed, count))
    matrix = projection.query_matrix(0.0, False)
    together = projection.project(inputs, matrix)
    at = data.draw(st.integers(0, count - 1))
    alone = projection.project(inputs[at : at + 1], matrix)
    np.testing.assert_array_equal(together[at], alone[0])
    exact = inputs[at].astype(np.int64) @ matrix[3, 1, 5].astype(np.int64)
    assert together[at, 3, 1, 5] == exact


@given(SEEDS, st.integers(1, 100))
def test_brightness_drops_out(seed, change):
    descriptors = _descriptors(seed, 1) // 2
    brighter = descriptors.copy()
    brighter[:, :-2] += np.uint8(change)
    np.testing.assert_allclose(
        projection.inputs(brighter), projection.inputs(descriptors), atol=4
    )


def test_contrast_is_in_grey_levels():
    cycle = np.cos(np.pi * 2 * (np.arange(32) + 0.5) / 32)
    for level in (1, 10, 50):
        grey = np.round(128 + level * np.broadcast_to(cycle, (32, 32)))
        descriptor = np.full((1, thumbnail.LENGTH), 50, np.uint8)
        descriptor[0, :-2] = np.repeat(grey.ravel(), 3)
        values = projection.project(
            projection.inputs(descriptor), projection.reference_matrix()
        )
        found = projection.contrast(values[0, 0])
        assert 0.4 * level < found < 2.5 * level


def test_second_set_alone_is_that_of_both():
    both = projection.query_matrix(0.25, False)
    alone = projection.query_matrix(0.25, False, 1)
    np.testing.assert_array_equal(both[:, 1:], alone)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((50, 50), 0), ((58, 50), 1), ((90, 50), 1.5), ((0, 50), -1.5)],
)
def test_aspect_is_classed_and_bounded(size, expected):
    descriptor = np.zeros((1, thumbnail.LENGTH), np.uint8)
    descriptor[0, -2:] = size
    assert projection.aspect_classes(descriptor)[0] == expected
