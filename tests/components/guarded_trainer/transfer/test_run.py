# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from components.guarded_trainer import fit
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.transfer import features, run, stages
from components.guarded_trainer.transfer.phases import Phase
from components.records.training import Epoch

EPOCHS = 4
CONFIG = TrainingConfig(epochs=EPOCHS, learning_rate=0.01, probe_examples=0)
WATCHED = CONFIG.model_copy(update={"probe_examples": 32})
NO_REMEDIES = CONFIG.model_copy(
    update={"remedies": CONFIG.remedies.model_copy(update={"enabled": False})}
)


def weights_of(plan):
    return {weight.path: np.array(weight) for weight in plan.model.weights}


def changed(before, plan):
    after = weights_of(plan)
    return {path for path in before if not np.array_equal(before[path], after[path])}


def causes(transferred):
    return [(f.cause, f.severity.value) for f in transferred.fitted.findings]


def test_head_then_the_top_stage_then_the_next(tiny_plan, pictures, digits, tmp_path):
    plan = tiny_plan(digits, unfreeze=2, fine_tuning_epochs=2)
    data = pictures(fitted=120, held_out=60)
    before = weights_of(plan)
    came = run.fit_transfer(plan, data, WATCHED, log_dir=str(tmp_path / "logs"))
    # What is frozen stays so, bit for bit; of BatchNorm, everything.
    assert changed(before, plan) == {
        *(f"conv{i}/{name}" for i in (1, 2) for name in ("kernel", "bias")),
        *(f"probabilities/{name}" for name in ("kernel", "bias")),
    }
    phases = [epoch.phase for epoch in came.fitted.epochs]
    assert phases == ["head"] * EPOCHS + ["fine_tuning"] * 4
    rates = [epoch.learning_rate for epoch in came.fitted.epochs]
    assert rates == pytest.approx([0.01] * EPOCHS + [0.001] * 4)
    assert came.fitted.best_epoch >= EPOCHS
    record = came.record
    assert (record.backbone, record.num_base_layers) == ("MobileNet", 6)
    assert record.unfrozen_layers == 2
    assert record.tuning_kept is True
    assert {layer.layer for layer in record.moved} == {"conv1", "conv2"}
    assert 0 < max(layer.distance for layer in record.moved) < 0.2
    # The trainee is what is exported and recorded: the whole model, as it serves.
    assert came.trainee.model is plan.model
    assert came.trainee.batch_norm_layers == ()
    assert came.trainee.loss == "sparse_categorical_crossentropy"
    inputs, class_ids = zip(*data.held_out().as_numpy_iterator(), strict=True)
    answers = np.asarray(plan.model(np.stack(inputs))).argmax(axis=1)
    assert record.tuned_held_out_accuracy == np.mean(answers == np.array(class_ids))
    assert record.tuned_held_out_accuracy > 0.6
    assert not [severity for _, severity in causes(came) if severity == "block"]
    logs = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert logs == ["fine_tuning_1", "fine_tuning_2", "head"]


def test_feature_extraction_leaves_the_base_alone(tiny_plan, pictures, digits):
    plan = tiny_plan(digits, unfreeze=0)
    before = weights_of(plan)
    came = run.fit_transfer(plan, pictures(), CONFIG)
    assert changed(before, plan) == {"probabilities/kernel", "probabilities/bias"}
    assert came.record.tuning_kept is None
    assert came.record.tuned_held_out_accuracy is None
    assert came.record.unfrozen_layers == 0
    assert came.record.head_held_out_accuracy == pytest.approx(
        came.fitted.epochs[came.fitted.best_epoch].held_out_accuracy
    )


def test_cached_features_train_the_same_head(tiny_plan, pictures, digits, monkeypatch):
    heads = []
    for cached in (True, False):
        plan = tiny_plan(digits, unfreeze=0, cache_features=cached)
        came = run.fit_transfer(plan, pictures(), CONFIG)
        heads.append(plan.classifier.get_weights())
        assert [epoch.phase for epoch in came.fitted.epochs] == ["head"] * EPOCHS
        monkeypatch.setattr(features, "extract", None)  # It is not asked again.
    for with_cache, without in zip(*heads, strict=True):
        np.testing.assert_allclose(with_cache, without, rtol=1e-3, atol=1e-4)


