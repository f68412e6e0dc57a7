# SPDX-License-Identifier: Apache-2.0
"""Which symptom explains that a training came to nothing.

The order is that of dependence. What was wrong before the first step comes first,
since it brings about what is seen later; a step that is too large comes before the
dead units and flat ends it leaves behind; what the predictions look like comes last,
since that is the outcome itself, told in other words.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.history import History
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import median_update
from components.guarded_trainer.rules.outcome import Level, Outcome
from components.guarded_trainer.rules.symptoms import Symptom
from components.records.training import Epoch, Remedy

_HIGH, _LOW = "learning_rate_too_high", "learning_rate_too_low"


@dataclasses.dataclass(frozen=True)
class Case:
    """All that is known of a training when it has ended."""

    facts: TrainingFacts
    epochs: Sequence[Epoch]
    history: History
    outcome: Outcome
    remedies: Sequence[Remedy]
    limits: RuleLimits


Explanation: TypeAlias = Callable[[Case], Symptom | None]


def explain(case: Case) -> Symptom | None:
    """Returns the symptom that best explains a bad outcome, None if none does.

    A poor outcome is explained only by what noise in the labels cannot bring about,
    since a sound model of noisy labels is poor as well.
    """
    nothing = case.outcome.level in (Level.LOST, Level.NOTHING)
    for explanation in _ALWAYS + (_OF_NOTHING if nothing else ()):
        if symptom := explanation(case):
            return symptom
    return None


def _nothing_trainable(case: Case) -> Symptom | None:
    return case.history.at_start("NothingTrainable")


def _useless_start(case: Case) -> Symptom | None:
    """Returns a hidden layer whose units are all zero or all the same."""
    last = _last_trainable(case.facts)
    return next(
        (
            symptom
            for symptom in case.history.initial
            if symptom.rule in ("AllZero", "PoorWeightInitialization")
            and symptom.layer not in (None, last)
            # Gamma or a bias may start at zero.
            and _kind(case.facts, symptom.layer) != "BatchNormalization"
        ),
        None,
    )


def _nothing_changes(case: Case) -> Symptom | None:
    """Returns weights that stand still, if those of all layers do."""
    symptom = case.history.ever("UnchangedTensor")
    limit = case.limits.gradients.unchanged_update
    medians = _medians(case)
    return symptom if symptom and medians and max(medians) <= limit else None


def _unscaled_input(case: Case) -> Symptom | None:
    symptom = case.history.at_start("UnscaledInput")
    return symptom if not _is_poor(case) or _did_harm(case) else None


def _exploding_start(case: Case) -> Symptom | None:
    """Returns gradients or outputs that exploded before any step was taken."""
    symptom = case.history.at_start("ExplodingGradient") or (
        case.history.at_start("PoorWeightInitialization")
    )
    return symptom if not _is_poor(case) or _did_harm(case) else None


def _dead_start(case: Case) -> Symptom | None:
    """Returns a layer that is dead before the first step; frozen, it stays so."""
    dead = next(filter(_fully_dead(case), case.history.initial), None)
    if dead and dead.layer in _frozen_names(case.facts):
        return _frozen(case)
    return dead


def _drowned(case: Case) -> Symptom | None:
    """Returns noise or penalties that outweigh what there is to learn."""
    return case.history.ever("StrongRegularization")


def _flat_start(case: Case) -> Symptom | None:
    start = case.history.at_start("SaturatedActivation")
    return start if start and case.history.lasting("SaturatedActivation") else None


def _vanishing(case: Case) -> Symptom | None:
    start = case.history.at_start("VanishingGradient")
    return start if start and case.history.lasting("VanishingGradient") else None


def _rate_too_high(case: Case) -> Symptom | None:
    history = case.history
    answered = _answered(case, (_HIGH, "exploding_gradient"))
    swinging = history.ever("OscillatingLoss")
    if _is_poor(case):
        large = history.lasting("WeightUpdateRatio", _HIGH)
        return history.lasting("LossDivergence") or answered or (swinging and large)
    # Once is enough: what a step has killed is not updated any more.
    return (
        history.ever("LossDivergence")
        or answered
        or history.ever("WeightUpdateRatio", _HIGH)
        or swinging
    )


def _not_a_number(case: Case) -> Symptom | None:
    return (
        case.history.at_start("ExplodingTensor")
        or case.history.ever("ExplodingTensor")
        or _answered(case, ("not_a_number",))
    )


def _rate_too_low(case: Case) -> Symptom | None:
    """Returns the rate if it was never in the range where layers learn."""
    symptom = case.history.lasting("WeightUpdateRatio", _LOW)
    medians = _medians(case)
    limit = case.limits.gradients.small_update
    if symptom and medians and max(medians) < limit:
        return symptom
    return _answered(case, (_LOW,))


def _dead(case: Case) -> Symptom | None:
    return case.history.lasting("DeadRelu", where=_fully_dead(case))


def _saturated(case: Case) -> Symptom | None:
    return case.history.lasting("SaturatedActivation")


def _vanished(case: Case) -> Symptom | None:
    return case.history.lasting("VanishingGradient")


def _large_start(case: Case) -> Symptom | None:
    """Returns a hidden layer whose outputs vanish or explode before the first step."""
    last = _last_trainable(case.facts)
    return next(
        (
            symptom
            for symptom in case.history.initial
            if symptom.rule == "TensorVariance" and symptom.layer != last
        ),
        None,
    )


def _uneven(case: Case) -> Symptom | None:
    return case.history.lasting("ClassImbalance")


def _frozen(case: Case) -> Symptom | None:
    return case.history.at_start("FrozenLayers")


_ALWAYS: tuple[Explanation, ...] = (
    _nothing_trainable,
    _useless_start,
    _unscaled_input,
    _dead_start,
    _exploding_start,
    _flat_start,
    _vanishing,
    _drowned,
    _rate_too_high,
    _not_a_number,
    # A rate that was lowered too far changes nothing either.
    _nothing_changes,
    _rate_too_low,
)
_OF_NOTHING: tuple[Explanation, ...] = (
    _dead,
    _saturated,
    _vanished,
    _large_start,
    _frozen,
    _uneven,
)


def _answered(case: Case, causes: Sequence[str]) -> Symptom | None:
    """Returns the trouble that a remedy answered; its epochs were rolled back.

    Where the remedy helped, it does not explain that the model is still poor.
    """
    for remedy in reversed(case.remedies):
        if remedy.cause in causes and not (_is_poor(case) and remedy.helped):
            return Symptom(
                rule=remedy.rule or remedy.action,
                cause=remedy.cause,
                epoch=remedy.epoch,
                message=remedy.message.rstrip("."),
            )
    return None


def _is_poor(case: Case) -> bool:
    """Returns whether noise in the labels might be all that is wrong."""
    return case.outcome.level is Level.POOR


def _did_harm(case: Case) -> bool:
    """Returns whether training was upset by what was wrong at its start."""
    return bool(
        case.history.ever("LossDivergence")
        or case.history.ever("OscillatingLoss")
        or case.history.lasting("SaturatedActivation")
        or case.history.lasting("WeightUpdateRatio")
        or any(not remedy.helped for remedy in case.remedies)
    )


def _fully_dead(case: Case) -> Callable[[Symptom], bool]:
    limit = case.limits.activations.fully_dead_share
    return lambda symptom: (
        symptom.rule == "DeadRelu" and (symptom.measured or 0.0) >= limit
    )


def _medians(case: Case) -> list[float]:
    medians = (median_update(epoch) for epoch in case.epochs)
    return [median for median in medians if median is not None]


def _last_trainable(facts: TrainingFacts) -> str | None:
    names = [layer.layer for layer in facts.layers if layer.trainable]
    return names[-1] if names else None


def _frozen_names(facts: TrainingFacts) -> set[str]:
    return {x.layer for x in facts.layers if x.num_parameters and not x.trainable}


def _kind(facts: TrainingFacts, path: str | None) -> str | None:
    return next((x.kind for x in facts.layers if x.layer == path), None)
