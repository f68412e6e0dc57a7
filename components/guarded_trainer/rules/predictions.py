# SPDX-License-Identifier: Apache-2.0
"""Rules over what the model predicts for the probe, and in which mode."""

from collections.abc import Iterator, Sequence

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import (
    finite,
    gap_lower_bound,
    reading,
)
from components.guarded_trainer.rules.symptoms import Sign
from components.records.training import Epoch, ProbeReading


def one_class_predictions(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the probe is given one class, though it has several."""
    probe = reading(facts, epochs)
    if probe is None or not epochs or not probe.predicted_shares:
        return
    share = max(probe.predicted_shares)
    k = probe.predicted_shares.index(share)
    limit = limits.predictions.one_class_share
    true = probe.true_shares[k] if len(probe.true_shares) > k else 0.0
    if share >= limit and true < limit:
        yield Sign(
            f"{share:.1%} of the probe is given class {facts.class_name(k)}, which "
            f"{true:.1%} of it "
            "carries",
            measured=share,
            limit=limit,
            unit="share",
            class_name=facts.class_name(k),
        )


def constant_output(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the probabilities hardly differ between examples."""
    probe = reading(facts, epochs)
    if probe is None or not epochs or not finite(probe.output_spread):
        return
    spread, limit = probe.output_spread, limits.predictions.min_output_spread
    if spread is not None and spread < limit:
        yield Sign(
            f"The probabilities of all examples are the same to {spread:.2g}",
            measured=spread,
            limit=limit,
            unit="standard deviation",
        )


def class_imbalance(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when classes are uneven and the model neglects the rare ones."""
    probe, bounds = reading(facts, epochs), limits.predictions
    if probe is None or not epochs or not any(facts.class_counts):
        return
    most = max(facts.class_counts)
    for k, recall in enumerate(probe.recalls):
        count = facts.class_counts[k] if k < len(facts.class_counts) else 0
        if (
            recall is not None
            and count
            and most / count > bounds.max_class_ratio
            and 1 - recall > bounds.max_misprediction
        ):
            yield Sign(
                f"Class {facts.class_name(k)} has {count} examples, the most frequent "
                f"class {most}, and {1 - recall:.0%} of those in the probe are "
                "misclassified",
                measured=most / count,
                limit=bounds.max_class_ratio,
                unit="ratio",
                class_name=facts.class_name(k),
            )


def confusion(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when a class of the probe is hardly ever recognised."""
    probe, bounds = reading(facts, epochs), limits.predictions
    if probe is None or not epochs:
        return
    for k, recall in enumerate(probe.recalls):
        rows = (
            round(probe.true_shares[k] * probe.num_examples)
            if k < len(probe.true_shares)
            else 0
        )
        if (
            recall is not None
            and rows >= bounds.min_class_rows
            and recall < bounds.min_recall
        ):
            yield Sign(
                f"{recall:.0%} of the {rows} examples of class {facts.class_name(k)} "
                "in the probe are recognised",
                measured=recall,
                limit=bounds.min_recall,
                unit="recall",
                class_name=facts.class_name(k),
            )


def mode_gap(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when inference mode is surely worse than training mode on the probe."""
    probe = reading(facts, epochs)
    if probe is None or not epochs:
        return
    gap = probe_mode_gap(probe, limits)
    if gap is not None:
        yield Sign(
            f"On the same {probe.num_examples} training examples accuracy is "
            f"{probe.inference_accuracy:.1%} in inference mode and "
            f"{probe.training_accuracy:.1%} in training mode",
            measured=gap,
            limit=limits.batch_norm.max_mode_gap,
            unit="accuracy",
        )


def probe_mode_gap(probe: ProbeReading, limits: RuleLimits) -> float | None:
    """Returns how much worse inference mode is, None where that may be chance."""
    training, inference = probe.training_accuracy, probe.inference_accuracy
    if not finite(training) or not finite(inference):
        return None
    gap, bounds = training - inference, limits.batch_norm
    certain = gap_lower_bound(
        (training, probe.num_examples),
        (inference, probe.num_examples),
        limits.outcome.confidence,
    )
    is_gap = gap > bounds.max_mode_gap and (
        certain > 0 or gap >= bounds.certain_mode_gap
    )
    return gap if is_gap else None


def batch_norm_drift(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires for each BatchNorm layer whose moving statistics are far off."""
    probe, bounds = reading(facts, epochs), limits.batch_norm
    for layer in probe.layers if probe and epochs else ():
        shift, ratio = layer.mean_shift, layer.log_variance_ratio
        if shift is None or ratio is None:
            continue
        far = max(shift / bounds.max_mean_shift, ratio / bounds.max_log_variance_ratio)
        if far > 1:
            yield Sign(
                f"The moving statistics of {layer.layer} are off by {shift:.2g} "
                f"standard deviations (mean) and {ratio:.2g} (log of the variance)",
                measured=far,
                limit=1.0,
                unit="multiples of the limits",
                layer=layer.layer,
            )
