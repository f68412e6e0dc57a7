# SPDX-License-Identifier: Apache-2.0
"""The checks of the gate, one function each: evidence in, findings out."""

from components.guarded_evaluator.checks.collapse import (
    check_collapse,
    check_constant_output,
    check_dead_classes,
    check_signal,
)
from components.guarded_evaluator.checks.evidence import (
    check_enough_examples,
    check_finite,
)
from components.guarded_evaluator.checks.generalization import (
    check_overfit,
    check_thresholds,
)
from components.guarded_evaluator.checks.modes import (
    check_batch_dependence,
    check_mode_gap,
)
from components.guarded_evaluator.decision import Check

CHECKS: tuple[Check, ...] = (
    check_enough_examples,
    check_finite,
    check_mode_gap,
    check_batch_dependence,
    check_overfit,
    check_collapse,
    check_constant_output,
    check_dead_classes,
    check_signal,
    check_thresholds,
)
"""All checks of the gate."""
