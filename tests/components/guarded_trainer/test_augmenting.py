# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.augmentation.settings import AugmentationConfig
from components.guarded_trainer.augmenting import (
    preset_augment,
    refuse_both,
    value_range,
)

LIGHT = AugmentationConfig(preset="light")


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([0, 3], np.uint8), (0.0, 255.0)),
        (np.array([0.0, 1.0]), (0.0, 1.0)),
        (np.array([0.0, 1.01]), (0.0, 255.0)),
        (np.array([-0.5, 1.0]), (-1.0, 1.0)),
        (np.array([-3.0, 2.0]), (-3.0, 2.0)),
        (np.array([]), (0.0, 1.0)),
    ],
)
def test_the_range_is_told_by_the_pixels(pixels, expected):
    assert value_range(pixels) == expected


def test_a_preset_stays_in_the_range():
    rows = tf.random.stateless_uniform((8, 6, 6, 1), (0, 0))
    augment = preset_augment(LIGHT, rows)
    varied = augment(rows, tf.constant([1, 2], tf.int64)).numpy()
    assert varied.shape == rows.shape
    assert -0.5 < varied.min() < varied.max() < 1.5
    assert np.abs(varied - rows).max() > 0


def test_nothing_is_varied_unasked():
    assert preset_augment(AugmentationConfig(), {"a": 1}) is None
    refuse_both(AugmentationConfig(), "model.py")


def test_pictures_are_needed_and_only_one_of_both_counts():
    with pytest.raises(InputError, match="expected pictures"):
        preset_augment(LIGHT, tf.zeros((3, 5)))
    with pytest.raises(InputError, match="expected pictures.*several features"):
        preset_augment(LIGHT, {"a": tf.zeros((3, 4, 4, 1))})
    with pytest.raises(InputError, match="`augment` of model.py.*'light'"):
        refuse_both(LIGHT, "model.py")
