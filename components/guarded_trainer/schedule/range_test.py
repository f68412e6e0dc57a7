# SPDX-License-Identifier: Apache-2.0
"""The learning-rate range test: which rate a model can be trained at.

Smith ("Cyclical Learning Rates for Training Neural Networks", 2017,
arXiv:1506.01186) raises the rate from step to step and looks at the loss: it falls
where the rate is large enough to matter, and rises where it is too large.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.schedule import rate

_SMALLEST, _LARGEST = 1e-7, 10.0
_SMOOTHING = 0.9
"""Share of the past in the running mean of the loss: about 10 steps of 100, an eighth
of a decade of rates."""
_DIVERGED = 4.0
"""The test ends at so many times the lowest loss, as fastai's does."""
_MARGIN = 10.0
"""The rate proposed lies at least so far below the one at which the loss is lowest:
there it is about to rise."""
_LEAST_GAIN = 0.05
"""Least share of the initial loss that must be gained, else the curve says nothing."""
_AT_REST = 0.2
"""Share of the steps, at the lowest rates, whose losses tell the initial loss and how
much batches differ: there weights hardly move."""


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Attributes:
      rates: The rate of each step, ascending.
      losses: The loss of each step's batch, before the step, in training mode.
      proposal: The rate to train at; None if the loss fell at no rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    proposal: float | None


def find_learning_rate(
    model: keras.Model,
    batches: tf.data.Dataset,
    *,
    num_steps: int = 100,
    class_weight: Mapping[int, float] | None = None,
    smallest: float = _SMALLEST,
    largest: float = _LARGEST,
) -> RangeTest:
    """Sweeps the rate through its orders of magnitude, and forgets the training.

    The steps are the model's own: its `train_step`, loss and optimizer. Afterwards
    all variables of model and optimizer, the counters of dropout among them, are as
    they were before, bit for bit.

    Args:
      model: Built and compiled.
      batches: What `model.fit` is given; at least one batch. They are repeated where
        they are fewer than the steps.
      num_steps: Steps, each at a rate a constant factor higher than the last; with
        `steps_per_execution` n, n steps share a rate.
      class_weight: What `model.fit` is given.
      smallest: Rate of the first step.
      largest: Rate of the last step, unless the loss diverges before.

    Raises:
      InputError: If the rate of the model's optimizer cannot be set.
    """
    if not rate.is_adjustable(model.optimizer):
        raise InputError(
            "schedule.range_test: expected an optimizer whose learning rate is a "
            "number, but it follows a schedule; compile the model with a number, or "
            "leave the range test out"
        )
    sweep = _Sweep(np.geomspace(smallest, largest, num_steps))
    with model.distribute_strategy.scope():
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    try:
        model.fit(
            batches.repeat(),
            steps_per_epoch=num_steps,
            class_weight=dict(class_weight) if class_weight else None,
            callbacks=[sweep],
            verbose=0,
        )
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    return RangeTest(
        tuple(sweep.rates), tuple(sweep.losses), propose(sweep.rates, sweep.losses)
    )


def propose(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Reads a rate off the curve of a range test.

    It is the rate of the steepest descent of the smoothed loss over the logarithm of
    the rate, but at most a tenth of the one where the loss is lowest.

    Args:
      rates: Ascending, at least two.
      losses: Of the same length; NaN and infinity end the curve.

    Returns:
      None if the smoothed loss never fell below the initial one by a twentieth.
    """
    finite = np.isfinite(losses)
    end = len(losses) if finite.all() else int(np.argmin(finite))
    if end < 2:
        return None
    initial = float(np.median(losses[: max(int(_AT_REST * len(losses)), 1)]))
    # A loss that explodes must not drown the steps before.
    curve = np.minimum(np.asarray(losses[:end], np.float64), 2 * initial)
    half_width = max(len(losses) // 20, 1)
    smooth = _centred(curve, min(half_width, (end - 1) // 2))
    lowest = int(np.argmin(smooth))
    fallen = smooth[: lowest + 1] < (1 - _LEAST_GAIN) * initial
    if not fallen[-1]:
        return None
    # Batches differ, so that the loss may dip before the rate has any effect: only
    # the last descent counts.
    begin = 0 if fallen.all() else lowest - int(np.argmin(fallen[::-1]))
    slopes = np.gradient(smooth, np.log(np.asarray(rates[:end], np.float64)))
    steepest = begin + int(np.argmin(slopes[begin : lowest + 1]))
    return float(min(rates[steepest], rates[lowest] / _MARGIN))


class _Sweep(keras.callbacks.Callback):
    """Sets the rate of each step, and keeps its loss."""

    def __init__(self, planned: np.ndarray) -> None:
        super().__init__()
        self._planned = planned
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Else Keras reports the mean over all steps so far.
        self.model.reset_metrics()
        rate.put(self.model.optimizer, float(self._planned[batch]))

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        loss = float((logs or {}).get("loss", math.nan))
        self.rates.append(rate.get(self.model.optimizer))
        self.losses.append(loss)
        # One batch may be far easier than the others; the smoothed loss is not.
        smooth = _smoothed(np.array(self.losses))
        if not smooth[-1] <= _DIVERGED * smooth.min():
            self.model.stop_training = True


def _centred(losses: np.ndarray, half_width: int) -> np.ndarray:
    """Mean over the steps around each, the near ones counting most.

    A running mean over the past would lag, and so propose too high a rate.
    """
    window = np.bartlett(2 * half_width + 3)[1:-1]
    sums = np.convolve(losses, window, mode="same")
    return sums / np.convolve(np.ones_like(losses), window, mode="same")


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Running mean with exponential weights, without the bias of its start."""
    mean, smooth = 0.0, []
    for i, loss in enumerate(losses):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        smooth.append(mean / (1 - _SMOOTHING ** (i + 1)))
    return np.array(smooth)
