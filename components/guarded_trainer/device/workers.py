# SPDX-License-Identifier: Apache-2.0
"""Lets Keras 3 train on several workers, and keeps their models the same."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a strategy spans several workers."""
    # As Keras asks, in the very functions that do not work then.
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.extended._in_multi_worker_mode()
    )


def least(strategy: tf.distribute.Strategy, number: int) -> int:
    """Returns the smallest of the numbers that the workers call this with.

    So they agree on the checkpoint to go on from: when a training is killed, one may
    have saved an epoch that another has not. A process alone gets its own number.
    """
    if not is_multi_worker(strategy):
        return number

    def gather() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        return context.all_gather(tf.constant([number], tf.int64), axis=0)

    gathered = tf.function(lambda: strategy.run(gather), autograph=False)()
    return int(tf.reduce_min(strategy.experimental_local_results(gathered)[0]))


@contextlib.contextmanager
def fittable(model: keras.Model) -> Iterator[None]:
    """Lets `fit` and `evaluate` of a compiled model work under its strategy.

    Keras 3 cannot fit under MultiWorkerMirroredStrategy (keras-team/keras#20585, open
    as of Keras 3.12): it reduces a batch that is spread over the workers before it
    builds the model, and takes scalar logs for vectors. Within this context, a model
    is built from this worker's part of a batch, and steps average their logs. What
    a step computes stays the model's own `train_step` and `test_step`. Models
    under any other strategy are not touched.
    """
    strategy = model.distribute_strategy
    if not is_multi_worker(strategy):
        yield
        return

    def build(iterator: Any = None, data_batch: Any = None) -> None:
        for _, _, batches in iterator or ():
            data_batch = tf.nest.map_structure(
                lambda part: strategy.experimental_local_results(part)[0], next(batches)
            )
            break
        with strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    model._maybe_symbolic_build = build
    # `fit` and `evaluate` make these only where there are none.
    model.train_function = _steps(model, strategy, model.train_step)
    model.test_function = _steps(model, strategy, model.test_step)
    try:
        yield
    finally:
        # Uncovers the method of the class again.
        del model._maybe_symbolic_build
        model.train_function = model.test_function = None


def _steps(
    model: keras.Model, strategy: tf.distribute.Strategy, step: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Returns a function from an iterator of batches to the logs of the last step."""

    def one_step(iterator: Any) -> Any:
        logs = strategy.run(step, args=(next(iterator),))
        return tf.nest.map_structure(
            lambda log: strategy.reduce("MEAN", log, axis=None), logs
        )

    if not model.run_eagerly:
        one_step = tf.function(one_step, reduce_retracing=True, autograph=False)

    def steps(iterator: Any) -> Any:
        logs = None
        try:
            for _ in range(model.steps_per_execution):
                logs = one_step(iterator)
        except tf.errors.OutOfRangeError:
            if logs is None:
                raise StopIteration from None
        return logs

    return steps


class AverageBatchNorm(keras.callbacks.Callback):
    """Gives all replicas the mean of their moving statistics, once per epoch.

    Each replica normalises with, and remembers, the statistics of its own part of the
    batches. Keras 3 leaves it at that, so that what a model answers depends on the
    replica, and workers that decide by what they see would decide differently. The
    mean is what TensorFlow's own BatchNorm has always kept.
    """

    def __init__(self, layers: Sequence[keras.layers.BatchNormalization]):
        """Constructs the callback.

        Args:
          layers: Those that training updates.
        """
        super().__init__()
        self._variables = [
            variable
            for layer in layers
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        self._fresh = True
        self._means: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins anew."""
        self._fresh = True
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1 or not self._variables:
            self._means = None
            return

        def mean_over_replicas() -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            values = [tf.identity(variable.value) for variable in self._variables]
            return list(context.all_reduce("MEAN", values))

        self._means = tf.function(
            lambda: strategy.run(mean_over_replicas), autograph=False
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Notes that the statistics have moved."""
        self._fresh = False

    def on_test_begin(self, logs: Any = None) -> None:
        """Averages before the held-out rows are scored."""
        self._average()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Averages where nothing was scored."""
        self._average()

    def _average(self) -> None:
        if self._fresh or self._means is None:
            return
        strategy = self.model.distribute_strategy
        for variable, mean in zip(self._variables, self._means(), strict=True):
            variable.assign(strategy.experimental_local_results(mean)[0])
        self._fresh = True
