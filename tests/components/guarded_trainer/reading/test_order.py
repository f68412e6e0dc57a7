# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import tensorflow as tf

from components.guarded_trainer.reading.order import shuffle, shuffled_batches


def positions(num_rows, batch_size, seed=0, first_epoch=0, batches=None):
    steps = -(-num_rows // batch_size)
    drawn = shuffled_batches(num_rows, batch_size, seed, first_epoch)
    return [
        (int(step), rows.tolist())
        for step, rows in drawn.take(batches or steps).as_numpy_iterator()
    ]


@pytest.mark.parametrize(
    ("num_rows", "batch_size", "sizes"),
    [(6, 3, [3, 3]), (7, 3, [3, 3, 1]), (2, 3, [2]), (1, 1, [1])],
)
def test_each_row_is_in_one_batch_of_an_epoch(num_rows, batch_size, sizes):
    batches = positions(num_rows, batch_size)
    assert [len(rows) for _, rows in batches] == sizes
    assert sorted(itertools.chain(*(rows for _, rows in batches))) == list(
        range(num_rows)
    )


def test_steps_are_counted_from_the_first_epoch():
    assert [step for step, _ in positions(7, 3, batches=7)] == list(range(7))
    assert [step for step, _ in positions(7, 3, first_epoch=2)] == [6, 7, 8]


def test_epoch_can_be_taken_up_anywhere():
    whole = positions(10, 4, seed=3, batches=9)
    assert positions(10, 4, seed=3, first_epoch=2) == whole[6:]


def test_rows_are_equally_likely_in_every_place():
    # The first batch of each epoch.
    firsts = [rows[0] for _, rows in positions(4, 4, batches=400)]
    counts = np.bincount(firsts, minlength=4)
    # Four standard errors of a binomial count.
    assert np.abs(counts - 100).max() < 4 * np.sqrt(400 * 0.25 * 0.75)


def test_shuffle_keeps_texts_and_depends_on_both_seeds():
    values = tf.constant([f"{i}" for i in range(20)])
    once = shuffle(values, 1, 2).numpy().tolist()
    assert sorted(once) == sorted(values.numpy().tolist())
    assert shuffle(values, 1, tf.constant(2)).numpy().tolist() == once
    for seeds in ((1, 3), (2, 2), (2, 1)):
        assert shuffle(values, *seeds).numpy().tolist() != once
