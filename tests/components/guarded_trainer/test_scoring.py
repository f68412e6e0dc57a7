# SPDX-License-Identifier: Apache-2.0
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.guarded_trainer.head import Head
from components.guarded_trainer.scoring import Scorer


def test_score_by_hand():
    head = Head(3, 3, logits=False, one_hot=False)
    outputs = np.array(
        [[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2]],
        np.float32,
    )
    rows = tf.data.Dataset.from_tensor_slices((outputs, [0, 1, 1, 1]))
    model = keras.Sequential([keras.Input((3,)), layers.Identity()])
    scored = Scorer(model, head).score(rows)
    # On a tie the first class is the answer; probabilities are clipped at 1e-7.
    assert scored.accuracy == 0.25
    expected = -np.log([0.5, 0.2, 1e-7, 0.4]).mean()
    assert scored.loss == pytest.approx(expected, rel=1e-5)


def test_score_of_predictions_that_are_not_finite():
    head = Head(2, 2, logits=False, one_hot=False)
    outputs = np.array([[math.nan, math.nan], [0.0, 1.0]], np.float32)
    rows = tf.data.Dataset.from_tensor_slices((outputs, [0, 1]))
    model = keras.Sequential([keras.Input((2,)), layers.Identity()])
    scored = Scorer(model, head).score(rows)
    assert math.isnan(scored.loss)
    assert scored.accuracy == 0.5


def test_score_of_no_rows_is_unknown():
    head = Head(2, 2, logits=False, one_hot=False)
    rows = tf.data.Dataset.from_tensor_slices((np.zeros((0, 2), np.float32), []))
    model = keras.Sequential([keras.Input((2,)), layers.Identity()])
    scored = Scorer(model, head).score(rows)
    assert math.isnan(scored.loss)
    assert math.isnan(scored.accuracy)