def test_pictures_that_are_varied_are_not_cached(
    tiny_plan, pictures, digits, monkeypatch
):
    monkeypatch.setattr(features, "extract", None)
    plan = tiny_plan(digits, unfreeze=0, head_epochs=1)
    data = pictures(augment=lambda inputs, seed: inputs[:, ::-1])
    before = weights_of(plan)
    run.fit_transfer(plan, data, CONFIG)
    assert changed(before, plan) == {"probabilities/kernel", "probabilities/bias"}


@pytest.fixture
def ruined(tiny_plan, pictures, digits):
    """Fine-tunes at a rate that destroys what the base knows."""

    def make(**changes):
        plan = tiny_plan(
            digits,
            head_epochs=15,
            fine_tuning_epochs=1,
            fine_tuning_rate=1.0,
            **changes,
        )
        before = weights_of(plan)
        data = pictures(fitted=150, held_out=100)
        return plan, before, run.fit_transfer(plan, data, NO_REMEDIES)

    return make


def test_a_base_that_forgot_is_rolled_back(ruined):
    plan, before, came = ruined()
    assert changed(before, plan) == {"probabilities/kernel", "probabilities/bias"}
    assert not plan.base.trainable_weights
    record = came.record
    assert record.tuning_kept is False
    assert record.head_held_out_accuracy > record.tuned_held_out_accuracy
    assert record.moved[0].distance > 0.5
    assert ("frozen_model", "warn") in causes(came)
    assert "block" not in dict(causes(came)).values()
    assert came.fitted.epochs[came.fitted.best_epoch].phase == "head"
    (remedy,) = came.fitted.remedies
    assert remedy.action == "roll_back_fine_tuning"
    assert remedy.cause == "frozen_model"
    assert remedy.back_to_epoch == came.fitted.best_epoch
    # One stage was tried, and nothing below it.
    assert [epoch.phase for epoch in came.fitted.epochs].count("fine_tuning") == 1


def test_without_roll_back_forgetting_blocks(ruined):
    plan, before, came = ruined(roll_back=False, unfreeze=1)
    assert "conv2/kernel" in changed(before, plan)
    assert came.record.tuning_kept is True
    assert ("frozen_model", "block") in causes(came)
    assert not came.fitted.remedies


class Scripted:
    """Stands for the trainings of stages that end with these held-out losses."""

    def __init__(self, plan, *losses, right):
        self.plan = plan
        self._losses = losses
        self._right = [np.array([False] * 10), *right]

    def tune(self, number, head):
        stages.unfreeze(self.plan.base, self.plan.stages[:number])
        for layer in self.plan.stages[number - 1]:
            layer.bias.assign(layer.bias + number)
        return phase("fine_tuning", self._losses[number - 1])

    def right(self):
        return self._right.pop(0)


def phase(name, loss):
    fitted = fit.Fitted(
        epochs=(Epoch(held_out_loss=loss),),
        best_epoch=None if loss is None else 0,
        stopped_because="",
        batch_norm=(),
        recalibration=None,
        findings=(),
        steps_per_epoch=1,
        seconds=0.0,
    )
    return Phase(name, fitted)


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        pytest.param((0.9, 0.8), 2, id="better-and-better"),
        pytest.param((1.0, 1.0), 2, id="exactly-as-good"),
        pytest.param((0.9, 0.95), 1, id="then-worse"),
        pytest.param((1.1, 0.1), 0, id="worse-at-once"),
        pytest.param((None, 0.1), 0, id="broken-at-once"),
        pytest.param((float("nan"), 0.1), 0, id="not-a-number"),
    ],
)
def test_stages_are_kept_for_as_long_as_they_do_no_harm(
    tiny_plan, digits, losses, kept
):
    plan = tiny_plan(digits, unfreeze=2)
    right = [np.arange(10) < number for number in (4, 7)]
    training = Scripted(plan, *losses, right=right)
    outcome = run._fine_tuned(training, phase("head", 1.0))
    came = [p.kept for p in outcome.phases[1:]]
    assert came == [True] * kept + [False] * (kept < 2)
    moved = [float(layer.bias[0]) for stage in plan.stages for layer in stage]
    assert moved == [1.0 * (kept > 0), 2.0 * (kept > 1)]
    assert len(plan.base.trainable_weights) == 2 * kept
    record = run._record(plan, outcome)
    # Of a base that was rolled back whole, what was tried is told.
    assert record.unfrozen_layers == max(kept, 1)
    assert record.tuned_held_out_accuracy == (0.7 if kept == 2 else 0.4)
    assert record.tuning_kept is (kept > 0)
    assert (outcome.roll_back is None) == (kept == 2)


