# SPDX-License-Identifier: Apache-2.0
import pytest

from components.findings import find
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.fit import Fitted
from components.guarded_trainer.transfer import phases
from components.guarded_trainer.transfer.phases import Phase
from components.guarded_trainer.transfer.settings import TransferConfig
from components.records.training import Epoch, Remedy


def fitted(*losses, best=0, findings=(), remedies=(), attempts=None, resumed=()):
    attempts = attempts or [0] * len(losses)
    return Fitted(
        epochs=tuple(
            Epoch(held_out_loss=loss, attempt=attempt)
            for loss, attempt in zip(losses, attempts, strict=True)
        ),
        best_epoch=best,
        stopped_because=f"{len(losses)} epochs",
        batch_norm=(),
        recalibration=None,
        findings=findings,
        steps_per_epoch=3,
        seconds=1.0,
        remedies=remedies,
        resumed_at=resumed,
    )


def remedy(**changes):
    return Remedy(
        **{
            "action": "lower_learning_rate",
            "cause": "learning_rate_too_high",
            "epoch": 0,
            "message": "It was lowered.",
            **changes,
        }
    )


def test_phases_become_one_training():
    head = fitted(3.0, 2.0, best=1, findings=(find("underfit", "Poor."),))
    tuned = fitted(
        1.5, 1.0, best=1, remedies=(remedy(epoch=1, back_to_epoch=-1),), resumed=(1,)
    )
    merged = phases.merge([Phase("head", head), Phase("fine_tuning", tuned)])
    assert [epoch.phase for epoch in merged.epochs] == ["head"] * 2 + [
        "fine_tuning"
    ] * 2
    assert merged.best_epoch == 3
    assert merged.remedies[0].epoch == 3
    # Back to what the phase began with: the end of the one before.
    assert merged.remedies[0].back_to_epoch == 1
    assert merged.resumed_at == (3,)
    assert merged.seconds == 2.0
    # What was said of the head is no longer true of the model.
    assert merged.findings == ()
    assert merged.stopped_because == "head: 2 epochs; fine-tuning: 2 epochs"


def test_a_phase_that_was_rolled_back_did_not_shape_the_model():
    head = fitted(3.0, 2.0, best=1, findings=(find("underfit", "Poor."),))
    tuned = fitted(9.0, best=0, findings=(find("overfit", "Worse."),))
    merged = phases.merge(
        [Phase("head", head), Phase("fine_tuning", tuned, kept=False)],
        remedy(action="roll_back_fine_tuning"),
    )
    assert merged.best_epoch == 1
    assert [f.cause for f in merged.findings] == ["underfit"]
    assert merged.remedies[-1].epoch == 2
    assert merged.remedies[-1].back_to_epoch == 1


def test_attempts_go_on_counting():
    head = fitted(3.0, 9.0, 2.0, attempts=[0, 0, 1], best=2)
    tuned = fitted(1.0, 1.0, attempts=[0, 1])
    merged = phases.merge([Phase("head", head), Phase("fine_tuning", tuned)])
    assert [epoch.attempt for epoch in merged.epochs] == [0, 0, 1, 1, 2]


def test_a_phase_knows_the_loss_of_its_weights():
    assert Phase("head", fitted(3.0, 2.0, best=1)).loss == 2.0
    assert Phase("head", fitted(3.0, best=None)).loss is None
    assert Phase("head", fitted(None)).loss is None


@pytest.mark.parametrize(
    ("wanted", "remedies", "rate"),
    [
        pytest.param(None, (), 1e-4, id="a-tenth"),
        pytest.param(3e-5, (), 3e-5, id="as-asked-for"),
        pytest.param(None, (remedy(before=1e-3, after=2e-4),), 2e-5, id="lowered"),
        pytest.param(3e-5, (remedy(after=2e-4),), 3e-5, id="asked-for-wins"),
        pytest.param(
            None, (remedy(action="clip_gradients", after=1.0),), 1e-4, id="clipped"
        ),
    ],
)
def test_fine_tuning_has_a_tenth_of_the_heads_rate(wanted, remedies, rate):
    config = phases.tuning_config(
        TransferConfig(backbone="Xception", fine_tuning_rate=wanted),
        TrainingConfig(learning_rate=1e-3),
        fitted(1.0, remedies=remedies),
    )
    assert config.learning_rate == pytest.approx(rate)


def test_nothing_raises_the_rate_of_fine_tuning():
    config = TrainingConfig(schedule={"range_test": True})
    tuning = phases.tuning_config(
        TransferConfig(backbone="Xception"), config, fitted(1.0)
    )
    assert "raise_learning_rate" not in tuning.remedies.allowed
    assert "lower_learning_rate" in tuning.remedies.allowed
    assert not tuning.schedule.range_test
    assert phases.head_config(TransferConfig(backbone="Xception"), config) == config


def test_each_phase_has_its_epochs():
    transfer = TransferConfig(backbone="Xception", head_epochs=3, fine_tuning_epochs=2)
    config = TrainingConfig(epochs=50)
    assert phases.head_config(transfer, config).epochs == 3
    assert phases.tuning_config(transfer, config, fitted(1.0)).epochs == 2
