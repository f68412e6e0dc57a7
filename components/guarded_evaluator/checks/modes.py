# SPDX-License-Identifier: Apache-2.0
"""Checks that the model does in use what it did in training."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import (
    ACCURACY,
    accuracy_gap,
    accuracy_of,
    p_value,
    recall_gap,
)
from components.guarded_evaluator.evidence import Evidence
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    ONE_BY_ONE,
    TRAINING_MODE,
    PairedResult,
)
from components.records.training import BatchNormDrift


class _ModeGap(NamedTuple):
    """How much better a training mode is than inference, by one measure."""

    is_certain: bool
    size: float
    measure: str
    of_mode: float
    of_inference: float
    pair: PairedResult


def check_mode_gap(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when inference mode is worse than training mode on the same examples.

    Both full training mode and batch-statistics mode count: dropout can hide in the
    former what the latter shows. So do accuracy and mean recall over the classes: what
    becomes of a rare class hardly shows in accuracy. Reports one gap only: of accuracy
    and on the evaluation split if that is as certain, and then the widest.

    A model that could not be asked in training mode blocks as well, unless it is known
    that there is no other mode to ask it in.
    """
    if mode_pairs(evidence):
        yield from find_mode_gap(evidence)
        return
    record = evidence.evaluation
    if record.has_no_modes:
        return
    reason = record.modes_missing_because.strip().rstrip(".")
    yield find(
        "check_failed",
        "The model cannot be asked in training mode"
        + (f" ({reason})" if reason else "")
        + ", so nothing is known of a gap between training and use.",
        severity=Severity.BLOCK if evidence.config.require_modes else Severity.WARN,
        remedy="Train with the GuardedTrainer, which exports a copy for judging; "
        "or judge the `.keras` file of the model; or set `require_modes: false` to "
        "accept the risk.",
        subject=Subject(model=CANDIDATE),
    )


def mode_pairs(evidence: Evidence) -> list[PairedResult]:
    """Returns the comparisons of the modes that were measured, of both splits."""
    config = evidence.config
    return [
        pair
        for mode in (BATCH_STATISTICS_MODE, TRAINING_MODE)
        for split in (config.eval_split, config.train_split)
        if (pair := evidence.pair(mode, split)) is not None
    ]


def find_mode_gap(evidence: Evidence) -> Iterator[Finding]:
    """Yields the gap between the modes, if there is one.

    A gap that is certain, but only half as wide as the limit or more, warns: moving
    statistics that lag behind are seen before they do harm.
    """
    config, pairs = evidence.config, mode_pairs(evidence)
    limit = config.max_mode_gap
    gaps = [
        gap
        for pair in pairs
        for gap in (_by_accuracy(pair, evidence), *_by_recall(pair, evidence))
        if gap.size > limit or (gap.is_certain and gap.size > limit / 2)
    ]
    if not gaps:
        return
    worst = max(
        gaps,
        key=lambda gap: (
            gap.is_certain and gap.size > limit,
            gap.measure == ACCURACY,
            gap.pair.split == config.eval_split,
            gap.size,
        ),
    )
    layers = _drift(evidence)
    doubt = "" if worst.is_certain else "; with so few examples this may be chance"
    if worst.size <= limit:
        doubt = "; that is within the limit, and more than chance"
    yield find(
        "mode_gap",
        f"On the same {worst.pair.num_examples} {worst.pair.split} examples the "
        f"{worst.measure} is {worst.of_inference:.1%} in inference mode and "
        f"{worst.of_mode:.1%} in {worst.pair.other.replace('_', ' ')} mode"
        f"{_blame(layers)}{doubt}.",
        severity=Severity.WARN if doubt else Severity.BLOCK,
        subject=Subject(
            split=worst.pair.split, layer=layers[0].layer if layers else None
        ),
        measured=worst.size,
        limit=limit,
        unit=worst.measure,
        evidence={
            "p_value": p_value(worst.pair),
            "pairs": [pair.model_dump() for pair in pairs],
            "layers": [drift.model_dump() for drift in layers[:5]],
        },
    )


def check_batch_dependence(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when an answer changes with what else is in the batch.

    Evaluation asks in large, mixed batches; use asks about whatever comes, often one
    example at a time.
    """
    config = evidence.config
    pair = evidence.pair(ONE_BY_ONE, config.eval_split)
    if pair is None or not pair.num_examples:
        raise LookupError("the model was asked about no example alone")
    # Written so that NaN blocks.
    if not pair.mean_distance <= config.max_batch_distance:
        yield find(
            "batch_dependence",
            f"Asked about each of {pair.num_examples} {pair.split} examples alone "
            "instead of in a batch, the model moves "
            f"{pair.mean_distance:.1%} of the probability to other classes on average; "
            f"it is right {pair.both_right + pair.only_other_right} times instead of "
            f"{pair.both_right + pair.only_candidate_right}.",
            subject=Subject(split=pair.split, model=CANDIDATE),
            measured=pair.mean_distance,
            limit=config.max_batch_distance,
            unit="total variation distance",
        )


def _by_accuracy(pair: PairedResult, evidence: Evidence) -> _ModeGap:
    config = evidence.config
    # Both: with dropout most probability may move while hardly an answer changes.
    moves_far = (
        min(pair.mean_distance, accuracy_gap(pair)) >= config.certain_mode_distance
    )
    return _ModeGap(
        is_certain=p_value(pair) <= config.alpha or moves_far,
        size=accuracy_gap(pair),
        measure=ACCURACY,
        of_mode=accuracy_of(pair, pair.only_other_right),
        of_inference=accuracy_of(pair, pair.only_candidate_right),
        pair=pair,
    )


def _by_recall(pair: PairedResult, evidence: Evidence) -> Iterator[_ModeGap]:
    gap = recall_gap(
        evidence.result(pair.other, pair.split),
        evidence.result(CANDIDATE, pair.split),
        evidence.config.confidence,
    )
    # The mean recall of a few examples is noise; it counts where it is certain.
    if gap is not None and gap.low > evidence.config.max_mode_gap:
        yield _ModeGap(
            is_certain=True,
            size=gap.size,
            measure=gap.measure,
            of_mode=gap.better,
            of_inference=gap.worse,
            pair=pair,
        )


def _drift(evidence: Evidence) -> list[BatchNormDrift]:
    """Returns the layers' drift as it is in the exported model, the worst first."""
    if evidence.batch_norm:
        return list(evidence.batch_norm)
    record = evidence.training
    if record is None or (record.recalibration and record.recalibration.kept):
        return []
    return list(record.batch_norm)


def _blame(layers: list[BatchNormDrift]) -> str:
    if not layers:
        return ""
    named = ", ".join(
        f"{drift.layer} (mean off by {drift.mean_shift:.2g} sd, variance by a factor "
        f"of {math.exp(drift.log_variance_ratio):.2g})"
        for drift in layers[:2]
    )
    return f"; worst BatchNorm layers: {named}"
