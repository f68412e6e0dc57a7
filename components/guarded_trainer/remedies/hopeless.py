# SPDX-License-Identifier: Apache-2.0
"""Finds trainings that no remedy can save, and that cannot mend themselves."""

import math
import statistics

from components.guarded_trainer.remedies.case import Case, without_gradient
from components.guarded_trainer.remedies.changes import Stop
from components.guarded_trainer.rules.measures import finite, guessing_loss
from components.records.training import Epoch

_WATCHED_EPOCHS = 3
"""Readings in a row that must show no gradient at all: one or two may be chance."""
_PATIENT_EPOCHS = 8
"""Epochs before a training that does not learn is given up: the patience of early
stopping, which outlasts the plateaus of small data sets."""
_PATIENT_SHARE = 0.3
"""The same as a share of the plan (AUTOTRAINER judges after 30 % of the epochs)."""
_MOVING = 0.01
"""Change of the loss, as a share of what guessing costs, that counts as movement."""


def find_hopeless(case: Case) -> Stop | None:
    """Stops what cannot mend itself."""
    if not case.facts.num_trainable:
        return Stop(
            "frozen_model",
            "the model has no trainable weights; set `trainable` of the layers that "
            "are to learn",
        )
    if case.has_learnt:
        return None
    if has_no_gradient(case):
        return Stop(
            "dead_relu" if case.sees("DeadRelu") else "vanishing_gradient",
            "no gradient reaches the weights, so that they cannot change any more; "
            "look at the initial weights, the activations, and the scale of the inputs",
        )
    patience = max(
        _PATIENT_EPOCHS, math.ceil(_PATIENT_SHARE * case.facts.planned_epochs)
    )
    lately = case.new[-patience:]
    losses = [e.loss for e in lately if finite(e.loss)]
    if (
        len(lately) >= patience
        and case.sees("VanishingGradient")
        and all(map(_vanishes, (e for e in lately if e.probe)))
        and losses
        and max(losses) - min(losses) < _MOVING * guessing_loss(case.facts)
    ):
        return Stop(
            "vanishing_gradient",
            "the gradient of the first layers has vanished, and the loss has not moved "
            f"in {len(lately)} epochs; use ReLU or normalisation between the layers, "
            "or fewer of them",
        )
    return None


def has_no_gradient(case: Case) -> bool:
    """Returns whether no gradient has reached the weights for some readings."""
    readings = [epoch for epoch in case.new if epoch.probe][-_WATCHED_EPOCHS:]
    return len(readings) == _WATCHED_EPOCHS and all(map(without_gradient, readings))


def _vanishes(epoch: Epoch) -> bool:
    norms = [
        layer.gradient_norm
        for layer in (epoch.probe.layers if epoch.probe else ())
        if layer.gradient_norm is not None and math.isfinite(layer.gradient_norm)
    ]
    return len(norms) > 1 and norms[0] < 1e-3 * statistics.median(norms[-1:])
