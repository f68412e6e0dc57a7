# SPDX-License-Identifier: Apache-2.0
"""After which epochs to look at a model, so that looking costs little."""

import math

_FIRST_EPOCHS = 3
"""Epochs after each of which the model is looked at: most trainings that fail do so
at once, and two readings in a row tell a trend from noise."""
_MOST_BETWEEN = 10
"""Most epochs from one reading to the next: a training of few steps takes no time
worth saving."""
_MEASURING = 1.15
"""Cost of a pass whose layers are measured, against one without; measured on small
CNNs and on ResNet50 (`benchmarks/training_monitors_cost.py`)."""


class ProbeSchedule:
    """Says after which epochs a model is looked at.

    It counts steps, not seconds, so that a training does not depend on the speed of
    the machine: a forward pass over a training batch takes a third of a step, the
    way back two thirds.

    Attributes:
      cost: Steps that one reading takes the time of, about.
      every: Epochs from one reading to the next, after the first epochs.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        num_examples: int,
        batch_size: int,
        share: float = 0.0075,
    ):
        """Constructs the schedule.

        Args:
          steps_per_epoch: Steps in an epoch.
          num_examples: Examples in the probe.
          batch_size: Examples per step.
          share: Share of the steps that readings may take the time of, after the
            first epochs and where epochs are not very short. With the default, the
            first epochs included, watching takes about 1 % of epochs of 100 steps.
        """
        batches = num_examples / batch_size
        # Once in each mode, and the way back for one batch.
        self.cost = _MEASURING * (2 * batches + 2 * min(batches, 1.0)) / 3
        every = math.ceil(self.cost / (share * max(steps_per_epoch, 1)))
        self.every = min(max(every, 1), _MOST_BETWEEN)

    def due(self, epoch: int) -> bool:
        """Returns whether to look at the model after this epoch, counted from 0."""
        return epoch < _FIRST_EPOCHS or (epoch + 1) % self.every == 0
