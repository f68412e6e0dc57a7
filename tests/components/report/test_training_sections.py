# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from components.findings import Verdict
from components.records.training import DeviceRecord, Epoch, Recalibration, Remedy
from components.report import training_sections
from components.report.inputs import ReportInputs
from components.report.training_sections import (
    batch_norm_section,
    device_line,
    training_section,
)

PERCENT = "\u202f%"


@pytest.fixture
def changed(good_run):
    """Returns a run whose training record is another."""

    def changed(**changes):
        training = good_run.training.model_copy(update=changes)
        return dataclasses.replace(good_run, training=training)

    return changed


def told(inputs):
    return " ".join(training_section(inputs).intro)


def test_a_run_without_training_says_so():
    section = training_section(ReportInputs(verdict=Verdict()))
    assert section.absent == "Not measured: this run has no record of a training."
    assert not section.table


def test_a_training_of_no_epochs_has_nothing_to_draw(changed):
    section = training_section(changed(epochs=(), best_epoch=None))
    assert section.charts == section.figures == ()
    assert "No epoch has a finite loss or accuracy to draw." in section.intro


def test_a_healthy_training_has_no_table_of_remedies(good_run):
    section = training_section(good_run)
    assert section.table is None
    assert "safeguards changed" not in told(good_run)
    assert "did not shape the model" not in told(good_run)


def test_what_the_safeguards_did_is_told_and_listed(repaired_run):
    section = training_section(repaired_run)
    text = " ".join(section.intro)
    assert "the weights kept are those of epoch 15" in text
    assert "In 1 epoch the loss was not a finite number." in text
    assert "2 epochs did not shape the model" in text
    assert "taken up again 1 time: at epoch 10." in text
    assert "The safeguards changed something 2 times" in text
    assert section.table.rows == (
        (
            "lower learning rate",
            "not_a_number (NotFinite)",
            "4",
            "1 → 0.1",
            "epoch 2",
            "yes",
            "The loss became NaN in epoch 4; training went back to the weights of "
            "epoch 2 at a tenth of the learning rate.",
        ),
        (
            "clip gradients",
            "exploding_gradient",
            "12",
            "– → 1",
            "–",
            "not seen",
            "Gradients are clipped to a global norm of 1.",
        ),
    )
    assert len(section.table.header) == len(section.table.rows[0])


def test_a_roll_back_to_the_initial_weights_says_so(changed):
    remedy = Remedy(
        action="lower_learning_rate",
        cause="not_a_number",
        epoch=0,
        back_to_epoch=-1,
        message="",
        helped=False,
    )
    row = training_section(changed(remedies=(remedy,))).table.rows[0]
    assert row[3:6] == ("–", "the initial weights", "no")


@pytest.mark.parametrize(
    ("count", "rows"),
    [
        (training_sections.MAX_REMEDIES, training_sections.MAX_REMEDIES),
        (training_sections.MAX_REMEDIES + 1, training_sections.MAX_REMEDIES),
    ],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_remedies_are_bounded(changed, count, rows):
    remedy = Remedy(action="a", cause="overfit", epoch=0, message="")
    section = training_section(changed(remedies=(remedy,) * count))
    assert len(section.table.rows) == rows
    assert f"changed something {count} times" in " ".join(section.intro)


@pytest.mark.parametrize(
    ("kept", "before", "after", "listed"),
    [
        (True, 0.33, 1.0, True),
        (True, 1.0, 1.0, False),
        (True, None, 1.0, False),
        (True, 0.9, None, False),
        (False, 0.33, 1.0, False),
    ],
    ids=["repaired", "upkeep", "no-before", "no-after", "not-kept"],
)
def test_a_recalibration_that_repaired_the_model_is_a_remedy(
    changed, kept, before, after, listed
):
    done = Recalibration(
        kept=kept,
        num_examples=100,
        num_held_out=0,
        loss_before=2.0,
        loss_after=0.1,
        accuracy_before=before,
        accuracy_after=after,
        seconds=1.5,
    )
    table = training_section(changed(recalibration=done)).table
    assert (table is not None) is listed
    if table:
        assert table.rows[0][:3] == ("recalibrate batch norm", "mode_gap", "11")
        assert "on training rows went from 33.0 % to 100 %" in table.rows[0][6]


def test_a_recalibration_is_not_listed_twice(changed):
    remedy = Remedy(
        action="recalibrate_batch_norm", cause="mode_gap", epoch=3, message="Once."
    )
    done = Recalibration(
        kept=True,
        num_examples=100,
        num_held_out=9,
        loss_before=2.0,
        loss_after=0.1,
        accuracy_before=0.2,
        accuracy_after=0.9,
    )
    table = training_section(changed(recalibration=done, remedies=(remedy,))).table
    assert [row[6] for row in table.rows] == ["Once."]


@pytest.mark.parametrize(
    ("device", "line"),
    [
        (
            DeviceRecord(),
            "Trained on a device that was not recorded; distribution: one device; "
            "precision: float32; XLA off.",
        ),
        (
            DeviceRecord(
                devices=("GPU: A", "GPU: B"),
                strategy="mirrored",
                num_replicas=2,
                precision="mixed_float16",
                xla=True,
            ),
            "Trained on GPU: A, GPU: B; distribution: mirrored on 2 replicas; "
            "precision: mixed_float16; XLA on.",
        ),
    ],
    ids=["nothing-recorded", "two-gpus"],
)
def test_device_and_precision_are_one_sentence(device, line):
    assert device_line(device) == line


def test_notes_on_the_device_end_in_one_full_stop(changed):
    notes = ("Why it was so.", "And advice")
    assert "Why it was so. And advice." in told(
        changed(device=DeviceRecord(notes=notes))
    )


def test_a_record_of_format_1_claims_nothing_that_it_does_not_hold(changed):
    text = told(changed(format_version=1))
    assert "of format 1, which knows neither remedies nor devices" in text
    assert "float32" not in text


def test_the_time_of_a_recalibration_is_told(changed, mode_gap_run):
    done = mode_gap_run.training.recalibration.model_copy(update={"seconds": 2.5})
    inputs = changed(recalibration=done)
    assert "920 training examples in 2.5 s" in batch_norm_section(inputs).intro[1]


def test_a_schedule_is_drawn_apart_from_the_losses(changed):
    epochs = tuple(Epoch(loss=1.0, learning_rate=0.1**k) for k in range(4))
    section = training_section(changed(epochs=epochs))
    assert [chart.id for chart in section.charts] == ["curve-loss"]
    (figure,) = section.figures
    assert [chart.id for chart in figure.charts] == ["curve-learning-rate"]
    assert figure.healthy
    assert figure.unhealthy


@pytest.mark.parametrize(
    ("rates", "told_of", "drawn"),
    [
        ([None, None], False, False),
        ([0.01, 0.01], True, False),
        ([0.01], True, False),
        ([0.01, 0.001], False, True),
        ([0.01, None], False, True),
    ],
    ids=["not-measured", "steady", "one-epoch", "changed", "once-measured"],
)
def test_a_steady_learning_rate_is_told_and_not_drawn(changed, rates, told_of, drawn):
    epochs = tuple(Epoch(loss=1.0, learning_rate=rate) for rate in rates)
    section = training_section(changed(epochs=epochs))
    text = "The learning rate is 0.01 throughout."
    assert (text in section.intro) is told_of
    assert bool(section.figures) is drawn
