# SPDX-License-Identifier: Apache-2.0
"""By how much a rate is off, told by what a step changes of the weights."""

import math
import statistics
from collections.abc import Sequence

from components.guarded_trainer.remedies.case import Case
from components.guarded_trainer.rules.measures import finite, median_update
from components.records.training import Epoch

_LARGE_UPDATE = 1e-2
"""Change of the weights in one step, in relation to the weights, that a rate is set
by: the upper end of what is sound (TheDeepChecker: 10 ** -4 to 10 ** -1), where Adam's
default rate of 0.001 puts a Dense layer of a few hundred units."""
_LEAST_FACTOR = 1e-6
"""A rate is lowered by no more than this at a time: the update that it goes by may
have been measured when the weights were lost already."""
_MOST_EXPONENT = 6
"""A rate is raised by no more than this power of ten at a time."""
_ADAPTIVE = ("Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Lion", "Adagrad")
"""Optimizers that move each weight by about the rate, whatever its gradient."""


def lowering(case: Case, lowered: int) -> float:
    """Returns what to multiply a rate by that is too high, to one digit.

    It goes by the largest update that was measured or that the first step must have
    made, and is a tenth at most; where neither is known, it is a tenth, a hundredth, a
    thousandth in turn.
    """
    measured = largest_update(case.new)
    known = [u for u in (measured, _first_update(case)) if u]
    if not known:
        return max(0.1 ** (lowered + 1), _LEAST_FACTOR)
    factor = float(f"{_LARGE_UPDATE / max(known):.0e}")
    return min(max(factor, _LEAST_FACTOR), 0.1)


def raising(ratio: float) -> float:
    """Returns what to multiply a rate by that is too low, a power of ten.

    Args:
      ratio: What a step changes of the weights, in relation to them; above 0.
    """
    exponent = math.floor(math.log10(_LARGE_UPDATE / ratio))
    return 10.0 ** min(max(exponent, 1), _MOST_EXPONENT)


def _first_update(case: Case) -> float | None:
    """Returns what the first step at the present rate changes of the weights.

    That is the median over layers, in relation to the weights. An optimizer that
    divides by the size of the gradient moves each weight by about the rate; others
    move it by the rate times the gradient.
    """
    facts = case.facts
    if facts.initial is None or facts.learning_rate is None:
        return None
    sizes = {x.layer: x.num_parameters for x in facts.layers}
    adaptive = facts.optimizer in _ADAPTIVE
    updates = []
    for layer in facts.initial.layers:
        step = math.sqrt(sizes.get(layer.layer, 0)) if adaptive else layer.gradient_norm
        if layer.gradient_norm and layer.weight_norm and finite(step):
            updates.append(step / layer.weight_norm)
    if not updates:
        return None
    return statistics.median(updates) * facts.learning_rate * case.factor


def largest_update(epochs: Sequence[Epoch]) -> float | None:
    """Returns the largest of the epochs' median updates."""
    known = [u for e in epochs if finite(u := median_update(e))]
    return max(known, default=None)
