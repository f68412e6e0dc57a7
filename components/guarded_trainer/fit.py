# SPDX-License-Identifier: Apache-2.0
"""Trains a model under safeguards, repairs it, and says what was seen."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import keras

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.guarded_trainer import variables
from components.guarded_trainer.callbacks import first_not_finite
from components.guarded_trainer.checkpoints import Checkpoints
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.device.roles import checkpoint_folder
from components.guarded_trainer.device.workers import least
from components.guarded_trainer.head import Head
from components.guarded_trainer.loop import Loop
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.plan import Plan, make_key
from components.guarded_trainer.probe.tensorboard import TensorBoard
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.recalibration import repair
from components.guarded_trainer.remedies.judging import judge
from components.guarded_trainer.rules.diagnosis import diagnose
from components.guarded_trainer.schedule import range_test, rate
from components.guarded_trainer.watching import Watch
from components.records.training import BatchNormDrift, Epoch, Recalibration, Remedy


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What came of a training; the model itself holds the weights.

    Attributes:
      epochs: All epochs trained, in the order of time.
      best_epoch: Index in `epochs` of the one whose weights the model was left with;
        None if no epoch was whole.
      stopped_because: Why training ended, in words.
      batch_norm: Drift of the moving statistics, before any recalibration.
      recalibration: What became of it; None where there was none.
      findings: What is worth saying, the diagnosis included.
      steps_per_epoch: Steps in an epoch.
      seconds: Duration of it all.
      remedies: What was changed, in the order of time.
      resumed_at: Indices in `epochs` at which a killed training was taken up.
      notes: What part of the configuration does nothing to this model, and why.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    stopped_because: str
    batch_norm: tuple[BatchNormDrift, ...]
    recalibration: Recalibration | None
    findings: tuple[Finding, ...]
    steps_per_epoch: int
    seconds: float
    remedies: tuple[Remedy, ...] = ()
    resumed_at: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def fit(
    model: keras.Model,
    head: Head,
    data: TrainingData,
    config: TrainingConfig,
    *,
    batch_norm_layers: Sequence[BatchNorm] = (),
    class_weight: Mapping[int, float] | None = None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    blaming: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    checkpoint_dir: str | None = None,
    log_dir: str | None = None,
    hopeless: str | None = None,
) -> Fitted:
    """Trains a compiled model with the safeguards of the configuration.

    Watches each epoch, takes remedies and rolls back where training goes wrong, stops
    early and keeps the best weights, and recalibrates BatchNorm. The user's train step
    is not touched, and watching changes no weight.

    Args:
      model: Compiled and built; it is trained in place.
      head: What the model's outputs mean.
      data: The checked training data.
      config: The safeguards.
      batch_norm_layers: What `modes.adaptive_layers` returned for the model.
      class_weight: Weight of each class in both losses; None for 1.
      extra_callbacks: Called after our own; after a roll-back, epochs come again.
      blaming: Makes what is entered while the user's code may run, to say where it
        failed; called once for each segment.
      checkpoint_dir: Folder of this training alone: if it was killed and is run again
        with the same folder, it goes on from its last checkpoint. Emptied in the end.
        By default `config.checkpoint_dir`; with neither, nothing outlives the process.
      log_dir: Folder for TensorBoard's logs.
      hopeless: Why the training must fail, in a clause, where that is known before
        it. It is then stopped after one epoch, unless the remedies say otherwise.

    Returns:
      The history and the findings.
    """
    started = time.monotonic()
    variables.build_optimizer(model)
    folder = checkpoint_dir or config.checkpoint_dir
    key = make_key(model, data, config, class_weight) if folder else ""
    folder = checkpoint_folder(folder) if folder else None
    with Checkpoints(folder, key) as checkpoints:
        saved = checkpoints.latest()
        agreed = least(model.distribute_strategy, saved.number if saved else -1)
        if saved and agreed != saved.number:
            # Another worker was killed before it had saved as much.
            saved = checkpoints.find(agreed) if agreed >= 0 else None
        initial = checkpoints.find(0) if saved else None
        if initial:
            # What was known before the first step is seen again as it was.
            variables.restore(model, checkpoints.arrays(initial))
        notes = () if saved else _choose_rate(model, head, data, config, class_weight)
        watch = Watch(model, head, data, config, batch_norm_layers)
        board = (
            TensorBoard(log_dir, first_step=saved.number if saved else 0)
            if log_dir
            else None
        )
        plan = Plan(
            model,
            head,
            data,
            config,
            batch_norm_layers,
            class_weight,
            extra_callbacks=(*([board] if board else []), *extra_callbacks),
            blaming=blaming,
            hopeless=hopeless,
            **({"on_reading": board.write_reading} if board else {}),
        )
        loop = Loop(plan, watch, checkpoints, notes)
        if saved:
            loop.take_up(saved)
        loop.run()
        fitted = _conclude(loop, plan, watch)
        # Not before all is done: what is killed on the way is done again.
        checkpoints.remove()
    return dataclasses.replace(fitted, seconds=time.monotonic() - started)


def _choose_rate(
    model: keras.Model,
    head: Head,
    data: TrainingData,
    config: TrainingConfig,
    class_weight: Mapping[int, float] | None,
) -> tuple[str, ...]:
    """Sets the rate by a range test, where one is asked for; returns what to say."""
    if not config.schedule.range_test:
        return ()
    tested = range_test.find_learning_rate(
        model,
        data.fit_batches(head, config.batch_size, config.seed),
        num_steps=config.schedule.range_test_steps,
        class_weight=class_weight,
    )
    before = rate.get(model.optimizer)
    if tested.proposal is None:
        return (
            f"In the range test the loss fell at no rate; {before:.3g} was left as the "
            "learning rate.",
        )
    rate.put(model.optimizer, tested.proposal)
    return (
        f"A range test of {len(tested.rates)} steps set the learning rate to "
        f"{tested.proposal:.3g} in place of {before:.3g}.",
    )


def _conclude(loop: Loop, plan: Plan, watch: Watch) -> Fitted:
    """Repairs what was trained, and judges it."""
    state, config = loop.state, plan.config
    steps = plan.data.steps_per_epoch(config.batch_size)
    best = state.best_epoch
    # Its place among the epochs on the way.
    place = None if best is None else state.path.index(best)
    trained = len(state.path) if place is None else place + 1
    repaired = repair(
        plan.model,
        plan.head,
        plan.batch_norm_layers,
        plan.data,
        config,
        steps * trained,
    )
    remedies = judge(state.remedies, loop.epochs, loop.broken is not None)
    stopped_because = loop.stopped_because or ""
    findings: list[Finding] = []
    if loop.broken:
        findings.append(_not_a_number(loop.broken, loop.broken_layer, plan.model, best))
    if watch.facts is not None:
        try:
            told = diagnose(
                watch.facts,
                loop.path,
                best_epoch=place,
                stopped_because=stopped_because,
                remedies=remedies,
                recalibration=repaired.recalibration,
                limits=config.rules,
            )
            findings += [
                finding
                for finding in told
                if not (loop.broken and finding.cause == "not_a_number")
            ]
        except Exception as error:
            findings.append(failed_check("Diagnosis of the training", error))
    return Fitted(
        epochs=tuple(loop.epochs),
        best_epoch=best,
        stopped_because=stopped_because,
        batch_norm=repaired.drift,
        recalibration=repaired.recalibration,
        findings=(*findings, *repaired.findings, *watch.findings),
        steps_per_epoch=steps,
        seconds=0.0,
        remedies=remedies,
        resumed_at=state.resumed_at,
        notes=loop.notes,
    )


def _not_a_number(
    reason: str, layer: str | None, model: keras.Model, kept_epoch: int | None
) -> Finding:
    lost = kept_epoch is None or first_not_finite(model) is not None
    outcome = (
        "no good weights are left"
        if kept_epoch is None or lost
        else f"the weights of epoch {kept_epoch + 1} were restored"
    )
    return find(
        "not_a_number",
        f"Training was stopped because {reason}; {outcome}.",
        severity=Severity.BLOCK if lost else Severity.WARN,
        subject=Subject(split="train", layer=layer),
        found_by="GuardedTrainer",
    )
