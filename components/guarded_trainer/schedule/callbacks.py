# SPDX-License-Identifier: Apache-2.0
"""Callbacks that set the learning rate: warm-up, and lower on a plateau.

Each can be taken up where it was left: `get_state` returns what the rest of the
training depends on, as JSON values, and `set_state` takes it back. Neither holds on
to a rate: whoever else changes it, such as a remedy, is followed.
"""

from typing import Any

import keras

from components.guarded_trainer.schedule import rate
from components.guarded_trainer.schedule.settings import ScheduleConfig

_PLATEAU_PATIENCE = 4
"""Epochs, where neither the plateau's patience nor early stopping's is set."""


class Resumable(keras.callbacks.Callback):
    """A callback whose state outlives the process and the call of `fit`.

    Attributes:
      note: Why the callback does nothing to this model, in one sentence; None where
        it does.
    """

    note: str | None = None

    def get_state(self) -> dict[str, Any]:
        """Returns the state, as JSON values."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes back to a state that `get_state` returned."""


class WarmUp(Resumable):
    """Lets the rate rise in a line over the first steps of a training.

    Step i of n (from 1) is taken at i/n of the full rate, which is what the rate was
    when training began; n is the `num_steps` given.
    """

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self._num_steps = num_steps
        self._done = 0
        self._full: float | None = None
        self._last: float | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes over the rate, or the change that another has made to it."""
        if not rate.is_adjustable(self.model.optimizer):
            self.note = _follows_a_schedule("warmed up")
            return
        now = rate.get(self.model.optimizer)
        if self._full is None:
            self._full = now
        elif self._last and now != self._last:
            self._full *= now / self._last
        self._last = now

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Sets the rate of the step."""
        if self.note or self._full is None or self._done >= self._num_steps:
            return
        self._done += 1
        rate.put(self.model.optimizer, self._full * self._done / self._num_steps)
        # As the optimizer has it: float32.
        self._last = rate.get(self.model.optimizer)

    def get_state(self) -> dict[str, Any]:
        """Returns the steps done, and the rates."""
        return {"done": self._done, "full": self._full, "last": self._last}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes back to a state that `get_state` returned."""
        self._done = state["done"]
        self._full = state["full"]
        self._last = state["last"]


class LowerOnPlateau(Resumable):
    """Lowers the rate where the loss has had no better epoch for some time.

    Keras' `ReduceLROnPlateau` takes an epoch that is better by less than 0.0001 for
    none, and so would lower a rate that is too low already. Here any better epoch
    counts, as it does for early stopping; and an epoch whose loss is not finite is
    no plateau.
    """

    def __init__(
        self, monitor: str, factor: float, patience: int, min_rate: float
    ) -> None:
        super().__init__()
        self._monitor = monitor
        self._factor = factor
        self._patience = patience
        self._min_rate = min_rate
        self._best: float | None = None
        self._waited = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds out whether the rate can be set."""
        if not rate.is_adjustable(self.model.optimizer):
            self.note = _follows_a_schedule("lowered on a plateau")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Lowers the rate if patience has run out."""
        loss = (logs or {}).get(self._monitor)
        # NaN compares false, and infinity is handled as any bad loss.
        if self.note or loss is None or loss != loss:
            return
        if self._best is None or loss < self._best:
            self._best, self._waited = float(loss), 0
            return
        self._waited += 1
        if self._waited < self._patience:
            return
        self._waited = 0
        now = rate.get(self.model.optimizer)
        if now > self._min_rate:
            lower = max(now * self._factor, self._min_rate)
            rate.put(self.model.optimizer, lower)

    def get_state(self) -> dict[str, Any]:
        """Returns the best loss, and the epochs since."""
        return {"best": self._best, "waited": self._waited}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes back to a state that `get_state` returned."""
        self._best = state["best"]
        self._waited = state["waited"]


def make_callbacks(
    config: ScheduleConfig, *, monitor: str, patience: int | None
) -> tuple[Resumable, ...]:
    """Makes the callbacks of a configuration; none where it asks for nothing.

    Args:
      config: What is asked for.
      monitor: Name of the loss that early stopping judges by, such as `val_loss`.
      patience: Patience of early stopping, in epochs; None where it is switched off.
    """
    made: list[Resumable] = []
    if config.warm_up_steps:
        made.append(WarmUp(config.warm_up_steps))
    if config.reduce_on_plateau:
        by_default = -(-patience // 2) if patience else _PLATEAU_PATIENCE
        made.append(
            LowerOnPlateau(
                monitor,
                config.plateau_factor,
                config.plateau_patience or by_default,
                config.min_learning_rate,
            )
        )
    return tuple(made)


def _follows_a_schedule(what: str) -> str:
    return (
        f"The learning rate is not {what}: it follows a schedule of the optimizer's "
        "own."
    )
