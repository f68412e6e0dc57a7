# SPDX-License-Identifier: Apache-2.0
"""The checks of the gate, one function each: evidence in, findings out."""

from components.guarded_evaluator.checks.collapse import (
    check_collapse,
    check_constant_output,
)
from components.guarded_evaluator.checks.dead_classes import check_dead_classes
from components.guarded_evaluator.checks.evidence import (
    check_enough_examples,
    check_finite,
)
from components.guarded_evaluator.checks.generalization import (
    check_overfit,
    check_thresholds,
)
from components.guarded_evaluator.checks.harmless_changes import check_harmless_changes
from components.guarded_evaluator.checks.modes import (
    check_batch_dependence,
    check_mode_gap,
)
from components.guarded_evaluator.checks.probabilities import (
    check_calibration,
    check_probabilities,
)
from components.guarded_evaluator.checks.signal import check_signal, check_underfit
from components.guarded_evaluator.checks.slices import check_slices
from components.guarded_evaluator.evidence import Check

__all__ = [
    "CHECKS",
    "check_batch_dependence",
    "check_calibration",
    "check_collapse",
    "check_constant_output",
    "check_dead_classes",
    "check_enough_examples",
    "check_finite",
    "check_harmless_changes",
    "check_mode_gap",
    "check_overfit",
    "check_probabilities",
    "check_signal",
    "check_slices",
    "check_thresholds",
    "check_underfit",
]

CHECKS: tuple[Check, ...] = (
    check_enough_examples,
    check_finite,
    check_probabilities,
    check_mode_gap,
    check_batch_dependence,
    check_overfit,
    check_collapse,
    check_constant_output,
    check_dead_classes,
    check_slices,
    check_signal,
    check_underfit,
    check_thresholds,
    check_harmless_changes,
    check_calibration,
)
"""All checks of the gate."""
