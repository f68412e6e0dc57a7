# SPDX-License-Identifier: Apache-2.0
"""Trains a classifier on a pretrained base, phase by phase, under the safeguards."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.causes import Severity
from components.findings import Finding, Subject, failed_check, find
from components.guarded_trainer import fit, modes
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.head import Head, read_head
from components.guarded_trainer.losses import choosing
from components.guarded_trainer.losses.compiling import compile_for
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.trainee import Trainee, loss_name
from components.guarded_trainer.transfer import (
    features,
    forgetting,
    phases,
    stages,
    weights,
)
from components.guarded_trainer.transfer.phases import Phase
from components.guarded_trainer.transfer.plan import TransferPlan
from components.guarded_trainer.transfer.progress import Progress
from components.records.training import Forgetting, Remedy, TransferRecord

_MAX_MOVED = 20
"""Most layers whose movement the record lists."""


@dataclasses.dataclass(frozen=True)
class Transferred:
    """A classifier that has been trained, and what came of it.

    Attributes:
      trainee: The whole model, from pixels to probabilities, and what has been read
        off it; no BatchNorm layers that training mode updates, unless the base was
        trained from random weights.
      fitted: All phases as one training; its findings include those of the transfer.
      record: What transfer did beyond the epochs.
    """

    trainee: Trainee
    fitted: fit.Fitted
    record: TransferRecord


def fit_transfer(
    plan: TransferPlan,
    data: TrainingData,
    config: TrainingConfig,
    *,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: str | None = None,
    log_dir: str | None = None,
    compile_options: Mapping[str, Any] | None = None,
) -> Transferred:
    """Trains head and base of a plan, phase by phase.

    Args:
      plan: The model; it is trained in place.
      data: Pictures, as the plan's model takes them.
      config: Safeguards, batch size, and rate of the head.
      extra_callbacks: Given to every phase.
      checkpoint_dir: Folder from which a killed training is taken up, also between
        phases; by default that of `config`.
      log_dir: Folder for TensorBoard logs, one sub-folder per phase; None for none.
      compile_options: Handed to `model.compile`, such as `jit_compile`.

    Returns:
      The trained model and its record.

    Raises:
      InputError: If a loss is asked for that the data do not allow.
    """
    inputs, _ = next(iter(data.fitted().batch(config.batch_size)))
    head, findings = read_head(plan.model, len(data.classes.labels), inputs)
    progress = Progress.of(checkpoint_dir or config.checkpoint_dir, plan, data, config)
    training = _Training(
        plan,
        head,
        data,
        # Each phase has a folder of its own.
        config.model_copy(update={"checkpoint_dir": None}),
        tuple(extra_callbacks),
        progress,
        log_dir,
        compile_options or {},
    )
    outcome = training.run()
    progress.remove()
    fitted = phases.merge(outcome.phases, outcome.roll_back)
    told = (*filter(_is_news, fitted.findings), *outcome.findings)
    return Transferred(
        Trainee(
            plan.model,
            head,
            training.batch_norm_layers(inputs),
            loss_name(plan.model),
            training.class_weight,
            findings,
        ),
        dataclasses.replace(fitted, findings=told),
        _record(plan, outcome),
    )


@dataclasses.dataclass(frozen=True)
class _Training:
    """One model, its data and its safeguards, over all phases."""

    plan: TransferPlan
    head: Head
    data: TrainingData
    config: TrainingConfig
    extra_callbacks: tuple[keras.callbacks.Callback, ...]
    progress: Progress
    log_dir: str | None
    compile_options: Mapping[str, Any]

    @functools.cached_property
    def has_sample_weights(self) -> bool:
        """Whether the data carry weights of their own."""
        return bool(getattr(self.data, "has_sample_weights", False))

    @functools.cached_property
    def class_weight(self) -> dict[int, float] | None:
        """What `model.fit` is given as `class_weight`."""
        return choosing.class_weights(
            self.data.classes,
            self.config.loss,
            compiled_by_user=False,
            has_sample_weights=self.has_sample_weights,
        )

    def batch_norm_layers(self, inputs: Any) -> tuple[modes.BatchNorm, ...]:
        """Returns the BatchNorm layers that training mode updates."""
        return modes.adaptive_layers(self.plan.model, inputs)

    def run(self) -> "_Outcome":
        """Trains all phases."""
        if self.plan.config.is_pretrained:
            stages.unfreeze(self.plan.base, ())
            return _fine_tuned(self, self.train_head())
        stages.train_all(self.plan.base)
        return _Outcome([self.train_all()])

    def train_head(self) -> Phase:
        """Trains the head on the frozen base, whose answers are computed once."""
        config = phases.head_config(self.plan.config, self.config)
        if not self._can_cache():
            fitted = self._fit(phases.HEAD, self.plan.model, lambda: self.data, config)
            return Phase(phases.HEAD, fitted)

        def data() -> TrainingData:
            return features.extract(
                self.plan.extractor, self.data, config.batch_size, folder=None
            )

        fitted = self._fit(phases.HEAD, self.plan.classifier, data, config)
        self._compile(self.plan.model, config)
        return Phase(phases.HEAD, fitted)

    def tune(self, number: int, head: Phase) -> Phase:
        """Trains the topmost stages of the base, so many of them, and the head."""
        stages.unfreeze(self.plan.base, self.plan.stages[:number])
        fitted = self._fit(
            f"{phases.FINE_TUNING}_{number}",
            self.plan.model,
            lambda: self.data,
            phases.tuning_config(self.plan.config, self.config, head.fitted),
        )
        return Phase(phases.FINE_TUNING, fitted)

    def train_all(self) -> Phase:
        """Trains all layers from random weights."""
        inputs, _ = next(iter(self.data.fitted().batch(self.config.batch_size)))
        fitted = self._fit(
            phases.TRAINING,
            self.plan.model,
            lambda: self.data,
            self.config,
            self.batch_norm_layers(inputs),
        )
        return Phase(phases.TRAINING, fitted)

    def right(self) -> np.ndarray:
        """Returns whether each held-out row is answered rightly, bool, shape (n,)."""
        right = [
            self._answer(inputs).numpy().argmax(axis=1) == class_ids.numpy()
            for inputs, class_ids in self.data.held_out().batch(self.config.batch_size)
        ]
        return np.concatenate(right) if right else np.zeros(0, bool)

    @functools.cached_property
    def _answer(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(
            lambda inputs: modes.forward(self.plan.model, inputs, training=False),
            reduce_retracing=True,
            autograph=False,
        )

    def _can_cache(self) -> bool:
        return (
            self.plan.config.cache_features
            # Pictures that are varied differ from epoch to epoch; and rows with
            # weights of their own are left to the data that know them.
            and getattr(self.data, "augment", None) is None
            and not self.has_sample_weights
            and features.fit_on_disk(self.plan.extractor, self.data, folder=None)
        )

    def _compile(self, model: keras.Model, config: TrainingConfig) -> None:
        compile_for(model, self.head, self.data.classes, config, **self.compile_options)

    def _fit(
        self,
        name: str,
        model: keras.Model,
        data: Callable[[], TrainingData],
        config: TrainingConfig,
        batch_norm_layers: Sequence[modes.BatchNorm] = (),
    ) -> fit.Fitted:
        self._compile(model, config)
        fitted = self.progress.restore(name)
        if fitted is None:
            fitted = fit.fit(
                model,
                self.head,
                data(),
                config,
                batch_norm_layers=batch_norm_layers,
                class_weight=self.class_weight,
                extra_callbacks=self.extra_callbacks,
                checkpoint_dir=self.progress.folder_of(name),
                log_dir=self.log_dir and os.path.join(self.log_dir, name),
            )
            self.progress.save(name, fitted)
        return fitted


@dataclasses.dataclass(frozen=True)
class _Outcome:
    phases: list[Phase]
    roll_back: Remedy | None = None
    findings: tuple[Finding, ...] = ()
    moved: tuple[Forgetting, ...] = ()
    num_unfrozen: int = 0
    head_accuracy: float | None = None
    tuned_accuracy: float | None = None


def _fine_tuned(training: _Training, head: Phase) -> _Outcome:
    """Unfreezes stage after stage, for as long as that does no harm.

    A stage that made the held-out loss worse, or the base forget, is rolled back, and
    nothing below it is unfrozen.
    """
    plan, config = training.plan, training.plan.config
    before = training.right()
    outcome = _Outcome([head], head_accuracy=_mean(before), tuned_accuracy=None)
    if not plan.stages or head.fitted.best_epoch is None:
        # Without stages there is nothing to do, and a broken head would break the base.
        return outcome
    if not before.size:
        return dataclasses.replace(outcome, findings=(_not_tuned(),))
    layers = [layer for stage in plan.stages for layer in stage]
    first = weights.take(layers)
    trained = [*layers, *plan.classifier.layers]
    kept, best = head, weights.take(trained)
    for number in range(1, len(plan.stages) + 1):
        phase = training.tune(number, head)
        after = training.right()
        moved, findings = _forgotten(training, first, layers, before, after)
        worse = not (
            phase.loss is not None and kept.loss is not None and phase.loss <= kept.loss
        )
        tried = dataclasses.replace(
            outcome,
            phases=[*outcome.phases, phase],
            findings=findings,
            moved=moved,
            num_unfrozen=sum(len(stage) for stage in plan.stages[:number]),
            tuned_accuracy=_mean(after),
        )
        if config.roll_back and (worse or findings):
            weights.put_back(trained, best)
            stages.unfreeze(plan.base, plan.stages[: number - 1])
            # What is said of the base is said of the one that was kept, if any was.
            return dataclasses.replace(
                outcome if number > 1 else tried,
                phases=[*outcome.phases, dataclasses.replace(phase, kept=False)],
                findings=findings,
                roll_back=_roll_back(phase, kept, bool(findings)),
            )
        outcome = tried
        kept, best = phase, weights.take(trained)
    return outcome


def _forgotten(
    training: _Training,
    first: weights.Weights,
    layers: Sequence[keras.layers.Layer],
    before: np.ndarray,
    after: np.ndarray,
) -> tuple[tuple[Forgetting, ...], tuple[Finding, ...]]:
    config = training.plan.config
    try:
        moved = forgetting.distances(first, weights.take(layers))
        findings = forgetting.judge(
            moved,
            before,
            after,
            max_distance=config.max_distance,
            significance=config.significance,
            rolled_back=config.roll_back,
        )
    except Exception as error:
        return (), (failed_check("Forgetting", error),)
    return moved, findings


def _roll_back(phase: Phase, kept: Phase, forgot: bool) -> Remedy:
    why = (
        "the base forgot"
        if forgot
        else f"the held-out loss went from {_text(kept.loss)} to {_text(phase.loss)}"
    )
    return Remedy(
        action="roll_back_fine_tuning",
        cause="frozen_model" if forgot else "overfit",
        rule="Forgetting" if forgot else "FineTuning",
        epoch=0,  # Known where the phases are joined.
        before=phase.loss,
        after=kept.loss,
        message=f"Fine-tuning was rolled back: {why}.",
        helped=True,
    )


def _is_news(finding: Finding) -> bool:
    """Returns whether a finding says more than that frozen layers are frozen."""
    return finding.cause != "frozen_model" or finding.severity is not Severity.INFO


def _not_tuned() -> Finding:
    return find(
        "insufficient_evidence",
        "Fine-tuning was left out, since no rows are held out that could tell whether "
        "it does harm: the base stayed frozen.",
        severity=Severity.WARN,
        subject=Subject(split="train"),
        measured=0.0,
        unit="examples",
        remedy="Raise `training.held_out_share` or lower `training.min_held_out`; or "
        "set `model.transfer.unfreeze` to 0, if feature extraction is what you want.",
        found_by="GuardedTrainer",
    )


def _record(plan: TransferPlan, outcome: _Outcome) -> TransferRecord:
    tuned = [phase for phase in outcome.phases if phase.name == phases.FINE_TUNING]
    return TransferRecord(
        backbone=plan.config.backbone,
        weights=plan.config.weights,
        num_base_layers=sum(bool(layer.weights) for layer in plan.base.layers),
        unfrozen_layers=outcome.num_unfrozen,
        head_held_out_accuracy=outcome.head_accuracy,
        tuned_held_out_accuracy=outcome.tuned_accuracy,
        moved=outcome.moved[:_MAX_MOVED],
        tuning_kept=any(phase.kept for phase in tuned) if tuned else None,
    )


def _mean(right: np.ndarray) -> float | None:
    return float(right.mean()) if right.size else None


def _text(loss: float | None) -> str:
    return "nothing finite" if loss is None else f"{loss:.4g}"
