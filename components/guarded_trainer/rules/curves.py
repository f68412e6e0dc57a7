# SPDX-License-Identifier: Apache-2.0
"""Rules over the curves of loss and accuracy."""

import math
import statistics
from collections.abc import Iterator, Sequence

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import (
    finite,
    gap_lower_bound,
    guessing_loss,
    has_learnt,
)
from components.guarded_trainer.rules.symptoms import Sign
from components.records.training import Epoch


def loss_divergence(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the loss is far above where it began, and worse than guessing."""
    if not epochs or not finite(start := epochs[0].first_loss):
        return
    bounds = limits.loss
    highest = bounds.diverging_factor * max(start, guessing_loss(facts))
    loss, worst = epochs[-1].loss, epochs[-1].worst_batch_loss
    if finite(loss) and loss > highest:
        yield Sign(
            f"The loss is {loss:.3g}, where it was {start:.3g} at the first step",
            measured=loss,
            limit=highest,
            unit="loss",
        )
    elif (
        finite(worst)
        and worst is not None
        and worst > max(bounds.exploded_loss, highest)
    ):
        yield Sign(
            f"The loss went up to {worst:.3g} within an epoch, where it was "
            f"{start:.3g} at the first step",
            measured=worst,
            limit=max(bounds.exploded_loss, highest),
            unit="loss",
        )


def oscillating_loss(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the training loss keeps rising and falling by much."""
    losses = _losses(epochs[-limits.loss.window :])
    bounds = limits.loss
    if len(losses) < max(bounds.min_epochs, 5):
        return
    rises = [
        after - before
        for before, after in zip(losses, losses[1:], strict=False)
        if after - before > bounds.swing * guessing_loss(facts)
    ]
    share = len(rises) / (len(losses) - 1)
    if len(rises) > 1 and share >= bounds.swing_share:
        yield Sign(
            f"The loss rose in {len(rises)} of the last {len(losses) - 1} epochs, by "
            f"{max(rises):.3g} at most",
            measured=share,
            limit=bounds.swing_share,
            unit="share of epochs",
        )


def loss_not_decreasing(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the training loss has found no new low for a while."""
    losses, window = _losses(epochs), limits.loss.window
    if len(losses) <= window or has_learnt(facts, epochs, limits.loss.converged_share):
        return
    before, lately = min(losses[:-window]), min(losses[-window:])
    if lately >= before:
        yield Sign(
            f"The lowest loss of the last {window} epochs is {lately:.3g}; before, it "
            f"was {before:.3g}",
            measured=lately,
            limit=before,
            unit="loss",
        )


def slow_convergence(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the training loss has hardly moved since the beginning."""
    losses, bounds = _losses(epochs), limits.loss
    if len(losses) < bounds.min_epochs or has_learnt(
        facts, epochs, bounds.converged_share
    ):
        return
    fall = (losses[0] - losses[-1]) / (len(losses) - 1)
    if abs(fall) < bounds.slow_gain * guessing_loss(facts):
        yield Sign(
            f"The loss has gone from {losses[0]:.4g} to {losses[-1]:.4g} in "
            f"{len(losses)} epochs",
            measured=fall,
            limit=bounds.slow_gain * guessing_loss(facts),
            unit="loss per epoch",
        )


def strong_regularization(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when noise or penalties outweigh what there is to learn."""
    if not epochs or not facts.regularized:
        return
    probe, bounds, start = epochs[-1].probe, limits.loss, facts.initial
    noisy, calm = (probe.training_loss, probe.inference_loss) if probe else (None, None)
    if finite(noisy) and finite(calm):
        cost = (noisy - calm) / guessing_loss(facts)
        if cost >= bounds.noise_cost:
            yield Sign(
                f"Dropout and noise raise the loss from {calm:.3g} to {noisy:.3g}",
                measured=cost,
                limit=bounds.noise_cost,
                unit="share of log(K)",
            )
            return
    first = epochs[0].first_loss
    without = start.training_loss if start else None
    if len(epochs) == 1 and finite(first) and finite(without) and first > 0:
        share = 1 - without / first
        if share >= bounds.penalty_share:
            yield Sign(
                f"Penalties make up {share:.0%} of the loss at the first step",
                measured=share,
                limit=bounds.penalty_share,
                unit="share of the loss",
            )


def overfit(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when held-out rows surely do worse than fitted ones."""
    if not epochs or not facts.num_held_out:
        return
    fitted, held_out = epochs[-1].accuracy, epochs[-1].held_out_accuracy
    if not finite(fitted) or not finite(held_out):
        return
    # `accuracy` is of training mode. Where fitted rows do no better in the mode of the
    # held-out ones, it is the mode that differs, and not the rows.
    probe = epochs[-1].probe
    alike = probe.inference_accuracy if probe else None
    if finite(alike) and alike - held_out <= limits.loss.overfit_gap:
        return
    certain = gap_lower_bound(
        (fitted, facts.num_examples),
        (held_out, facts.num_held_out),
        limits.outcome.confidence,
    )
    if certain > limits.loss.overfit_gap:
        yield Sign(
            f"Accuracy is {fitted:.1%} on fitted rows and {held_out:.1%} on "
            f"{facts.num_held_out} held-out rows",
            measured=fitted - held_out,
            limit=limits.loss.overfit_gap,
            unit="accuracy",
        )


def overtraining(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when training goes on long after the held-out loss was at its best."""
    held_out = [
        math.inf if not finite(epoch.held_out_loss) else epoch.held_out_loss
        for epoch in epochs
    ]
    patience = limits.loss.overtraining_epochs
    if len(held_out) <= patience or min(held_out) == math.inf:
        return
    since = len(held_out) - 1 - held_out.index(min(held_out))
    losses = _losses(epochs)
    if (
        since >= patience
        and losses
        and losses[-1] < losses[-1 - min(since, len(losses) - 1)]
    ):
        yield Sign(
            f"The held-out loss was lowest {since} epochs ago, while the training loss "
            "goes on falling",
            measured=since,
            limit=patience,
            unit="epochs",
        )


def stalled_training(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when an epoch took long beyond measure; decided by a clock, so a remark."""
    seconds = [epoch.seconds for epoch in epochs if epoch.seconds is not None]
    if len(seconds) < limits.loss.min_epochs or epochs[-1].seconds is None:
        return
    if seconds[-1] > max(limits.loss.stalled_seconds, 10 * statistics.median(seconds)):
        yield Sign(
            f"An epoch took {seconds[-1]:.0f} s, the median one "
            f"{statistics.median(seconds):.0f} s",
            measured=seconds[-1],
            limit=limits.loss.stalled_seconds,
            unit="seconds",
        )


def _losses(epochs: Sequence[Epoch]) -> list[float]:
    return [
        epoch.loss for epoch in epochs if epoch.loss is not None and finite(epoch.loss)
    ]
