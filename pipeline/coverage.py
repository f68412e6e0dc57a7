# SPDX-License-Identifier: Apache-2.0
"""Which causes a judgement has looked for, and why not for the others.

What was not looked for must not be shown as passed.
"""

from collections.abc import Mapping

from components.causes import CATALOGUE, Cause, Stage
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    ONE_BY_ONE,
    PERTURBED_PREFIX,
    TRAINING_MODE,
    EvaluationRecord,
)
from pipeline.config import GuardConfig

FAILED_CHECK = "check_failed"
"""The one cause that is no failure of a model, but of a check."""

_DATA = frozenset((Stage.STATISTICS, Stage.EXAMPLES))
_OF_A_CHECK = _DATA | {Stage.EVALUATION, Stage.EVERYWHERE}
_OF_A_RUN = frozenset(Stage)


def causes_of(kind: str) -> tuple[Cause, ...]:
    """Returns the causes that a `run` or a `check` looks for, in their order."""
    stages = _OF_A_RUN if kind == "run" else _OF_A_CHECK
    return tuple(
        cause
        for cause in CATALOGUE.values()
        if cause.id != FAILED_CHECK and stages & set(cause.stages)
    )


def is_of_the_data(cause: Cause) -> bool:
    """Returns whether a cause is looked for in the data, rather than in the model."""
    return bool(_DATA & set(cause.stages))


def not_looked_for(
    config: GuardConfig,
    evaluation: EvaluationRecord | None,
    *,
    looked_at_data: bool = True,
) -> dict[str, str]:
    """Returns causes that nothing has looked for, by id, each with the reason.

    Args:
      config: What the judgement was asked for.
      evaluation: What was measured; None where no model was.
      looked_at_data: Whether the data guards have run.
    """
    reasons: dict[str, str] = {}
    leakage = config.leakage_limits
    if not leakage.group:
        reasons["group_leakage"] = (
            "no feature is named that says whom or what an example is of; set "
            "`data.group`"
        )
    if not leakage.time:
        reasons["temporal_leakage"] = (
            "no feature is named that says when an example came to be; set `data.time`"
        )
    for cause in CATALOGUE.values():
        if not looked_at_data and set(cause.stages) <= _DATA:
            reasons[cause.id] = "the data were not looked at"
        elif evaluation is None and set(cause.stages) == {Stage.EVALUATION}:
            reasons[cause.id] = "no model was evaluated"
    if evaluation is not None:
        reasons |= _not_measured(config, evaluation)
    return reasons


def _not_measured(
    config: GuardConfig, evaluation: EvaluationRecord
) -> Mapping[str, str]:
    asked = {result.model for result in evaluation.results}
    pairs = {pair.other for pair in evaluation.pairs}
    reasons = {}
    if not evaluation.has_no_modes and not asked & {
        TRAINING_MODE,
        BATCH_STATISTICS_MODE,
    }:
        reasons["mode_gap"] = evaluation.modes_missing_because or (
            "the model could not be asked in training mode"
        )
    if ONE_BY_ONE not in pairs:
        reasons["batch_dependence"] = "no example was asked about alone"
    if not any(name.startswith(PERTURBED_PREFIX) for name in pairs):
        reasons["fragile_preprocessing"] = "no example was asked about with a change"
    limits = config.evaluation
    if limits.min_accuracy is None and BASELINE not in asked:
        reasons["below_threshold"] = (
            "no bound is set, and no model is in production to compare with"
        )
    if not evaluation.slices:
        reasons["weak_slice"] = "no feature is named by whose values to judge"
    if not any(result.calibration for result in evaluation.results):
        reasons["miscalibrated"] = "the calibration was not measured"
    if evaluation.result(CANDIDATE, limits.train_split) is None:
        reasons["overfit"] = "the model was not asked about training examples"
    return reasons
