# SPDX-License-Identifier: Apache-2.0
"""The symptoms of a whole training, as one can be asked about them."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.symptoms import Symptom
from components.guarded_trainer.rules.table import RULES, look
from components.records.training import Epoch

_BLIND_WITHOUT_PROBE = frozenset(rule.name for rule in RULES if rule.needs_probe)


@dataclasses.dataclass(frozen=True)
class History:
    """All symptoms of a training.

    Attributes:
      initial: What the rules saw before the first step.
      by_epoch: What they saw after each epoch.
      probed: Whether the probe was read after each epoch.
    """

    initial: tuple[Symptom, ...]
    by_epoch: tuple[tuple[Symptom, ...], ...]
    probed: tuple[bool, ...]

    def at_start(self, rule: str, cause: str | None = None) -> Symptom | None:
        """Returns the first such symptom before the first step, or None."""
        return next(_of(self.initial, rule, cause), None)

    def ever(self, rule: str, cause: str | None = None) -> Symptom | None:
        """Returns the last such symptom of any epoch, or None."""
        return next(
            (
                symptom
                for symptoms in reversed(self.by_epoch)
                for symptom in _of(symptoms, rule, cause)
            ),
            None,
        )

    def lasting(
        self,
        rule: str,
        cause: str | None = None,
        where: Callable[[Symptom], bool] = lambda symptom: True,
    ) -> Symptom | None:
        """Returns the last such symptom if at least half of the epochs show one.

        Epochs in which the rule was blind do not count.
        """
        seeing = [
            symptoms
            for symptoms, probed in zip(self.by_epoch, self.probed, strict=True)
            if probed or rule not in _BLIND_WITHOUT_PROBE
        ]
        shown = [
            found
            for symptoms in seeing
            if (found := next(filter(where, _of(symptoms, rule, cause)), None))
        ]
        return shown[-1] if shown and 2 * len(shown) >= len(seeing) else None

    def distinct(self, *, passing: bool) -> Iterator[Symptom]:
        """Yields the last symptom of each rule and cause, in the order of the table.

        Of several layers or classes, the first stands for all.

        Args:
          passing: Whether also to yield what was only seen on the way, neither before
            the first step nor at the end.
        """
        found: dict[tuple[str, str], Symptom] = {}
        at_end = (*self.by_epoch[-1:], *self._last_probed())
        for symptoms in (self.initial, *(self.by_epoch if passing else at_end)):
            now: dict[tuple[str, str], Symptom] = {}
            for symptom in symptoms:
                now.setdefault((symptom.rule, symptom.cause), symptom)
            found |= now
        yield from found.values()

    def _last_probed(self) -> Iterator[tuple[Symptom, ...]]:
        for symptoms, probed in zip(
            self.by_epoch[::-1], self.probed[::-1], strict=True
        ):
            if probed:
                yield symptoms
                return


def trace(facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits) -> History:
    """Applies all rules before the first step, and after each epoch."""
    return History(
        initial=look(facts, (), limits),
        by_epoch=tuple(
            look(facts, epochs[: index + 1], limits) for index in range(len(epochs))
        ),
        probed=tuple(epoch.probe is not None for epoch in epochs),
    )


def _of(symptoms: Sequence[Symptom], rule: str, cause: str | None) -> Iterator[Symptom]:
    for symptom in symptoms:
        if symptom.rule == rule and cause in (None, symptom.cause):
            yield symptom
