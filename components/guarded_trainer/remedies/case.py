# SPDX-License-Identifier: Apache-2.0
"""A training as the policy sees it, after an epoch."""

import dataclasses
from collections.abc import Sequence

from components.guarded_trainer.remedies.settings import Action, RemedyConfig
from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.measures import (
    finite,
    guessing_loss,
    probe_gain,
)
from components.guarded_trainer.rules.symptoms import Symptom
from components.records.training import Epoch, Remedy

_NO_GAIN = 0.1
"""Gain below which nothing was learnt, as in the rules' `OutcomeLimits`."""


@dataclasses.dataclass(frozen=True)
class Case:
    """All that is known when it is to be decided; see `policy.decide`."""

    facts: TrainingFacts
    epochs: tuple[Epoch, ...]
    symptoms: Sequence[Symptom]
    taken: Sequence[Remedy]
    settings: RemedyConfig
    since: int
    factor: float

    @property
    def new(self) -> tuple[Epoch, ...]:
        """The epochs since the last remedy."""
        return self.epochs[self.since :]

    def sees(self, rule: str, cause: str | None = None) -> Symptom | None:
        """Returns what a rule saw after the last epoch."""
        found = (
            s for s in self.symptoms if s.rule == rule and cause in (None, s.cause)
        )
        return next(found, None)

    def may(self, action: Action) -> bool:
        """Returns whether one more such change is allowed."""
        return (
            action in self.settings.allowed
            and len(self.taken) < self.settings.max_remedies
        )

    def times(self, action: Action) -> int:
        """Returns how often something was changed."""
        return sum(remedy.action == action for remedy in self.taken)

    @property
    def has_learnt(self) -> bool:
        """Whether the model knows more than to guess; False where nothing tells."""
        return self.gain >= _NO_GAIN

    @property
    def gain(self) -> float:
        """How much the model knew at best, from 0 for guessing to 1."""
        gains = [gain for gain in map(self._gain, self.new) if gain is not None]
        return max(gains, default=0.0)

    def _gain(self, epoch: Epoch) -> float | None:
        counts = self.facts.class_counts
        total = sum(counts)
        baseline = max(counts) / total if total else 1.0
        gains = [probe_gain(epoch.probe)] if epoch.probe else []
        if finite(epoch.accuracy) and baseline < 1:
            gains.append((epoch.accuracy - baseline) / (1 - baseline))
        if finite(epoch.loss):
            gains.append(1 - epoch.loss / guessing_loss(self.facts))
        return max((g for g in gains if g is not None), default=None)


def without_gradient(epoch: Epoch) -> bool:
    """Returns whether all layers but the last have a gradient of exactly 0."""
    norms = [
        layer.gradient_norm
        for layer in (epoch.probe.layers if epoch.probe else ())
        if layer.gradient_norm is not None
    ]
    return len(norms) > 1 and not any(norms[:-1])
