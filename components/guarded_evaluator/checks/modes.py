# SPDX-License-Identifier: Apache-2.0
"""The check that use is no worse than training."""

import math
from collections.abc import Iterator

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import (
    accuracy_gap,
    accuracy_of,
    p_value,
)
from components.guarded_evaluator.decision import Evidence
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
    PairedResult,
)
from components.records.training import BatchNormDrift


def check_mode_gap(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when inference mode is worse than training mode on the same examples.

    Both full training mode and batch-statistics mode count: dropout can hide in the
    former what the latter shows. Reports the widest gap only.
    """
    config = evidence.config
    pairs = [
        pair
        for mode in (BATCH_STATISTICS_MODE, TRAINING_MODE)
        for split in (config.eval_split, config.train_split)
        if (pair := evidence.evaluation.pair(mode, split)) is not None
    ]
    if not pairs:
        yield find(
            "check_failed",
            "The model cannot be asked in training mode, so nothing is known of a "
            "gap between training and use.",
            severity=Severity.BLOCK if config.require_modes else Severity.WARN,
            remedy="Train with the GuardedTrainer, which exports a copy for judging; "
            "or set `require_modes: false` to accept the risk.",
            subject=Subject(model=CANDIDATE),
        )
        return
    gaps = [pair for pair in pairs if accuracy_gap(pair) > config.max_mode_gap]
    if not gaps:
        return
    worst = max(
        gaps, key=lambda pair: (_is_certain(pair, evidence), accuracy_gap(pair))
    )
    certain = _is_certain(worst, evidence)
    yield find(
        "mode_gap",
        f"On the same {worst.num_examples} {worst.split} examples the accuracy is "
        f"{accuracy_of(worst, worst.only_candidate_right):.1%} in inference mode and "
        f"{accuracy_of(worst, worst.only_other_right):.1%} in "
        f"{worst.other.replace('_', ' ')} mode{_blamed_layers(evidence)}"
        + ("." if certain else "; with so few examples this may be chance."),
        severity=Severity.BLOCK if certain else Severity.WARN,
        subject=Subject(split=worst.split, layer=_worst_layer(evidence)),
        measured=accuracy_gap(worst),
        limit=config.max_mode_gap,
        unit="accuracy",
        evidence={
            "p_value": p_value(worst),
            "pairs": [pair.model_dump() for pair in pairs],
            "layers": [drift.model_dump() for drift in _drift(evidence)[:5]],
        },
    )


def _is_certain(pair: PairedResult, evidence: Evidence) -> bool:
    return (
        p_value(pair) <= evidence.config.alpha
        or pair.mean_distance >= evidence.config.certain_mode_distance
    )


def _drift(evidence: Evidence) -> list[BatchNormDrift]:
    """Returns the layers' drift as it is in the exported model, the worst first."""
    record = evidence.training
    if record is None or (record.recalibration and record.recalibration.kept):
        return []
    return list(record.batch_norm)


def _worst_layer(evidence: Evidence) -> str | None:
    layers = _drift(evidence)
    return layers[0].layer if layers else None


def _blamed_layers(evidence: Evidence) -> str:
    layers = _drift(evidence)[:3]
    if not layers:
        return ""
    named = ", ".join(
        f"{drift.layer} (mean off by {drift.mean_shift:.2g} standard deviations, "
        f"variance by a factor of {math.exp(drift.log_variance_ratio):.2g})"
        for drift in layers
    )
    return f"; worst BatchNorm layers: {named}"
