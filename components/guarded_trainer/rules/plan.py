# SPDX-License-Identifier: Apache-2.0
"""Rules over what is known before the first step: data, model and plan."""

import statistics
from collections.abc import Iterator, Sequence

from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import finite, guessing_loss
from components.guarded_trainer.rules.symptoms import Sign
from components.records.training import Epoch

_BATCH_NORM = "BatchNormalization"


def nothing_trainable(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the model has no trainable weight at all."""
    if not epochs and not facts.num_trainable:
        yield Sign(
            f"None of the {facts.num_parameters} weights is trainable",
            measured=0,
            limit=1,
            unit="weights",
        )


def frozen_layers(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when layers with weights are frozen, as a pretrained base should be."""
    frozen = [
        layer
        for layer in facts.layers
        if layer.num_parameters
        and not layer.trainable
        # Normalisation that is adapted rather than trained counts nothing.
        and layer.kind not in (_BATCH_NORM, "Normalization")
    ]
    if epochs or not frozen or not facts.num_trainable:
        return
    share = facts.num_trainable / facts.num_parameters
    yield Sign(
        f"{len(frozen)} layers are frozen, and {share:.1%} of the weights are trained; "
        "unless the frozen ones were trained before, that is too little",
        measured=share,
        unit="share of weights",
        layer=frozen[0].layer,
    )


def unscaled_input(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the first layer with weights is given numbers far from 1."""
    if epochs:
        return
    scale, bounds = facts.input_scale, limits.inputs
    scales = [value for _, value in facts.feature_scales if value > 0]
    ratio = scales[0] / statistics.median(scales) if scales else 1.0
    if finite(scale) and scale >= bounds.max_scale:
        loud = f", most of it in {facts.feature_scales[0][0]}" if ratio > 10 else ""
        yield Sign(
            f"The root mean square of what enters the first layer is {scale:.3g}{loud}",
            measured=scale,
            limit=bounds.max_scale,
            unit="root mean square",
        )
    elif finite(scale) and 0 < scale <= bounds.min_scale:
        yield Sign(
            f"The root mean square of what enters the first layer is {scale:.3g}",
            measured=scale,
            limit=bounds.min_scale,
            unit="root mean square",
        )
    elif ratio >= bounds.max_scale_ratio:
        name, value = facts.feature_scales[0]
        yield Sign(
            f"The root mean square of {name} is {value:.3g}, {ratio:.3g} times that of "
            "the median feature",
            measured=ratio,
            limit=bounds.max_scale_ratio,
            unit="ratio",
        )


def capacity(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when a large model has no regularisation and few examples."""
    if epochs or facts.regularized or not facts.num_examples:
        return
    ratio = facts.num_trainable / facts.num_examples
    if ratio > limits.inputs.max_parameters_per_example:
        yield Sign(
            f"{facts.num_trainable} trainable weights meet {facts.num_examples} "
            f"examples ({ratio:.3g} each), and nothing in the model regularises",
            measured=ratio,
            limit=limits.inputs.max_parameters_per_example,
            unit="weights per example",
        )


def batch_norm_momentum(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when momentum ** steps leaves too much of BatchNorm's initial values.

    Before the first step the planned steps count, afterwards those that were done;
    no data are needed to know.
    """
    done = len(epochs) or facts.planned_epochs
    steps = done * facts.steps_per_epoch
    momenta = [layer.momentum for layer in facts.layers if layer.momentum is not None]
    if not momenta:
        return
    share = max(momenta) ** steps
    if share > limits.batch_norm.max_initial_share:
        yield Sign(
            f"After {steps} steps with a momentum of {max(momenta):g}, {share:.1%} of "
            "the initial statistics are left in the BatchNorm layers",
            measured=share,
            limit=limits.batch_norm.max_initial_share,
            unit="share",
            layer=next(
                layer.layer for layer in facts.layers if layer.momentum == max(momenta)
            ),
        )


def poor_initialization(
    facts: TrainingFacts, epochs: Sequence[Epoch], limits: RuleLimits
) -> Iterator[Sign]:
    """Fires when the first outputs or weights leave nothing to start from.

    SageMaker Debugger compares the variances of weights between layers, which
    differ by a factor of ten wherever the layers' widths do.
    """
    if epochs:
        return
    for layer in facts.layers:
        if layer.trainable and layer.identical_units:
            yield Sign(
                f"All units of {layer.layer} start with the same weights, so that they "
                "will learn the same",
                layer=layer.layer,
            )
    probe = facts.initial
    if probe is None or not finite(probe.training_loss):
        return
    loss, limit = probe.training_loss, limits.activations.initial_loss_factor
    if loss > limit * guessing_loss(facts):
        yield Sign(
            f"The loss before the first step is {loss:.3g}, where guessing costs "
            f"{guessing_loss(facts):.3g}",
            measured=loss,
            limit=limit * guessing_loss(facts),
            unit="nats",
        )
