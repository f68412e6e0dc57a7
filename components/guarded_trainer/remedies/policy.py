# SPDX-License-Identifier: Apache-2.0
"""Decides what is done about a training that goes wrong: nothing, a change, a stop.

A healthy training must never be touched, so each remedy asks for harm that has been
done, not for a symptom alone; and a training is stopped only for what cannot mend
itself. A rate that is far off is put right in one move: what a step changes of the
weights says by how much it is off.
"""

from collections.abc import Sequence

from components.guarded_trainer.remedies.case import Case, without_gradient
from components.guarded_trainer.remedies.changes import Change, Stop
from components.guarded_trainer.remedies.hopeless import (
    find_hopeless,
    has_no_gradient,
)
from components.guarded_trainer.remedies.settings import RemedyConfig
from components.guarded_trainer.remedies.updates import (
    largest_update,
    lowering,
    raising,
)
from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.measures import (
    finite,
    guessing_loss,
    median_update,
)
from components.guarded_trainer.rules.symptoms import Symptom
from components.records.training import Epoch, Remedy

CLIP_NORM = 1.0
"""Norm that gradients are limited to: of the order of a healthy gradient with scaled
inputs (Pascanu et al. 2013, arXiv:1211.5063, clip recurrent networks at 1)."""
_MAX_RAISES = 3
_WATCHED_EPOCHS = 3
"""Epochs in a row that must show harm which is not fatal: one or two may be chance."""
_POOR_GAIN = 0.5
"""Gain from which a rate is not raised: who trains a model that is good already wants
small steps."""
_LEAST_MOMENTUM = 0.9
"""Momentum of BatchNorm is not lowered below this: 44 steps forget the initial
statistics to 1 %, and ten batches are averaged, as many as small batches need."""
_INITIAL_SHARE = 0.01


def decide(
    facts: TrainingFacts,
    epochs: Sequence[Epoch],
    symptoms: Sequence[Symptom],
    taken: Sequence[Remedy],
    settings: RemedyConfig,
    *,
    broken: str | None = None,
    since: int = 0,
    factor: float = 1.0,
) -> Change | Stop | None:
    """Decides what to do after an epoch.

    Args:
      facts: What was known before the first step.
      epochs: The epochs on the way to the present weights, the last one included.
      symptoms: What the rules see as of the last epoch.
      taken: The remedies so far.
      settings: What may be done.
      broken: Why training cannot go on as it is: the loss or a weight is not finite.
      since: Epochs of `epochs` that were trained before the last remedy.
      factor: What remedies, and momentum, multiply the rate by.

    Returns:
      None to go on.
    """
    if not settings.enabled or not epochs:
        return None
    case = Case(facts, tuple(epochs), symptoms, taken, settings, since, factor)
    for look in (_too_broken, _broken, _diverged, _killed, _oscillates, _stalled):
        decision = look(case, broken)
        if decision is not None:
            return decision
        if broken and look is _broken:
            return Stop("not_a_number", broken)
    momentum = _slow_statistics(case)
    if momentum is not None:
        return momentum
    return find_hopeless(case) if settings.stop_early else None


def _too_broken(case: Case, broken: str | None) -> Stop | None:
    """Stops where not even the first step was taken before the loss was lost."""
    first = case.epochs[-1].first_loss
    if broken and len(case.epochs) == 1 and first is not None and not finite(first):
        return Stop(
            "not_a_number",
            "the loss was not finite before the first step: no rate can mend that; "
            "look at the inputs, the initial weights, and the loss",
        )
    return None


def _broken(case: Case, broken: str | None) -> Change | None:
    if not broken:
        return None
    first = case.epochs[-1].first_loss
    # What breaks at once would do so again, whatever the rate.
    back = "last" if first is None or finite(first) else "earlier"
    return _calm_down(case, "not_a_number", "ExplodingTensor", broken, back=back)


def _diverged(case: Case, broken: str | None) -> Change | None:
    """Rolls back where the loss is worse than guessing and does not come down soon."""
    symptom = case.sees("LossDivergence")
    if symptom is None or len(case.new) < 2:
        return None
    before, loss = (epoch.loss for epoch in case.new[-2:])
    if not finite(loss) or not finite(before):
        return None
    limit = symptom.limit or 0.0
    if loss < limit or before < limit:
        return None
    lately = [e.loss for e in case.new[-_WATCHED_EPOCHS:]]
    # What comes down from far above where it began has lost its way all the same.
    lasts = len(lately) == _WATCHED_EPOCHS and all(
        finite(value) and value > limit for value in lately
    )
    if loss < before / 2 and not lasts:
        return None
    # Weights that were bad all along are nothing to go back to.
    was_good = any(finite(e.loss) and e.loss < limit for e in case.new)
    return _calm_down(
        case,
        symptom.cause,
        symptom.rule,
        symptom.message,
        back="best" if was_good else "start",
    )


