# SPDX-License-Identifier: Apache-2.0
"""What a training has come to: did the model that is kept learn anything?"""

import dataclasses
import enum
from collections.abc import Sequence

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import (
    accuracy_gain,
    finite,
    held_out_baseline,
    majority_share,
    probe_gain,
    share_above,
    share_below,
)
from components.guarded_trainer.rules.predictions import probe_mode_gap
from components.records.training import Epoch, ProbeReading, Recalibration


class Level(enum.Enum):
    """How much of what is possible was learnt of the very rows that were fitted."""

    UNKNOWN = "unknown"
    LOST = "lost"
    NOTHING = "nothing"
    POOR = "poor"
    FAIR = "fair"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training has come to.

    Attributes:
      level: How much was learnt of the fitted rows.
      gain: The same as a number, see `OutcomeLimits`; None where it is unknown.
      by_heart: Whether held-out rows surely keep too little of the gain, and no
        more than guessing is left.
      shows_signal: Whether held-out rows are surely answered better than by guessing.
      held_out_accuracy: Accuracy of the kept model on held-out rows.
      baseline: Accuracy of always answering the most frequent class.
      mode_gap: Accuracy that inference mode surely loses against training mode in
        the model that is kept; None where there is no such gap.
      probe: The reading of the kept weights, before any recalibration.
      falling: Whether training used all its epochs while the loss still fell.
    """

    level: Level
    gain: float | None = None
    by_heart: bool = False
    shows_signal: bool = False
    held_out_accuracy: float | None = None
    baseline: float | None = None
    mode_gap: float | None = None
    probe: ProbeReading | None = None
    falling: bool = False

    @property
    def is_bad(self) -> bool:
        """Whether nothing was learnt that is of use."""
        return self.level in (Level.LOST, Level.NOTHING) or self.by_heart


def judge(
    facts: TrainingFacts,
    epochs: Sequence[Epoch],
    best_epoch: int | None,
    recalibration: Recalibration | None,
    limits: RuleLimits,
) -> Outcome:
    """Judges the model that a training leaves.

    Args:
      facts: What was known before the first step.
      epochs: The epochs that led to the model.
      best_epoch: Index in `epochs` of the one whose weights were kept; None for the
        last.
      recalibration: What became of the BatchNorm recalibration.
      limits: The limits.
    """
    if not epochs:
        return Outcome(Level.LOST)
    index = len(epochs) - 1 if best_epoch is None else best_epoch
    kept = epochs[index]
    if kept.loss is not None and not finite(kept.loss):
        return Outcome(Level.LOST)
    probe = _latest_probe(epochs[: index + 1])
    if probe is not None and any("weights" in x.not_finite for x in probe.layers):
        return Outcome(Level.LOST, probe=probe)
    baseline = majority_share(facts)
    by_accuracy = accuracy_gain(kept.accuracy, baseline)
    gain = by_accuracy
    if probe is not None:
        # The running accuracy is that of the weights on the way, as they were before
        # each step: it counts only where the probe was not read after the epoch.
        on_way = by_accuracy if kept.probe is None else None
        gains = [on_way, probe_gain(probe)]
        gain = max((g for g in gains if g is not None), default=by_accuracy)
    if by_accuracy is not None and gain is not None:
        by_accuracy = min(by_accuracy, gain)
    repaired = recalibration is not None and recalibration.kept
    gap = None
    if probe is not None and not repaired:
        gap = probe_mode_gap(probe, limits)
    held_out = kept.held_out_accuracy
    if recalibration is not None and recalibration.num_held_out and repaired:
        held_out = recalibration.accuracy_after
    return Outcome(
        level=_level(gain, limits),
        gain=gain,
        by_heart=gap is None and _learnt_by_heart(facts, by_accuracy, held_out, limits),
        shows_signal=_shows_signal(facts, held_out, limits),
        held_out_accuracy=held_out,
        baseline=baseline,
        mode_gap=gap,
        probe=probe,
        falling=_still_falls(facts, epochs, limits),
    )


def _level(gain: float | None, limits: RuleLimits) -> Level:
    if gain is None:
        return Level.UNKNOWN
    if gain < limits.outcome.no_gain:
        return Level.NOTHING
    return Level.POOR if gain < limits.outcome.poor_gain else Level.FAIR


def _learnt_by_heart(
    facts: TrainingFacts,
    gain: float | None,
    held_out: float | None,
    limits: RuleLimits,
) -> bool:
    """Returns whether held-out rows tell that only the rows themselves were learnt.

    It goes by accuracy alone: of held-out rows, nothing else is known. Weighted
    classes may cost fitted rows their accuracy, and then nothing can be said.
    """
    baseline = held_out_baseline(facts)
    if gain is None or gain <= 0 or baseline is None or not finite(held_out):
        return False
    if held_out > baseline + limits.outcome.no_gain * (1 - baseline):
        return False
    expected = baseline + limits.outcome.kept_gain * gain * (1 - baseline)
    chance = share_below(held_out, facts.num_held_out, expected)
    shows_nothing = held_out <= baseline
    confidence = (
        limits.outcome.weak_confidence if shows_nothing else limits.outcome.confidence
    )
    return chance <= 1 - confidence


def _shows_signal(
    facts: TrainingFacts, held_out: float | None, limits: RuleLimits
) -> bool:
    baseline = held_out_baseline(facts)
    if baseline is None or not finite(held_out):
        return False
    chance = share_above(held_out, facts.num_held_out, baseline)
    return chance <= 1 - limits.outcome.signal_confidence


def _latest_probe(epochs: Sequence[Epoch]) -> ProbeReading | None:
    return next((e.probe for e in reversed(epochs) if e.probe is not None), None)


def _still_falls(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> bool:
    """Returns whether the planned epochs ran out while the loss fell steadily."""
    if len(epochs) < facts.planned_epochs:
        return False
    losses = [epochs[0].first_loss, *(epoch.loss for epoch in epochs)][-4:]
    known = [loss for loss in losses if finite(loss)]
    # A loss below 0 has no bottom to fall to.
    return (
        len(known) > 1
        and known[-1] >= 0
        and all(
            after <= (1 - limits.loss.falling_gain) * before
            for before, after in zip(known, known[1:], strict=False)
        )
    )
