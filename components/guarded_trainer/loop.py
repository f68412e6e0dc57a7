# SPDX-License-Identifier: Apache-2.0
"""The training loop: `model.fit` in segments, with remedies between them.

After each epoch the model is looked at, the rules are applied, and the policy decides.
A remedy ends the segment: variables go back to a checkpoint, something is changed, and
the next segment goes on from there. The order of the data in an epoch depends on the
seed and the number of the epoch alone, so that a training which was rolled back or
killed sees what it would have seen.
"""

import logging
import math
from collections.abc import Sequence

import numpy as np

from components.guarded_trainer import variables
from components.guarded_trainer.callbacks import RecordEpochs, StopOnNotFinite
from components.guarded_trainer.checkpoints import Checkpoints, Saved
from components.guarded_trainer.device.workers import AverageBatchNorm, fittable
from components.guarded_trainer.plan import Plan
from components.guarded_trainer.remedies import actions, policy, wording
from components.guarded_trainer.remedies.changes import BACK, Change, Stop
from components.guarded_trainer.schedule import clipping, rate
from components.guarded_trainer.schedule.callbacks import Resumable, make_callbacks
from components.guarded_trainer.state import LoopState
from components.guarded_trainer.watching import Watch
from components.records.training import Epoch, Remedy

_LOG = logging.getLogger("components.guarded_trainer")


