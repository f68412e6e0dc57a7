# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from components.guarded_trainer.head import Head
from components.guarded_trainer.probe.measures import Numbers, cross_entropy


def test_numbers_come_out_as_they_went_in():
    numbers = Numbers()
    numbers.put("a", "x", tf.constant([1, 2]))
    numbers.put("b", "x", tf.constant(3.0))
    numbers.put("a", "x", tf.constant([[4.0], [5.0]]))
    found = numbers.unpack(numbers.pack().numpy())
    assert list(found) == [("a", "x"), ("b", "x")]
    first, second = found["a", "x"]
    assert first.tolist() == [1, 2]
    assert second.tolist() == [[4], [5]]
    assert found["b", "x"][0] == 3


def test_numbers_of_unknown_shape_are_left_out():
    numbers = Numbers()

    @tf.function(input_signature=[tf.TensorSpec((None,))])
    def pack(x):
        numbers.put("a", "unknown", x)
        numbers.put("a", "known", tf.reduce_sum(x))
        return numbers.pack()

    assert list(numbers.unpack(pack(tf.ones(3)).numpy())) == [("a", "known")]


def test_no_numbers_are_an_empty_vector():
    numbers = Numbers()
    assert numbers.unpack(numbers.pack().numpy()) == {}


@pytest.mark.parametrize("units", [1, 3])
def test_loss_of_a_sure_and_wrong_model_is_finite(units):
    head = Head(max(units, 2), units, logits=False, one_hot=False)
    outputs = tf.constant([[1.0]] if units == 1 else [[0.0, 1.0, 0.0]])
    loss = cross_entropy(head, outputs, tf.constant([0], tf.int64))
    assert loss.numpy() == pytest.approx([-np.log(1e-7)], rel=1e-3)


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("units", [1, 3])
def test_loss_of_nan_is_nan(units, logits):
    head = Head(max(units, 2), units, logits=logits, one_hot=False)
    loss = cross_entropy(head, tf.fill((2, units), np.nan), tf.constant([0, 1]))
    assert np.isnan(loss).all()
