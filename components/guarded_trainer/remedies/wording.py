# SPDX-License-Identifier: Apache-2.0
"""What is said of a remedy."""

from components.guarded_trainer.remedies.changes import Change

_DONE = {
    "lower_learning_rate": "the learning rate was lowered from {old:.3g} to {new:.3g}",
    "raise_learning_rate": "the learning rate was raised from {old:.3g} to {new:.3g}",
    "clip_gradients": "gradients are now limited to a norm of {new:.3g}",
    "lower_batch_norm_momentum": (
        "the momentum of BatchNorm was lowered from {old:.3g} to {new:.3g}"
    ),
}


def taken(
    change: Change,
    old: float | None,
    new: float | None,
    back_to: int | None,
    epoch: int,
) -> str:
    """Returns one sentence about a remedy that was taken.

    Args:
      change: The remedy.
      old: What was changed, before; None where there was nothing.
      new: And after.
      back_to: Index of the epoch that was rolled back to; -1 for the initial weights;
        None where nothing was rolled back.
      epoch: Index of the last epoch before the change.
    """
    reason = change.reason.rstrip(".")
    reason = reason[:1].upper() + reason[1:]
    done = _DONE[change.action].format(old=old, new=new)
    if back_to is None:
        return f"{reason}: after epoch {epoch + 1}, {done}."
    where = "the initial weights" if back_to < 0 else f"epoch {back_to + 1}"
    return f"{reason}: rolled back to {where}, and {done}."