def test_without_held_out_rows_nothing_is_fine_tuned(tiny_plan, pictures, digits):
    plan = tiny_plan(digits, head_epochs=1)
    came = run.fit_transfer(plan, pictures(held_out=0), CONFIG)
    assert [epoch.phase for epoch in came.fitted.epochs] == ["head"]
    assert ("insufficient_evidence", "warn") in causes(came)
    assert came.record.head_held_out_accuracy is None
    assert came.record.tuning_kept is None


def test_from_random_weights_everything_is_trained(tiny_plan, pictures, digits):
    plan = tiny_plan(digits, weights="none")
    before = weights_of(plan)
    came = run.fit_transfer(plan, pictures(), CONFIG)
    assert changed(before, plan) == set(before)
    assert {epoch.phase for epoch in came.fitted.epochs} == {"training"}
    adaptive = {layer.name for layer in came.trainee.batch_norm_layers}
    assert adaptive == {"bn0", "bn1", "bn2"}
    assert came.fitted.recalibration is not None
    assert came.record.weights == "none"


def test_a_head_that_broke_does_not_break_the_base(tiny_plan, pictures, digits):
    plan = tiny_plan(digits)
    before = weights_of(plan)
    config = NO_REMEDIES.model_copy(update={"learning_rate": 1e38})
    came = run.fit_transfer(plan, pictures(), config)
    assert {epoch.phase for epoch in came.fitted.epochs} == {"head"}
    assert ("not_a_number", "block") in causes(came)
    assert not {path for path in changed(before, plan) if path.startswith("conv")}


class Killed(Exception):
    """Stands for the end of the process."""


class KillInPhase(keras.callbacks.Callback):
    """Ends a training in its second phase that trains so many weights."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and self.model.name == "transfer":
            raise Killed


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_phase(
    tiny_plan, pictures, digits, tmp_path
):
    def train(folder, *callbacks):
        plan = tiny_plan(digits, unfreeze=1)
        came = run.fit_transfer(
            plan,
            pictures(),
            CONFIG,
            extra_callbacks=callbacks,
            checkpoint_dir=str(tmp_path / folder),
        )
        return plan, came

    undisturbed, expected = train("undisturbed")
    with pytest.raises(Killed):
        train("killed", KillInPhase())
    assert list((tmp_path / "killed").glob("transfer-*/head.json"))
    resumed, came = train("killed")
    assert came.fitted.resumed_at
    metrics = [
        [(e.phase, e.loss, e.held_out_loss) for e in fitted.epochs]
        for fitted in (came.fitted, expected.fitted)
    ]
    assert metrics[0] == metrics[1]
    for ours, theirs in zip(
        resumed.model.get_weights(), undisturbed.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    # Nothing is left behind.
    assert not list((tmp_path / "killed").glob("transfer-*"))


@pytest.mark.slow
def test_another_configuration_does_not_go_on_from_there(
    tiny_plan, pictures, digits, tmp_path
):
    with pytest.raises(Killed):
        run.fit_transfer(
            tiny_plan(digits, unfreeze=1),
            pictures(),
            CONFIG,
            extra_callbacks=[KillInPhase()],
            checkpoint_dir=str(tmp_path),
        )
    came = run.fit_transfer(
        tiny_plan(digits, unfreeze=1),
        pictures(),
        CONFIG.model_copy(update={"learning_rate": 0.02}),
        checkpoint_dir=str(tmp_path),
    )
    assert came.fitted.resumed_at == ()
    assert len(came.fitted.epochs) == 2 * EPOCHS
