# SPDX-License-Identifier: Apache-2.0
"""The learning rate of any Keras optimizer: read, and set where it can be."""

import keras


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns the optimizer that steps, without what scales its loss."""
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer


def is_adjustable(optimizer: keras.optimizers.Optimizer) -> bool:
    """Returns whether the rate is a number that can be set.

    It is not where it follows a schedule or a function.
    """
    # Keras has no public way to tell: a schedule answers with a tensor, too.
    return isinstance(getattr(inner(optimizer), "_learning_rate", None), keras.Variable)


def get(optimizer: keras.optimizers.Optimizer) -> float:
    """Returns the rate of the next step."""
    return float(keras.ops.convert_to_numpy(inner(optimizer).learning_rate))


def put(optimizer: keras.optimizers.Optimizer, rate: float) -> None:
    """Sets the rate, of an optimizer that `is_adjustable`."""
    inner(optimizer).learning_rate = rate
