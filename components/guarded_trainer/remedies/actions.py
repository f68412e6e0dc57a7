# SPDX-License-Identifier: Apache-2.0
"""Changes how a model is trained: its rate, its clipping, its BatchNorm momentum.

Nothing here changes what a model computes in inference mode. What a compiled train
step holds as a constant takes effect only once the step is traced again, which
`retrace` brings about.
"""

from collections.abc import Sequence
from typing import Any

import keras

from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.remedies.policy import CLIP_NORM
from components.guarded_trainer.remedies.settings import RemedyConfig
from components.guarded_trainer.schedule import rate


@keras.saving.register_keras_serializable(package="components")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of learning rates, times a factor."""

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float
    ) -> None:
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step."""
        return self.schedule(step) * self.factor

    def get_config(self) -> dict[str, Any]:
        """Returns what the schedule is made from."""
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "factor": self.factor,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "ScaledSchedule":
        """Makes the schedule again."""
        schedule = keras.saving.deserialize_keras_object(
            config["schedule"], custom_objects=custom_objects
        )
        return cls(schedule, config["factor"])


def scale_rate(model: keras.Model, factor: float) -> None:
    """Multiplies the learning rate, be it a number, a schedule or a function."""
    optimizer = rate.inner(model.optimizer)
    if rate.is_adjustable(optimizer):
        rate.put(optimizer, rate.get(optimizer) * factor)
        return
    follows = optimizer._learning_rate
    if isinstance(follows, keras.optimizers.schedules.LearningRateSchedule):
        # The schedule as the user wrote it, however often it is scaled.
        if isinstance(follows, ScaledSchedule):
            factor *= follows.factor
            follows = follows.schedule
        optimizer.learning_rate = ScaledSchedule(follows, factor)
    else:
        optimizer.learning_rate = lambda: follows() * factor
    retrace(model)


def possible(
    settings: RemedyConfig, model: keras.Model, batch_norm: bool
) -> RemedyConfig:
    """Returns what of the remedies allowed can be done to a model.

    Args:
      settings: What is allowed.
      model: The model; it may have no optimizer.
      batch_norm: Whether its BatchNorm may be touched.
    """
    barred: set[str] = set()
    if model.optimizer is None:
        barred = {"lower_learning_rate", "raise_learning_rate", "clip_gradients"}
    elif not can_clip(model, CLIP_NORM):
        barred = {"clip_gradients"}
    if not batch_norm:
        barred.add("lower_batch_norm_momentum")
    allowed = tuple(a for a in settings.allowed if a not in barred)
    return settings.model_copy(update={"allowed": allowed})


def can_clip(model: keras.Model, norm: float) -> bool:
    """Returns whether the gradient is not limited so far already, by whomever."""
    optimizer = rate.inner(model.optimizer)
    if optimizer.clipnorm or optimizer.clipvalue:
        return False
    return not optimizer.global_clipnorm or optimizer.global_clipnorm > norm


def lower_momentum(
    model: keras.Model, layers: Sequence[BatchNorm], most: float
) -> None:
    """Lowers the momentum of the BatchNorm layers that have more."""
    for layer in layers:
        layer.momentum = min(layer.momentum, most)
    retrace(model)


def retrace(model: keras.Model) -> None:
    """Has the train step traced again before its next use."""
    model.make_train_function(force=True)
