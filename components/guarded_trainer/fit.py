# SPDX-License-Identifier: Apache-2.0
"""Trains a model under safeguards, repairs its BatchNorm, and records what it saw."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.guarded_trainer import batch_norm, modes
from components.guarded_trainer.callbacks import (
    KeepBest,
    RecordEpochs,
    StopOnNotFinite,
    first_not_finite,
)
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.data import TrainingSplit
from components.guarded_trainer.head import Head
from components.guarded_trainer.modes import BatchNorm
from components.records.training import BatchNormDrift, Epoch, Recalibration

_PREDICT_BATCH = 256
_MAX_FITTED_ROWS = 1000
"""Most rows to re-check BatchNorm on where none is held out."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What came of a training; the model itself holds the weights."""

    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    stopped_because: str
    batch_norm: tuple[BatchNormDrift, ...]
    recalibration: Recalibration | None
    findings: tuple[Finding, ...]
    steps_per_epoch: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Score:
    """Mean cross-entropy (nats) and accuracy of a model in inference mode."""

    loss: float
    accuracy: float


def fit(
    model: keras.Model,
    head: Head,
    split: TrainingSplit,
    config: TrainingConfig,
    *,
    batch_norm_layers: Sequence[BatchNorm] = (),
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    blaming: AbstractContextManager[None] | None = None,
) -> Fitted:
    """Trains a compiled model with the safeguards of the configuration.

    Shuffles whatever the order on disk, weights the loss, stops early and keeps
    the best weights, stops on NaN and goes back to the last good weights, and
    recalibrates BatchNorm. The user's train step is not touched.

    Args:
      model: Compiled and built; it is trained in place.
      head: What the model's outputs mean.
      split: The checked training split.
      config: The safeguards.
      batch_norm_layers: What `modes.adaptive_layers` returned for the model.
      extra_callbacks: Such as TensorBoard.
      blaming: Entered while the user's code may run, to say where it failed.

    Returns:
      The history and findings.
    """
    started = time.monotonic()
    weights = _class_weights(split, config)
    held_out = _held_out_batches(split, head, weights) if split.num_held_out else None
    guard, record = StopOnNotFinite(), RecordEpochs()
    keep_best = KeepBest(
        guard,
        monitor="val_loss" if held_out is not None else "loss",
        # Keras forgets the best weights without patience; no epoch has this much.
        patience=config.patience or config.epochs + 1,
    )
    with blaming or contextlib.nullcontext():
        model.fit(
            _encoded(split.train_batches(config.batch_size, config.seed), head),
            epochs=config.epochs,
            validation_data=held_out,
            # The guard comes first: what keeps weights asks it.
            callbacks=[guard, keep_best, record, *extra_callbacks],
            class_weight=weights,
            verbose=0,
        )
    findings = []
    if guard.reason:
        findings.append(_not_a_number(guard, model, keep_best.kept_epoch))
    steps_per_epoch = -(-split.num_fitted // config.batch_size)
    num_epochs = len(record.epochs)
    if keep_best.kept_epoch is not None:
        num_epochs = keep_best.kept_epoch + 1
    repair = _repair(
        model, head, batch_norm_layers, split, config, steps_per_epoch * num_epochs
    )
    return Fitted(
        epochs=tuple(record.epochs),
        best_epoch=keep_best.kept_epoch,
        stopped_because=_why_stopped(guard, keep_best, config),
        batch_norm=repair.drift,
        recalibration=repair.recalibration,
        findings=(*findings, *repair.findings),
        steps_per_epoch=steps_per_epoch,
        seconds=time.monotonic() - started,
    )


def score(model: keras.Model, head: Head, rows: tf.data.Dataset) -> Score:
    """Scores a model in inference mode on (input, class id) rows.

    Returns:
      NaN for both where there are no rows. The loss is NaN where a prediction is;
      such a prediction is wrong.
    """
    losses: list[np.ndarray] = []
    right: list[np.ndarray] = []
    predict = tf.function(
        lambda x: head.probabilities(modes.forward(model, x, training=False)),
        reduce_retracing=True,
        autograph=False,
    )
    for inputs, class_ids in rows.batch(_PREDICT_BATCH):
        probabilities = predict(inputs).numpy()
        truth = class_ids.numpy()
        chosen = probabilities[np.arange(len(truth)), truth]
        losses.append(-np.log(np.maximum(chosen, 1e-7)))
        right.append(np.isfinite(chosen) & (probabilities.argmax(axis=1) == truth))
    if not losses:
        return Score(float("nan"), float("nan"))
    return Score(
        float(np.concatenate(losses).mean()), float(np.concatenate(right).mean())
    )


@dataclasses.dataclass(frozen=True)
class _Repair:
    drift: tuple[BatchNormDrift, ...] = ()
    recalibration: Recalibration | None = None
    findings: tuple[Finding, ...] = ()


def _repair(
    model: keras.Model,
    head: Head,
    layers: Sequence[BatchNorm],
    split: TrainingSplit,
    config: TrainingConfig,
    num_steps: int,
) -> _Repair:
    """Measures the drift of BatchNorm and, where asked to, repairs it.

    Whatever keeps this from running leaves the statistics as they were, and blocks.
    """
    if not layers:
        return _Repair()
    before = batch_norm.current(layers)
    try:
        batches = split.train_batches(config.batch_size, config.seed)
        num_batches = max(config.recalibration_examples // config.batch_size, 1)
        measured = batch_norm.measure(
            model, layers, (inputs for inputs, _ in batches.take(num_batches))
        )
        drift = batch_norm.drift(layers, measured, num_steps)
        if not config.recalibrate_batch_norm:
            return _Repair(drift)
        num_examples = min(num_batches * config.batch_size, split.num_fitted)
        recalibration = _recalibrate(model, head, layers, split, measured, num_examples)
    except Exception as error:
        batch_norm.assign(layers, before)
        return _Repair(findings=(failed_check("BatchNorm recalibration", error),))
    helped = _has_helped(recalibration)
    return _Repair(
        drift, recalibration, (_repaired(drift, recalibration),) if helped else ()
    )


def _recalibrate(
    model: keras.Model,
    head: Head,
    layers: Sequence[BatchNorm],
    split: TrainingSplit,
    measured: Sequence[batch_norm.Statistics],
    num_examples: int,
) -> Recalibration:
    """Replaces the moving statistics if the loss on held-out rows gets no worse.

    Without held-out rows, rows that were fitted take their place, which the record
    says.
    """
    rows = split.held_out()
    if not split.num_held_out:
        # Shuffled: the first rows on disk may be of one class.
        rows = split.train_batches(_PREDICT_BATCH, 0).unbatch().take(_MAX_FITTED_ROWS)
        rows = rows.cache()
    old = batch_norm.current(layers)
    before = score(model, head, rows)
    batch_norm.assign(layers, measured)
    after = score(model, head, rows)
    kept = math.isfinite(after.loss) and not after.loss > before.loss
    if not kept:
        batch_norm.assign(layers, old)
    return Recalibration(
        kept=kept,
        num_examples=num_examples,
        num_held_out=split.num_held_out,
        loss_before=before.loss,
        loss_after=after.loss,
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
    )


def _has_helped(recalibration: Recalibration) -> bool:
    """Returns whether predictions got better, which is news; else it is upkeep."""
    before, after = recalibration.accuracy_before, recalibration.accuracy_after
    return recalibration.kept and before is not None and (after or 0.0) > before


def _class_weights(
    split: TrainingSplit, config: TrainingConfig
) -> dict[int, float] | None:
    """Returns the weight of each class, None where all that occur weigh the same."""
    weights = {
        k: weight if split.classes.train_counts[k] else 1.0
        # Keras wants a weight for every class, also for those that never occur.
        for k, weight in enumerate(split.classes.weights)
    }
    occurring = {weights[k] for k, n in enumerate(split.classes.train_counts) if n}
    wanted = config.loss.kind in ("auto", "class_weights")
    return weights if wanted and len(occurring) > 1 else None


def _held_out_batches(
    split: TrainingSplit, head: Head, weights: dict[int, float] | None
) -> tf.data.Dataset:
    """Returns batches for Keras' validation, weighted as the training loss is.

    Else early stopping would prefer the epochs that neglect the rare classes.
    """
    table = tf.constant(
        [weights[k] if weights else 1.0 for k in range(head.num_classes)]
    )
    return (
        split.held_out()
        .batch(_PREDICT_BATCH)
        .map(lambda x, k: (x, head.encode(k), tf.gather(table, k)))
    )


def _encoded(batches: tf.data.Dataset, head: Head) -> tf.data.Dataset:
    return batches.map(
        lambda inputs, class_ids: (inputs, head.encode(class_ids)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _why_stopped(
    guard: StopOnNotFinite, keep_best: KeepBest, config: TrainingConfig
) -> str:
    if guard.reason:
        return guard.reason
    if keep_best.gave_up:
        name = "held-out loss" if keep_best.monitor == "val_loss" else "training loss"
        return f"no better {name} in {config.patience} epochs"
    return f"all {config.epochs} epochs were trained"


def _not_a_number(
    guard: StopOnNotFinite, model: keras.Model, kept_epoch: int | None
) -> Finding:
    lost = kept_epoch is None or first_not_finite(model) is not None
    outcome = (
        "no good weights are left"
        if kept_epoch is None or lost
        else f"the weights of epoch {kept_epoch + 1} were restored"
    )
    return find(
        "not_a_number",
        f"Training was stopped because {guard.reason}; {outcome}.",
        severity=Severity.BLOCK if lost else Severity.WARN,
        subject=Subject(split="train", layer=guard.layer),
        found_by="GuardedTrainer",
    )


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


def versions() -> dict[str, str]:
    """Returns the versions of the libraries that shape a model."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def devices() -> tuple[str, ...]:
    """Returns the devices TensorFlow sees, such as `GPU: NVIDIA ...` or `CPU`."""
    names: list[Any] = []
    for device in tf.config.list_physical_devices():
        details = tf.config.experimental.get_device_details(device)
        name = details.get("device_name")
        names.append(f"{device.device_type}: {name}" if name else device.device_type)
    return tuple(names)
