# SPDX-License-Identifier: Apache-2.0
"""Judges, when training has ended, whether its remedies have helped."""

import math
from collections.abc import Sequence

from components.records.training import Epoch, Remedy

_LEAST_FALL = 0.01
"""Fall of the loss, as a share of the loss before, that counts as learning."""


def judge(
    remedies: Sequence[Remedy], epochs: Sequence[Epoch], broken: bool
) -> tuple[Remedy, ...]:
    """Returns the remedies with their `helped` filled in.

    A remedy has helped if nothing more had to be done about the same cause, training
    did not end broken, and the loss came down afterwards.

    Args:
      remedies: In the order of time.
      epochs: All epochs trained, in the order of time.
      broken: Whether training ended with a loss or weights that are not finite.
    """
    return tuple(
        remedy.model_copy(
            update={"helped": _helped(remedy, remedies[i + 1 :], epochs, broken)}
        )
        for i, remedy in enumerate(remedies)
    )


def _helped(
    remedy: Remedy, later: Sequence[Remedy], epochs: Sequence[Epoch], broken: bool
) -> bool | None:
    if any(other.cause == remedy.cause for other in later):
        return False
    after = _losses(epochs[remedy.epoch + 1 :])
    if not after:
        return False if broken else None
    if broken:
        return False
    if remedy.action == "lower_batch_norm_momentum":
        return _gap_closed(epochs[remedy.epoch], epochs[remedy.epoch + 1 :])
    start = epochs[remedy.epoch]
    if remedy.back_to_epoch is not None:
        # What had been reached where it was rolled back to.
        back = remedy.back_to_epoch
        before = epochs[back].loss if back >= 0 else epochs[0].first_loss
    else:
        before = start.loss
    if before is None or not math.isfinite(before):
        return True
    return min(after) < (1 - _LEAST_FALL) * before


def _gap_closed(before: Epoch, after: Sequence[Epoch]) -> bool | None:
    gaps = [_gap(epoch) for epoch in (before, *after)]
    known = [gap for gap in gaps[1:] if gap is not None]
    if not known or gaps[0] is None:
        return None
    return known[-1] < gaps[0]


def _gap(epoch: Epoch) -> float | None:
    probe = epoch.probe
    if (
        probe is None
        or probe.training_accuracy is None
        or probe.inference_accuracy is None
    ):
        return None
    return probe.training_accuracy - probe.inference_accuracy


def _losses(epochs: Sequence[Epoch]) -> list[float]:
    return [e.loss for e in epochs if e.loss is not None and math.isfinite(e.loss)]