class Loop:
    """One training, from its first epoch or from a checkpoint to its end.

    Attributes:
      state: Where it stands.
      epochs: All epochs trained, in the order of time.
      stopped_because: Why it ended, in words; None before it has.
      broken: Why it broke, where it ended broken; else None.
      broken_layer: Path of the variable that was not finite, where it is known.
    """

    def __init__(
        self,
        plan: Plan,
        watch: Watch,
        checkpoints: Checkpoints,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._plan = plan
        self._watch = watch
        self._checkpoints = checkpoints
        self._guard = StopOnNotFinite()
        self._record = RecordEpochs(self._after_epoch)
        self._monitor = "val_loss" if plan.data.num_held_out else "loss"
        self._schedule: tuple[Resumable, ...] = make_callbacks(
            plan.config.schedule, monitor=self._monitor, patience=plan.config.patience
        )
        self._steps = plan.data.steps_per_epoch(plan.config.batch_size)
        self._best_weights: list[np.ndarray] | None = None
        self._momenta = [layer.momentum for layer in plan.batch_norm_layers]
        self._decision: Change | None = None
        self.state = LoopState(planned=plan.config.epochs, notes=notes)
        self.epochs: list[Epoch] = []
        self.stopped_because: str | None = None
        self.broken: str | None = None
        self.broken_layer: str | None = None

    @property
    def path(self) -> list[Epoch]:
        """The epochs that led to the present weights."""
        return [self.epochs[i] for i in self.state.path]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of the schedule, one sentence each."""
        idle = (callback.note for callback in self._schedule if callback.note)
        return (*self.state.notes, *idle)

    def run(self) -> None:
        """Trains to the end, and leaves the best weights in the model."""
        if not self.epochs:
            self._checkpoints.rewind(0)
            self._save(0)
        while self.stopped_because is None:
            self._decision = None
            self._segment()
            if self._decision is not None:
                self._take(self._decision)
        for layer, momentum in zip(
            self._plan.batch_norm_layers, self._momenta, strict=True
        ):
            # It is the user's, and was lowered for this training alone.
            layer.momentum = momentum
        if self._best_weights is not None:
            variables.assign(self._plan.model.weights, self._best_weights)

    def take_up(self, saved: Saved) -> None:
        """Goes on from a checkpoint of a training that was killed."""
        self.epochs = self._checkpoints.rewind(saved.number)
        self._restore(saved)
        self.state = saved.state.model_copy(
            update={"resumed_at": (*saved.state.resumed_at, len(self.epochs))}
        )
        model = self._plan.model
        # The rate itself stands among the optimizer's variables, unless it follows a
        # schedule.
        if self.state.rate_factor != 1 and not rate.is_adjustable(model.optimizer):
            actions.scale_rate(model, self.state.rate_factor)
        if self.state.clip_norm is not None:
            clipping.clip(model, self.state.clip_norm)
        if self.state.batch_norm_momentum is not None:
            actions.lower_momentum(
                model, self._plan.batch_norm_layers, self.state.batch_norm_momentum
            )
        _LOG.warning(
            "training was interrupted, and goes on after epoch %d", self.state.position
        )

    def _segment(self) -> None:
        plan = self._plan
        with plan.blaming(), fittable(plan.model):
            plan.model.fit(
                plan.data.fit_batches(
                    plan.head,
                    plan.config.batch_size,
                    plan.config.seed,
                    first_epoch=self.state.position,
                ),
                initial_epoch=self.state.position,
                epochs=self.state.planned,
                steps_per_epoch=self._steps,
                validation_data=plan.data.held_out_batches(
                    plan.head, plan.class_weight
                ),
                # The guard comes first: the others ask it. The schedule's state is
                # saved with the epoch.
                callbacks=[
                    self._guard,
                    AverageBatchNorm(plan.batch_norm_layers),
                    self._watch.steps,
                    *self._schedule,
                    self._record,
                    *plan.extra_callbacks,
                ],
                class_weight=dict(plan.class_weight) if plan.class_weight else None,
                verbose=0,
            )
        if self._decision is None and self.stopped_because is None:
            self.stopped_because = "a callback stopped the training"

    def _after_epoch(self, measured: Epoch) -> None:
        """Takes an epoch into the record, and decides how to go on."""
        index, position = len(self.epochs), self.state.position
        broken = self._guard.reason
        reading = self._watch.read(
            position, wanted=bool(broken) or self._is_telling(measured)
        )
        epoch = measured.model_copy(
            update={"attempt": self.state.attempt, "probe": reading}
        )
        self.epochs.append(epoch)
        self._checkpoints.append([epoch])
        if reading is not None:
            self._plan.on_reading(index, reading)
        self._note(epoch, index)
        decision = self._decide(broken)
        if isinstance(decision, Change):
            self._decision = decision
        elif isinstance(decision, Stop):
            self.stopped_because = decision.reason
        else:
            self.stopped_because = self._reason_to_stop(broken)
        if decision is not None or self.stopped_because is not None:
            self._plan.model.stop_training = True
        else:
            self._save(index + 1)
        if self.stopped_because is not None and broken:
            self.broken, self.broken_layer = broken, self._guard.layer

    def _is_telling(self, measured: Epoch) -> bool:
        """Returns whether to look at the model after an epoch in any case.

        That is the last one, and those in which the policy may have to act.
        """
        state, losses = self.state, [e.loss for e in self.path if e.loss is not None]
        since = (
            len(self.epochs) - 1 - (state.remedies[-1].epoch if state.remedies else -1)
        )
        rises = bool(losses) and not (measured.loss or 0.0) <= 2 * min(losses)
        return rises or since < 3 or state.position + 1 >= state.planned

    def _note(self, epoch: Epoch, index: int) -> None:
        """Moves on by an epoch, and keeps its weights if they are the best."""
        state = self.state
        loss = epoch.loss if self._monitor == "loss" else epoch.held_out_loss
        # A network that NaN has destroyed can have the lowest held-out loss, since
        # NaN may become 0 on the way through a fused ReLU.
        changes: dict[str, object] = {"waited": state.waited + 1}
        if (
            self._guard.reason is None
            and loss is not None
            and math.isfinite(loss)
            and (state.best_loss is None or loss < state.best_loss)
        ):
            changes = {"best_epoch": index, "best_loss": loss, "waited": 0}
            self._best_weights = variables.copy_of(self._plan.model.weights)
        self.state = state.model_copy(
            update={
                **changes,
                "position": state.position + 1,
                "path": (*state.path, index),
                "trained_steps": state.trained_steps + self._record.num_steps,
            }
        )

    def _decide(self, broken: str | None) -> Change | Stop | None:
        plan, facts, path = self._plan, self._watch.facts, self.path
        settings = plan.config.remedies
        if plan.hopeless and settings.enabled and settings.stop_early:
            return Stop("loss_mismatch", plan.hopeless)
        if facts is None:
            return None
        since = 0
        if self.state.remedies:
            last = self.state.remedies[-1].epoch
            since = sum(index <= last for index in self.state.path)
        decision = policy.decide(
            facts,
            path,
            self._watch.look(path),
            self.state.remedies,
            actions.possible(settings, plan.model, plan.config.recalibrate_batch_norm),
            broken=broken,
            since=since,
            # In the long run, momentum makes steps so many times larger.
            factor=self.state.rate_factor / (1 - self._momentum()),
        )
        if isinstance(decision, Change) and decision.back and self._left() < 1:
            return Stop(
                decision.cause,
                f"{decision.reason}, and no more epochs may be repeated",
            )
        return decision

    def _momentum(self) -> float:
        """Returns the momentum of an optimizer of SGD's kind; 0 of any other."""
        optimizer = self._plan.model.optimizer
        momentum = getattr(rate.inner(optimizer), "momentum", 0.0) if optimizer else 0.0
        return min(momentum or 0.0, 0.999)

    def _left(self) -> float:
        """Returns the epochs that may still be trained, rolled back or not."""
        config = self._plan.config
        most = math.ceil(config.epochs * (1 + config.remedies.max_extra_share))
        return max(most, config.epochs + 1) - self.state.trained_steps / self._steps

    def _reason_to_stop(self, broken: str | None) -> str | None:
        patience = self._plan.config.patience
        if broken:
            return broken
        if patience is not None and self.state.waited >= patience:
            name = "held-out" if self._monitor == "val_loss" else "training"
            return f"no better {name} loss in {patience} epochs"
        if self.state.position >= self.state.planned:
            return f"all {self.state.planned} epochs were trained"
        return None

    def _save(self, number: int) -> None:
        self.state = self.state.model_copy(
            update={
                "saved": (*self.state.saved, (number, self.state.position)),
                "callbacks": tuple(c.get_state() for c in self._schedule),
            }
        )
        groups: dict[str, Sequence[object]] = dict(variables.groups(self._plan.model))
        if self._best_weights is not None and self.state.best_epoch != number - 1:
            groups[variables.BEST] = self._best_weights
        self._checkpoints.save(number, self.state, groups)
        self._checkpoints.keep_only({0, *(self._number(x) for x in BACK)})

    def _number(self, back: str) -> int:
        """Returns the number of the checkpoint that a remedy wants to go back to."""
        state = self.state
        if back == "start" or not state.saved:
            return 0
        last, position = state.saved[-1]
        if back == "last":
            return last
        if back == "earlier":
            before = [n for n, at in state.saved if at < position]
            return before[-1] if before else 0
        best = -1 if state.best_epoch is None else state.best_epoch
        return max((n for n, _ in state.saved if n <= best + 1), default=0)

    def _restore(self, saved: Saved) -> None:
        """Puts variables, best weights and schedule back to a checkpoint."""
        model = self._plan.model
        arrays = self._checkpoints.arrays(saved)
        best = arrays.pop(variables.BEST, None)
        variables.restore(model, arrays)
        if best is not None:
            self._best_weights = list(best)
        elif saved.state.best_epoch is None:
            self._best_weights = None
        else:
            self._best_weights = variables.copy_of(model.weights)
        for callback, values in zip(self._schedule, saved.state.callbacks, strict=True):
            callback.set_state(values)

    def _take(self, change: Change) -> None:
        """Takes a remedy; a training killed on the way takes it again."""
        number, before = len(self.epochs), self.state
        back_to = self._roll_back(change) if change.back else None
        old, new = self._apply(change)
        remedy = Remedy(
            action=change.action,
            cause=change.cause,
            rule=change.rule,
            epoch=number - 1,
            back_to_epoch=back_to,
            before=old,
            after=new,
            message=wording.taken(change, old, new, back_to, number - 1),
        )
        self.state = self.state.model_copy(
            update={
                "remedies": (*before.remedies, remedy),
                "waited": 0,
                "planned": self._replan(change),
            }
        )
        _LOG.warning("%s", remedy.message)
        self._save(number)

    def _roll_back(self, change: Change) -> int:
        """Goes back to a checkpoint; returns the epoch whose weights it holds."""
        now = self.state
        number = self._number(change.back or "last")
        saved = self._checkpoints.find(number) or self._checkpoints.find(0)
        if saved is None:
            raise OSError(f"checkpoint {number} of this training is lost")
        self._restore(saved)
        base = saved.state
        # These are Python's, and have not gone back with the variables.
        self.state = base.model_copy(
            update={
                "attempt": now.attempt + 1,
                "trained_steps": now.trained_steps,
                "planned": now.planned,
                "rate_factor": now.rate_factor,
                "clip_norm": now.clip_norm,
                "batch_norm_momentum": now.batch_norm_momentum,
                "resumed_at": now.resumed_at,
            }
        )
        optimizer = self._plan.model.optimizer
        if base.rate_factor != now.rate_factor and rate.is_adjustable(optimizer):
            actions.scale_rate(self._plan.model, now.rate_factor / base.rate_factor)
        return base.path[-1] if base.path else -1

    def _apply(self, change: Change) -> tuple[float | None, float | None]:
        """Changes what is to be changed; returns it before and after."""
        model, layers = self._plan.model, self._plan.batch_norm_layers
        if change.action == "clip_gradients":
            clipping.clip(model, change.value or policy.CLIP_NORM)
            self._change_state(clip_norm=change.value)
            return None, change.value
        if change.action == "lower_batch_norm_momentum":
            old = max(layer.momentum for layer in layers)
            most = change.value or old
            actions.lower_momentum(model, layers, most)
            self._change_state(batch_norm_momentum=most)
            return old, most
        factor = change.factor or 1.0
        before = rate.get(model.optimizer)
        actions.scale_rate(model, factor)
        self._change_state(rate_factor=self.state.rate_factor * factor)
        return before, rate.get(model.optimizer)

    def _change_state(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def _replan(self, change: Change) -> int:
        """Returns the last epoch now: lost ones are made up for within the bounds."""
        planned = self.state.planned
        if change.action == "raise_learning_rate":
            # What was trained at that rate was as good as nothing.
            planned = self._plan.config.epochs + self.state.position
        return min(planned, self.state.position + max(math.floor(self._left()), 1))
