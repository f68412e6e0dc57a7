# SPDX-License-Identifier: Apache-2.0
"""Repairs BatchNorm after training, and keeps the repair only if it does no harm."""

import dataclasses
import math
import time
from collections.abc import Sequence

import keras
import tensorflow as tf

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.guarded_trainer import batch_norm
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.scoring import Scorer
from components.records.training import BatchNormDrift, Recalibration

_MAX_FITTED_ROWS = 1000
"""Most rows to re-check BatchNorm on where none is held out."""
_ROWS_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Repair:
    """What became of BatchNorm.

    Attributes:
      drift: How far the moving statistics were off, the worst layer first.
      recalibration: What was done about it; None where it was switched off.
      findings: Whatever is worth saying.
    """

    drift: tuple[BatchNormDrift, ...] = ()
    recalibration: Recalibration | None = None
    findings: tuple[Finding, ...] = ()


def repair(
    model: keras.Model,
    head: Head,
    layers: Sequence[BatchNorm],
    data: TrainingData,
    config: TrainingConfig,
    num_steps: int,
) -> Repair:
    """Measures the drift of BatchNorm and, where asked to, repairs it.

    Takes one epoch's worth of forward passes at most. Whatever keeps this from running
    leaves the statistics as they were, and blocks.

    Args:
      model: The trained model.
      head: What its outputs mean.
      layers: What `modes.adaptive_layers` returned for it.
      data: The checked data.
      config: Whether to repair, and on how many examples.
      num_steps: Training steps that made the moving statistics.
    """
    if not layers:
        return Repair()
    started = time.monotonic()
    before = batch_norm.current(layers)
    try:
        num_batches = min(
            max(config.recalibration_examples // config.batch_size, 1),
            data.steps_per_epoch(config.batch_size),
        )
        batches = data.train_batches(config.batch_size, config.seed).take(num_batches)
        measured = batch_norm.measure(model, layers, (inputs for inputs, _ in batches))
        drift = batch_norm.drift(layers, measured, num_steps)
        if not config.recalibrate_batch_norm:
            return Repair(drift)
        num_examples = min(num_batches * config.batch_size, data.num_fitted)
        recalibration = _recalibrate(model, head, layers, data, measured, num_examples)
    except Exception as error:
        batch_norm.assign(layers, before)
        return Repair(findings=(failed_check("BatchNorm recalibration", error),))
    recalibration = recalibration.model_copy(
        update={"seconds": time.monotonic() - started}
    )
    helped = _has_helped(recalibration)
    return Repair(
        drift, recalibration, (_repaired(drift, recalibration),) if helped else ()
    )


def _recalibrate(
    model: keras.Model,
    head: Head,
    layers: Sequence[BatchNorm],
    data: TrainingData,
    measured: Sequence[batch_norm.Statistics],
    num_examples: int,
) -> Recalibration:
    """Replaces the moving statistics if the loss on held-out rows gets no worse.

    Without held-out rows, rows that were fitted take their place, which the record
    says.
    """
    rows = data.held_out() if data.num_held_out else _some_fitted_rows(data)
    old = batch_norm.current(layers)
    scorer = Scorer(model, head)
    before = scorer.score(rows)
    batch_norm.assign(layers, measured)
    after = scorer.score(rows)
    kept = math.isfinite(after.loss) and not after.loss > before.loss
    if not kept:
        batch_norm.assign(layers, old)
    return Recalibration(
        kept=kept,
        num_examples=num_examples,
        num_held_out=data.num_held_out,
        loss_before=before.loss,
        loss_after=after.loss,
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
    )


def _some_fitted_rows(data: TrainingData) -> tf.data.Dataset:
    # Shuffled: the first rows on disk may be of one class.
    count = min(_MAX_FITTED_ROWS, data.num_fitted)
    rows = data.train_batches(_ROWS_BATCH, 0).unbatch().take(count)
    return rows.cache()


def _has_helped(recalibration: Recalibration) -> bool:
    """Returns whether predictions got better, which is news; else it is upkeep."""
    before, after = recalibration.accuracy_before, recalibration.accuracy_after
    return recalibration.kept and before is not None and (after or 0.0) > before


def _repaired(drift: Sequence[BatchNormDrift], recalibration: Recalibration) -> Finding:
    before, after = recalibration.accuracy_before, recalibration.accuracy_after
    rows = (
        f"{recalibration.num_held_out} held-out rows"
        if recalibration.num_held_out
        else "training rows (none were held out)"
    )
    return find(
        "mode_gap",
        f"BatchNorm was recalibrated on {recalibration.num_examples} training "
        f"examples: accuracy in inference mode on {rows} went from {before:.1%} to "
        f"{after:.1%}.",
        severity=Severity.INFO,
        subject=Subject(split="train", layer=drift[0].layer),
        measured=after,
        limit=before,
        unit="accuracy",
        remedy="Nothing: the repaired statistics are in the exported model.",
        evidence={"drift": [d.model_dump() for d in drift[:5]]},
        found_by="GuardedTrainer",
    )
