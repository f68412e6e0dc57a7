# SPDX-License-Identifier: Apache-2.0
"""Where a training stands: all that its rest depends on, besides variables."""

from typing import Any

from components.records.training import Remedy
from components.settings import Settings


class LoopState(Settings):
    """Where a training stands; it is saved with each checkpoint.

    `trained` counts the epochs trained in the order of time, `position` those on the
    way to the present weights: they differ once something is rolled back.
    """

    planned: int
    """Epochs on the way to the last weights, as planned now."""
    position: int = 0
    """Epochs on the way to the present weights."""
    path: tuple[int, ...] = ()
    """Indices, among all epochs trained, of those on the way to the present weights."""
    attempt: int = 0
    """Roll-backs so far."""
    trained_steps: int = 0
    """Steps taken, also those that were rolled back."""
    best_epoch: int | None = None
    """Index, among all epochs trained, of the best one on the way; None before any was
    whole."""
    best_loss: float | None = None
    """The loss of that epoch."""
    waited: int = 0
    """Epochs since then, or since the last remedy."""
    rate_factor: float = 1.0
    """What remedies have multiplied the learning rate by."""
    clip_norm: float | None = None
    """Norm that a remedy has limited the gradient to."""
    batch_norm_momentum: float | None = None
    """Most momentum of BatchNorm layers that a remedy has left."""
    remedies: tuple[Remedy, ...] = ()
    """What was changed, in the order of time."""
    resumed_at: tuple[int, ...] = ()
    """Epochs trained when a training that had been killed was taken up."""
    saved: tuple[tuple[int, int], ...] = ()
    """Number and position of the checkpoints on the way, in the order of time."""
    notes: tuple[str, ...] = ()
    """What was done before the first step, or could not be; one sentence each."""
    callbacks: tuple[dict[str, Any], ...] = ()
    """States of the callbacks that set the learning rate."""
