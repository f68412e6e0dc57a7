# SPDX-License-Identifier: Apache-2.0
"""The order in which rows are trained on: anew in each epoch, and always the same.

The order of an epoch is computed from the seed and the epoch's number alone, without
state: not from earlier epochs, the global seed, the number of threads, or how often
the data set was iterated before. So a killed training can go on at any epoch, and all
workers of a distributed training agree without talking to each other.
"""

from collections.abc import Callable

import tensorflow as tf


def endless(
    of_epoch: Callable[[tf.Tensor], tf.data.Dataset], first_epoch: int
) -> tf.data.Dataset:
    """Returns the data sets of all epochs from `first_epoch` on, one after another.

    Args:
      of_epoch: Makes the data set of an epoch, given its number, int64, scalar.
      first_epoch: Number of the first epoch, from 0.
    """
    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(of_epoch)
    return shared_by_batch(epochs)


def shared_by_batch(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the same batches, each of which workers share between them.

    By default they would share the files, where there are some, and so train on
    batches that no single machine would see.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return batches.with_options(options)


def shuffle(values: tf.Tensor, *seeds: int | tf.Tensor) -> tf.Tensor:
    """Returns `values` in a random order that depends on two integers alone.

    The generator is named since TensorFlow's own choice depends on the device.
    """
    seed = tf.stack([tf.cast(s, tf.int64) for s in seeds])
    return tf.random.experimental.stateless_shuffle(values, seed, alg="philox")


def shuffled_batches(
    num_rows: int, batch_size: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Returns endless (step, positions) pairs: which rows make each batch.

    Args:
      num_rows: Number of rows.
      batch_size: Positions in a batch; the last one of an epoch may have fewer.
      seed: Seed of the order.
      first_epoch: Epoch to begin with.

    Returns:
      The step, counted from the first of epoch 0, int64, scalar; and positions from 0
      to num_rows - 1, int64, shape (batch,). Each occurs once in an epoch.
    """
    steps = -(-num_rows // batch_size)

    def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = shuffle(tf.range(num_rows, dtype=tf.int64), seed, epoch)
        return tf.data.Dataset.range(steps).map(
            lambda i: (
                epoch * steps + i,
                order[i * batch_size : (i + 1) * batch_size],
            )
        )

    return endless(of_epoch, first_epoch)