def _killed(case: Case, broken: str | None) -> Change | None:
    """Starts again where steps that were too large have left a dead network.

    It answers the same to everything, and learns no more, although it was alive
    before the first step.
    """
    if len(case.new) < _WATCHED_EPOCHS or case.has_learnt:
        return None
    # What an earlier remedy has gone back to may have been dead already.
    if case.since and not has_no_gradient(case):
        return None
    initial = case.facts.initial
    high = largest_update(case.epochs[:_WATCHED_EPOCHS])
    worst = max(
        (e.worst_batch_loss for e in case.epochs if finite(e.worst_batch_loss)),
        default=0.0,
    )
    start = case.epochs[0].first_loss
    blown_up = worst > 10 * max(guessing_loss(case.facts), start or 0.0)
    if not blown_up and (high is None or high <= 0.1):
        return None
    dead = case.sees("DeadRelu") or case.sees("ConstantOutput")
    was_alive = initial is None or not any(
        (layer.dead_share or 0.0) > 0.5 for layer in initial.layers
    )
    if not blown_up and not (dead and was_alive):
        return None
    return _calm_down(
        case,
        "learning_rate_too_high",
        "WeightUpdateRatio",
        "the first steps were so large that nothing is learnt since",
        back="start",
    )


def _oscillates(case: Case, broken: str | None) -> Change | None:
    """Lowers the rate where the loss swings and gets no better."""
    symptom = case.sees("OscillatingLoss")
    losses = [e.loss for e in case.new if finite(e.loss)]
    if symptom is None or not case.may("lower_learning_rate"):
        return None
    if len(losses) <= 2 * _WATCHED_EPOCHS:
        return None
    if min(losses[-_WATCHED_EPOCHS:]) < min(losses[:-_WATCHED_EPOCHS]):
        return None
    return Change(
        "lower_learning_rate",
        symptom.cause,
        symptom.rule,
        symptom.message,
        factor=0.1,
    )


def _stalled(case: Case, broken: str | None) -> Change | None:
    """Raises a rate that does not move the weights."""
    symptom = case.sees("WeightUpdateRatio", "learning_rate_too_low")
    if symptom is None or not case.sees("SlowConvergence"):
        return None
    if (
        len(case.new) < _WATCHED_EPOCHS
        or case.gain >= _POOR_GAIN
        or not case.may("raise_learning_rate")
        or case.times("raise_learning_rate") >= _MAX_RAISES
        or case.sees("VanishingGradient")
        or case.sees("AllZero")
    ):
        return None
    ratio = median_update(case.epochs[-1])
    if not ratio or without_gradient(case.epochs[-1]):
        return None
    # What was sound before has been lowered on purpose, on a plateau or by a schedule.
    if (largest_update(case.new) or 0.0) >= (symptom.limit or 0.0):
        return None
    return Change(
        "raise_learning_rate",
        symptom.cause,
        symptom.rule,
        symptom.message,
        factor=raising(ratio),
    )


def _slow_statistics(case: Case) -> Change | None:
    """Lowers the momentum of BatchNorm that leaves inference mode far behind."""
    symptom = case.sees("ModeGap")
    momenta = [x.momentum for x in case.facts.layers if x.momentum is not None]
    if symptom is None or not momenta or not case.may("lower_batch_norm_momentum"):
        return None
    if case.times("lower_batch_norm_momentum"):
        return None
    steps, planned = case.facts.steps_per_epoch, case.facts.planned_epochs
    left = steps * (planned - len(case.epochs))
    lowest = max(_LEAST_MOMENTUM, _INITIAL_SHARE ** (1 / max(steps, 1)))
    slowest = max(momenta)
    if (
        slowest ** (steps * len(case.epochs)) <= _INITIAL_SHARE
        or lowest >= slowest
        or lowest**left > _INITIAL_SHARE
    ):
        return None
    # Most gaps close by themselves; this one lasts too long, or misleads what chooses
    # the best epoch.
    if slowest ** (steps * planned) <= _INITIAL_SHARE and not _misled(case):
        return None
    return Change(
        "lower_batch_norm_momentum",
        symptom.cause,
        symptom.rule,
        symptom.message,
        value=lowest,
    )


def _misled(case: Case) -> bool:
    """Returns whether held-out rows get worse while fitted ones get better."""
    held_out = [e.held_out_loss for e in case.new if finite(e.held_out_loss)]
    fitted = [e.loss for e in case.new if finite(e.loss)]
    return (
        len(held_out) == len(fitted) > _WATCHED_EPOCHS
        and min(held_out[-_WATCHED_EPOCHS:]) >= min(held_out[:-_WATCHED_EPOCHS])
        and fitted[-1] < fitted[-1 - _WATCHED_EPOCHS]
    )


def _calm_down(
    case: Case, cause: str, rule: str, reason: str, *, back: str
) -> Change | None:
    """Lowers the rate; where gradients explode, clips them after the first time."""
    lowered = case.times("lower_learning_rate")
    explodes = cause == "not_a_number" or case.sees("ExplodingGradient")
    may_lower = case.may("lower_learning_rate")
    if (
        explodes
        and (lowered % 2 == 1 or not may_lower)
        and case.may("clip_gradients")
        and not case.times("clip_gradients")
    ):
        return Change("clip_gradients", cause, rule, reason, value=CLIP_NORM, back=back)
    if not may_lower:
        return None
    factor = lowering(case, lowered)
    return Change("lower_learning_rate", cause, rule, reason, factor=factor, back=back)
