# SPDX-License-Identifier: Apache-2.0
"""Rules over weights, gradients and updates, layer by layer."""

import math
from collections.abc import Iterator, Sequence

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import (
    finite,
    has_learnt,
    median_update,
    reading,
    update_ratios,
)
from components.guarded_trainer.rules.symptoms import Sign
from components.records.training import Epoch, LayerReading


def exploding_tensor(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires on NaN or infinity in the loss or in a layer."""
    if epochs and epochs[-1].loss is not None and not math.isfinite(epochs[-1].loss):
        yield Sign(f"The loss is {epochs[-1].loss}")
    probe = reading(facts, epochs)
    for layer in probe.layers if probe else ():
        if layer.not_finite:
            yield Sign(
                f"NaN or infinity in the {' and '.join(layer.not_finite)} of "
                f"{layer.layer}",
                layer=layer.layer,
            )


def vanishing_gradient(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the first layers' gradient is nothing, while the loss is high."""
    layers = _with_gradient(facts, epochs)
    if len(layers) < 2 or has_learnt(facts, epochs, limits.loss.converged_share):
        return
    first, last, bounds = layers[0], layers[-1], limits.gradients
    norm, last_norm = first.gradient_norm or 0.0, last.gradient_norm or 0.0
    if last_norm == 0.0:
        return  # Nothing comes in from the loss: that is no fault of the depth.
    if norm == 0.0:
        yield Sign(
            f"No gradient at all comes from the loss to {first.layer}",
            measured=norm,
            limit=bounds.vanishing_norm,
            unit="norm",
            layer=first.layer,
            cause="unchanged_weights",
        )
    elif (
        norm < bounds.vanishing_norm and norm / last_norm < bounds.vanishing_ratio
    ) or (finite(first.gradient_mean) and first.gradient_mean < bounds.vanishing_mean):
        yield Sign(
            f"The gradient of {first.layer} has a norm of {norm:.3g}, that of "
            f"{last.layer} one of {last_norm:.3g}",
            measured=norm,
            limit=bounds.vanishing_norm,
            unit="norm",
            layer=first.layer,
        )


def exploding_gradient(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when gradients grow from the last layer to the first."""
    layers = _with_gradient(facts, epochs)
    if len(layers) < 2:
        return
    worst = max(layers[:-1], key=lambda layer: layer.gradient_norm or 0.0)
    norm, last = worst.gradient_norm or 0.0, layers[-1].gradient_norm or 0.0
    bounds = limits.gradients
    if norm > bounds.exploding_norm and norm > bounds.exploding_ratio * last:
        yield Sign(
            f"The gradient of {worst.layer} has a norm of {norm:.3g}, that of the last "
            f"layer one of {last:.3g}",
            measured=norm,
            limit=bounds.exploding_norm,
            unit="norm",
            layer=worst.layer,
        )


def weight_update_ratio(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when a step changes the weights by too much or too little.

    It goes by the median over layers: a single layer may start at zero.
    """
    ratio = median_update(epochs[-1]) if epochs else None
    if ratio is None:
        return
    bounds = limits.gradients
    if ratio > bounds.large_update:
        yield Sign(
            f"One step changes the weights of a layer by {ratio:.3g} of their norm",
            measured=ratio,
            limit=bounds.large_update,
            unit="update ratio",
        )
    elif ratio < bounds.small_update and not has_learnt(
        facts, epochs, limits.loss.converged_share
    ):
        yield Sign(
            f"One step changes the weights of a layer by {ratio:.3g} of their norm",
            measured=ratio,
            limit=bounds.small_update,
            unit="update ratio",
            cause="learning_rate_too_low",
        )


def unchanged_tensor(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when a trainable layer stays as it is for several epochs."""
    bounds = limits.gradients
    if not epochs or epochs[-1].probe is None:
        return
    probed = [epoch for epoch in epochs if epoch.probe is not None]
    window = probed[-bounds.unchanged_epochs :]
    if len(window) < bounds.unchanged_epochs or has_learnt(
        facts, epochs, limits.loss.converged_share
    ):
        return
    still = [
        {
            layer.layer
            for layer in update_ratios(epoch)
            if (layer.update_ratio or 0.0) <= bounds.unchanged_update
        }
        for epoch in window
    ]
    for layer in update_ratios(window[-1]):
        if all(layer.layer in names for names in still):
            yield Sign(
                f"The weights of {layer.layer} have not changed for {len(window)} "
                "epochs",
                measured=layer.update_ratio,
                limit=bounds.unchanged_update,
                unit="update ratio",
                layer=layer.layer,
            )


def all_zero(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when all trainable weights of a layer are 0."""
    probe = reading(facts, epochs)
    for layer in probe.layers if probe else ():
        if layer.weight_norm == 0.0:
            yield Sign(
                f"All trainable weights of {layer.layer} are 0",
                measured=0.0,
                unit="norm",
                layer=layer.layer,
            )


def tensor_variance(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when a layer's outputs have vanished or exploded."""
    probe, bounds = reading(facts, epochs), limits.activations
    for layer in probe.layers if probe else ():
        std = layer.output_std
        if std is None or not math.isfinite(std):
            continue
        if not bounds.min_output_std <= std <= bounds.max_output_std:
            yield Sign(
                f"The outputs of {layer.layer} have a standard deviation of {std:.3g}",
                measured=std,
                limit=(
                    bounds.min_output_std
                    if std < bounds.min_output_std
                    else bounds.max_output_std
                ),
                unit="standard deviation",
                layer=layer.layer,
            )


def dead_relu(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when most units of a ReLU layer answer 0 to the whole probe."""
    probe = reading(facts, epochs)
    for layer in probe.layers if probe else ():
        share = layer.dead_share
        if share is not None and share > limits.activations.dead_share:
            yield Sign(
                f"{share:.0%} of the units of {layer.layer} answer 0 to every example",
                measured=share,
                limit=limits.activations.dead_share,
                unit="share of units",
                layer=layer.layer,
            )


def saturated_activation(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when most units of a sigmoid or tanh layer sit on a flat end.

    The last layer of a model that is sure of its answers does, and may.
    """
    probe = reading(facts, epochs)
    layers = probe.layers if probe else ()
    for layer in layers[:-1]:
        share = layer.saturated_share
        if share is not None and share > limits.activations.saturated_share:
            yield Sign(
                f"{share:.0%} of the units of {layer.layer} are saturated",
                measured=share,
                limit=limits.activations.saturated_share,
                unit="share of units",
                layer=layer.layer,
            )


def _with_gradient(facts: TrainingFacts, epochs: Sequence[Epoch]) -> list[LayerReading]:
    probe = reading(facts, epochs)
    return [
        layer
        for layer in (probe.layers if probe else ())
        if finite(layer.gradient_norm)
    ]
