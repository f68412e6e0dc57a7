# SPDX-License-Identifier: Apache-2.0
"""The phases of a transfer: how each is trained, and how they become one record."""

import dataclasses
from collections.abc import Sequence

from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.fit import Fitted
from components.guarded_trainer.transfer.settings import TransferConfig
from components.records.training import Epoch, Remedy

HEAD, FINE_TUNING, TRAINING = "head", "fine_tuning", "training"
_FINE_TUNING_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase that has been trained.

    Attributes:
      name: `head`, `fine_tuning` or `training`.
      fitted: What came of it.
      kept: Whether its weights were kept, or built upon.
    """

    name: str
    fitted: Fitted
    kept: bool = True

    @property
    def loss(self) -> float | None:
        """Held-out loss of the weights that it ended with, None if unknown."""
        if self.fitted.best_epoch is None:
            return None
        return self.fitted.epochs[self.fitted.best_epoch].held_out_loss


def head_config(transfer: TransferConfig, config: TrainingConfig) -> TrainingConfig:
    """Returns how the head is trained on the frozen base."""
    return config.model_copy(update={"epochs": transfer.head_epochs or config.epochs})


def tuning_config(
    transfer: TransferConfig, config: TrainingConfig, head: Fitted
) -> TrainingConfig:
    """Returns how a stage of the base is trained further.

    The rate is a tenth of what the head could be trained with, also where a remedy had
    to lower that. It is low on purpose, so nothing raises it.
    """
    rate = transfer.fine_tuning_rate
    if rate is None:
        lowered = [r.after for r in head.remedies if r.action == "lower_learning_rate"]
        rate = _FINE_TUNING_SHARE * ((lowered and lowered[-1]) or config.learning_rate)
    allowed = tuple(a for a in config.remedies.allowed if a != "raise_learning_rate")
    return config.model_copy(
        update={
            "epochs": transfer.fine_tuning_epochs or config.epochs,
            "learning_rate": rate,
            "schedule": config.schedule.model_copy(update={"range_test": False}),
            "remedies": config.remedies.model_copy(update={"allowed": allowed}),
        }
    )


def merge(phases: Sequence[Phase], roll_back: Remedy | None = None) -> Fitted:
    """Joins the phases to one training.

    Indices of epochs count over all phases. What is said of the model (the best epoch,
    BatchNorm, findings) is that of the last phase that was kept, since it is that
    model.

    Args:
      phases: In the order of time; the first is kept.
      roll_back: What was done about a last phase that was not kept.
    """
    epochs: list[Epoch] = []
    remedies: list[Remedy] = []
    resumed: list[int] = []
    best: int | None = None
    attempt = 0
    for phase in phases:
        start, fitted = len(epochs), phase.fitted
        epochs += [
            epoch.model_copy(
                update={"phase": phase.name, "attempt": epoch.attempt + attempt}
            )
            for epoch in fitted.epochs
        ]
        remedies += [_shifted(remedy, start) for remedy in fitted.remedies]
        resumed += [start + index for index in fitted.resumed_at]
        attempt = max([attempt, *(epoch.attempt for epoch in epochs)])
        if phase.kept:
            best = None if fitted.best_epoch is None else start + fitted.best_epoch
    if roll_back:
        remedies.append(
            roll_back.model_copy(
                update={"epoch": len(epochs) - 1, "back_to_epoch": best}
            )
        )
    last = [phase.fitted for phase in phases if phase.kept][-1]
    return dataclasses.replace(
        last,
        epochs=tuple(epochs),
        best_epoch=best,
        stopped_because="; ".join(
            f"{phase.name.replace('_', '-')}: {phase.fitted.stopped_because}"
            for phase in phases
        ),
        remedies=tuple(remedies),
        resumed_at=tuple(resumed),
        seconds=sum(phase.fitted.seconds for phase in phases),
    )


def _shifted(remedy: Remedy, start: int) -> Remedy:
    back = remedy.back_to_epoch
    return remedy.model_copy(
        update={
            "epoch": remedy.epoch + start,
            # -1 stands for the weights that the phase began with.
            "back_to_epoch": None if back is None else back + start,
        }
    )
