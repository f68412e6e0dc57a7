# SPDX-License-Identifier: Apache-2.0
"""Which remedies may be taken, how often, and for how long."""

from typing import Literal

import pydantic

from components.settings import Settings

Action = Literal[
    "lower_learning_rate",
    "raise_learning_rate",
    "clip_gradients",
    "lower_batch_norm_momentum",
]
"""What may be changed while training; BatchNorm is recalibrated after it."""


class RemedyConfig(Settings):
    """Which remedies may be taken, how often, and for how long.

    A remedy changes how the weights are trained, never what the model is made of.
    """

    enabled: bool = True
    """Whether anything may be changed at all. Without, a training that breaks is
    stopped and reported."""
    allowed: tuple[Action, ...] = (
        "lower_learning_rate",
        "raise_learning_rate",
        "clip_gradients",
        "lower_batch_norm_momentum",
    )
    """What may be changed."""
    max_remedies: int = pydantic.Field(default=6, ge=0)
    """Most changes in one training. A rate that is wrong by a factor of a million
    takes three; twice as many leave room for clipping and for one change too many."""
    max_extra_share: float = pydantic.Field(default=0.3, ge=0, allow_inf_nan=False)
    """Most epochs beyond the plan, as a share of it: what is rolled back is trained
    again only within this, so that a training that is repaired takes at most 1.3 times
    as long as a healthy one. At least one epoch may be repeated in any case."""
    stop_early: bool = True
    """Whether a training that no remedy can save is stopped before its time."""
