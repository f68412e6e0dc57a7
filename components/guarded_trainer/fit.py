# SPDX-License-Identifier: Apache-2.0
"""Trains a model under safeguards, repairs its BatchNorm, and records what it saw."""

import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_trainer import batch_norm
from components.guarded_trainer.callbacks import (
    RecordEpochs,
    StopOnNotFinite,
    first_not_finite,
)
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.data import TrainingSplit
from components.guarded_trainer.head import Head
from components.records.training import BatchNormDrift, Epoch, Recalibration

_LOG = logging.getLogger("components.guarded_trainer")
_PREDICT_BATCH = 256


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
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
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
      extra_callbacks: Such as TensorBoard.

    Returns:
      The history and findings.
    """
    started = time.monotonic()
    batches = split.train_batches(config.batch_size, config.seed)
    held_out = None
    if split.num_held_out:
        held_out = _encoded(split.held_out().cache().batch(_PREDICT_BATCH), head)
    guard, record = StopOnNotFinite(), RecordEpochs()
    keep_best = keras.callbacks.EarlyStopping(
        monitor="val_loss" if held_out is not None else "loss",
        mode="min",
        # Keras forgets the best weights without patience; no epoch has this much.
        patience=config.patience or config.epochs + 1,
        restore_best_weights=True,
    )
    weights = {
        k: w
        for k, w in enumerate(split.classes.weights)
        if split.classes.train_counts[k]
    }
    weighted = config.use_class_weights and len(set(weights.values())) > 1
    model.fit(
        _encoded(batches, head),
        epochs=config.epochs,
        validation_data=held_out,
        # The guard comes first, so that no other callback keeps broken weights.
        callbacks=[guard, keep_best, record, *extra_callbacks],
        class_weight=_full(weights, head) if weighted else None,
        verbose=0,
    )
    best_epoch = _best_epoch(record.epochs)
    findings = []
    if guard.reason:
        findings.append(_not_a_number(guard, model, best_epoch))
    steps_per_epoch = -(-split.num_fitted // config.batch_size)
    num_steps = steps_per_epoch * ((best_epoch or 0) + 1)
    drift, recalibration = _recalibrate(model, head, split, config, num_steps)
    if recalibration and _has_helped(recalibration):
        findings.append(_repaired(drift, recalibration))
    return Fitted(
        epochs=tuple(record.epochs),
        best_epoch=best_epoch,
        stopped_because=_why_stopped(guard, keep_best, config),
        batch_norm=drift,
        recalibration=recalibration,
        findings=tuple(findings),
        steps_per_epoch=steps_per_epoch,
        seconds=time.monotonic() - started,
    )


def score(model: keras.Model, head: Head, rows: tf.data.Dataset) -> Score:
    """Scores a model in inference mode on (input, class id) rows.

    Returns:
      NaN for both where there are no rows.
    """
    losses: list[np.ndarray] = []
    right: list[np.ndarray] = []
    predict = tf.function(
        lambda x: head.probabilities(model(x, training=False)), reduce_retracing=True
    )
    for inputs, class_ids in rows.batch(_PREDICT_BATCH):
        probabilities = predict(inputs).numpy()
        truth = class_ids.numpy()
        chosen = probabilities[np.arange(len(truth)), truth]
        losses.append(-np.log(np.maximum(chosen, 1e-7)))
        right.append(probabilities.argmax(axis=1) == truth)
    if not losses:
        return Score(float("nan"), float("nan"))
    return Score(
        float(np.concatenate(losses).mean()), float(np.concatenate(right).mean())
    )


def _recalibrate(
    model: keras.Model,
    head: Head,
    split: TrainingSplit,
    config: TrainingConfig,
    num_steps: int,
) -> tuple[tuple[BatchNormDrift, ...], Recalibration | None]:
    """Measures the drift of BatchNorm and, where asked to, repairs it.

    The new statistics are kept only if the loss on held-out rows gets no worse.
    Without held-out rows the fitted rows take their place, which the record says.
    """
    if not batch_norm.trainable_layers(model):
        return (), None
    batches = split.train_batches(config.batch_size, config.seed)
    num_batches = max(config.recalibration_examples // config.batch_size, 1)
    measured = batch_norm.measure(
        model, (inputs for inputs, _ in batches.take(num_batches))
    )
    drift = batch_norm.drift(model, measured, num_steps)
    if not config.recalibrate_batch_norm:
        return drift, None
    rows = split.held_out() if split.num_held_out else split.fitted().take(1000)
    before, old = score(model, head, rows), batch_norm.current(model)
    batch_norm.assign(model, measured)
    after = score(model, head, rows)
    kept = bool(after.loss <= before.loss or not np.isfinite(before.loss))
    if not kept:
        batch_norm.assign(model, old)
    recalibration = Recalibration(
        kept=kept,
        num_examples=min(num_batches * config.batch_size, split.num_fitted),
        num_held_out=split.num_held_out,
        loss_before=before.loss,
        loss_after=after.loss,
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
    )
    return drift, recalibration


def _has_helped(recalibration: Recalibration) -> bool:
    """Returns whether predictions got better, which is news; else it is upkeep."""
    before, after = recalibration.accuracy_before, recalibration.accuracy_after
    return recalibration.kept and before is not None and (after or 0.0) > before


def _encoded(batches: tf.data.Dataset, head: Head) -> tf.data.Dataset:
    return batches.map(
        lambda inputs, class_ids: (inputs, head.encode(class_ids)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _full(weights: dict[int, float], head: Head) -> dict[int, float]:
    """Keras wants a weight for every class, also for those that never occur."""
    return {k: weights.get(k, 1.0) for k in range(head.num_classes)}


def _best_epoch(epochs: Sequence[Epoch]) -> int | None:
    """Returns the epoch whose weights EarlyStopping restored."""
    held_out = any(epoch.held_out_loss is not None for epoch in epochs)
    losses = [e.held_out_loss if held_out else e.loss for e in epochs]
    finite = [(x, i) for i, x in enumerate(losses) if x is not None and np.isfinite(x)]
    return min(finite)[1] if finite else None


def _why_stopped(
    guard: StopOnNotFinite,
    keep_best: keras.callbacks.EarlyStopping,
    config: TrainingConfig,
) -> str:
    if guard.reason:
        return guard.reason
    if keep_best.stopped_epoch:
        return f"no better {keep_best.monitor} in {config.patience} epochs"
    return f"all {config.epochs} epochs were trained"


def _not_a_number(
    guard: StopOnNotFinite, model: keras.Model, best_epoch: int | None
) -> Finding:
    lost = best_epoch is None or first_not_finite(model) is not None
    outcome = (
        "no good weights are left"
        if lost or best_epoch is None
        else f"the weights of epoch {best_epoch + 1} were restored"
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
