# SPDX-License-Identifier: Apache-2.0
"""Numbers that several rules need: baselines, gains, and what is certain of them."""

import math
import statistics
from collections.abc import Sequence
from typing import TypeGuard

from scipy import stats

from components.guarded_trainer.rules.facts import TrainingFacts
from components.records.training import Epoch, LayerReading, ProbeReading


def finite(number: float | None) -> TypeGuard[float]:
    """Returns whether a number was measured and is neither NaN nor infinite."""
    return number is not None and math.isfinite(number)


def reading(facts: TrainingFacts, epochs: Sequence[Epoch]) -> ProbeReading | None:
    """Returns what the probe showed after the last epoch, or before the first."""
    return epochs[-1].probe if epochs else facts.initial


def entropy(shares: Sequence[float]) -> float:
    """Returns the entropy of class shares (nats): the least loss of guessing."""
    return -sum(p * math.log(p) for p in shares if p > 0)


def guessing_loss(facts: TrainingFacts) -> float:
    """Returns the loss of a model that knows nothing but the number of classes."""
    return math.log(max(facts.num_classes, 2))


def majority_share(facts: TrainingFacts) -> float | None:
    """Returns the accuracy of always answering the most frequent class."""
    total = sum(facts.class_counts)
    return max(facts.class_counts) / total if total else None


def held_out_baseline(facts: TrainingFacts) -> float | None:
    """Returns the accuracy, on held-out rows, of answering what is most frequent.

    Held-out rows may be spread over the classes unlike the fitted ones.
    """
    total = sum(facts.held_out_counts)
    if not total or len(facts.held_out_counts) != len(facts.class_counts):
        return majority_share(facts)
    most_frequent = facts.class_counts.index(max(facts.class_counts))
    return facts.held_out_counts[most_frequent] / total


def has_learnt(facts: TrainingFacts, epochs: Sequence[Epoch], share: float) -> bool:
    """Returns whether the loss is below a share of what guessing costs.

    Gradients and updates are small then, and should be.
    """
    probe = reading(facts, epochs)
    losses = [probe.training_loss, probe.inference_loss] if probe else []
    if epochs:
        losses.append(epochs[-1].loss)
    return any(
        loss is not None and loss <= share * guessing_loss(facts) for loss in losses
    )


def accuracy_gain(accuracy: float | None, baseline: float | None) -> float | None:
    """Returns accuracy over a baseline, as a share of what is possible.

    Negative below the baseline; None where either is unknown or the baseline is 1.
    """
    if not finite(accuracy) or baseline is None or baseline >= 1:
        return None
    return (accuracy - baseline) / (1 - baseline)


def probe_gain(probe: ProbeReading) -> float | None:
    """Returns the gain on the probe's rows, in the better of the two modes.

    See `OutcomeLimits` for what a gain is. A model that ignores its input gains
    nothing by any of the three measures, whatever it answers.
    """
    shares = probe.true_shares
    baseline = max(shares) if shares else None
    recalls = [recall for recall in probe.recalls if recall is not None]
    gains = [
        accuracy_gain(probe.training_accuracy, baseline),
        accuracy_gain(probe.inference_accuracy, baseline),
    ]
    if len(recalls) > 1:
        gains.append(accuracy_gain(statistics.fmean(recalls), 1 / len(recalls)))
    if shares and (surprise := entropy(shares)) > 0:
        gains += [
            1 - loss / surprise
            for loss in (probe.training_loss, probe.inference_loss)
            if finite(loss)
        ]
    return max((gain for gain in gains if gain is not None), default=None)


def update_ratios(epoch: Epoch) -> list[LayerReading]:
    """Returns the layers whose update was measured in an epoch."""
    return [
        layer
        for layer in (epoch.probe.layers if epoch.probe else ())
        if finite(layer.update_ratio)
    ]


def median_update(epoch: Epoch) -> float | None:
    """Returns the median over layers of the update ratio; None where unmeasured."""
    ratios = [layer.update_ratio or 0.0 for layer in update_ratios(epoch)]
    return statistics.median(ratios) if ratios else None


def share_below(accuracy: float, count: int, expected: float) -> float:
    """Returns how likely so few hits are if the accuracy is really `expected`.

    The exact one-sided binomial test; 1 where there are no rows.
    """
    if not count:
        return 1.0
    hits = round(accuracy * count)
    return float(stats.binom.cdf(hits, count, min(max(expected, 0.0), 1.0)))


def share_above(accuracy: float, count: int, expected: float) -> float:
    """Returns how likely so many hits are if the accuracy is really `expected`.

    The exact one-sided binomial test; 1 where there are no rows.
    """
    if not count:
        return 1.0
    hits = round(accuracy * count)
    return float(stats.binom.sf(hits - 1, count, min(max(expected, 0.0), 1.0)))


def gap_lower_bound(
    first: tuple[float, int], second: tuple[float, int], confidence: float
) -> float:
    """Returns the lower bound of the difference of two accuracies.

    Newcombe's hybrid score method (1998, method 10), from two Wilson intervals.

    Args:
      first: Accuracy and number of rows.
      second: Accuracy and number of rows.
      confidence: One-sided confidence.

    Returns:
      -1 where either has no rows.
    """
    if not first[1] or not second[1]:
        return -1.0
    low = _wilson(*first, confidence)[0]
    high = _wilson(*second, confidence)[1]
    return first[0] - second[0] - math.hypot(first[0] - low, high - second[0])


def _wilson(accuracy: float, count: int, confidence: float) -> tuple[float, float]:
    z = float(stats.norm.ppf(confidence))
    center = (accuracy + z * z / (2 * count)) / (1 + z * z / count)
    spread = math.sqrt(accuracy * (1 - accuracy) / count + z * z / (4 * count * count))
    half = z * spread / (1 + z * z / count)
    return center - half, center + half
