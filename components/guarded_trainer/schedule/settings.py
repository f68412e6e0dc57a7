# SPDX-License-Identifier: Apache-2.0
"""The learning rate over time, and the size of a step."""

import pydantic

from components.settings import Settings


class ScheduleConfig(Settings):
    """The learning rate over time, and the size of a step.

    An optimizer whose rate follows a schedule of its own keeps it: it is neither
    warmed up nor lowered on a plateau.
    """

    warm_up_steps: int = pydantic.Field(default=0, ge=0)
    """Steps over which the rate rises in a line to its full value (Goyal et al. 2017,
    arXiv:1706.02677, took five epochs, for batches of thousands). 0: Adam's bias
    correction and small batches do without, and a training that is healthy is not to
    be slowed; with batches above about 1,000 examples, take some epochs' worth."""
    reduce_on_plateau: bool = True
    """Whether the rate is lowered where the held-out loss no longer falls (the training
    loss where nothing is held out). On five data sets, at rates of Adam from 0.0001 to
    0.05, it changed healthy trainings by nothing that could be seen, and mended some at
    a rate that was too high; a rate that is too low is never lowered."""
    plateau_factor: float = pydantic.Field(default=0.5, gt=0, lt=1)
    """What the rate is multiplied by on a plateau. Half is mild: should the plateau
    have been noise, little is lost, and two halvings fit into the patience of early
    stopping."""
    plateau_patience: int | None = pydantic.Field(default=None, ge=1)
    """Epochs without a better loss before the rate is lowered; by default half of early
    stopping's patience, so that the lower rate has as long to prove itself, and 4
    where that is switched off."""
    min_learning_rate: float = pydantic.Field(default=1e-6, gt=0, allow_inf_nan=False)
    """The rate is not lowered below this on a plateau: a thousandth of Adam's default,
    where steps no longer change a float32 weight by much."""
    clip_norm: float | None = pydantic.Field(default=None, gt=0, allow_inf_nan=False)
    """Largest L2 norm of the gradient of all weights together; larger ones are scaled
    down to it. None clips nothing: a limit that is right for one model binds in every
    healthy step of another. Where gradients explode, the remedies clip at 1. A model
    that comes compiled is clipped as well, unless its optimizer clips already."""
    range_test: bool = False
    """Whether a learning-rate range test (Smith 2017, arXiv:1506.01186) chooses the
    rate before training. It costs as many steps as it looks at rates."""
    range_test_steps: int = pydantic.Field(default=100, ge=20)
    """Steps of the range test, each at a rate a little higher; 100 is the choice of
    fastai, which made the test common."""
