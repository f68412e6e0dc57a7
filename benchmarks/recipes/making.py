# SPDX-License-Identifier: Apache-2.0
"""Makers of optimizers and initializers; an optimizer serves one model only."""

import keras
from keras import optimizers


def adam(rate=1e-3, **options):
    return lambda: optimizers.Adam(rate, **options)


def sgd(rate=0.1, momentum=0.0, **options):
    return lambda: optimizers.SGD(rate, momentum=momentum, **options)


def rmsprop(rate=1e-3):
    return lambda: optimizers.RMSprop(rate)


def normal(deviation):
    return keras.initializers.RandomNormal(stddev=deviation, seed=1)
