# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from components.findings import Verdict
from components.records.training import Epoch
from components.report.inputs import ReportInputs
from components.report.transfer_section import transfer_section

PERCENT = "\u202f%"


@pytest.fixture
def changed(transfer_run):
    """Returns a run of transfer learning with changes in what it did."""

    def changed(**changes):
        training = transfer_run.training
        transfer = training.transfer.model_copy(update=changes)
        training = training.model_copy(update={"transfer": transfer})
        return dataclasses.replace(transfer_run, training=training)

    return changed


def test_without_a_base_there_is_nothing_to_tell(good_run):
    assert transfer_section(good_run) is None
    assert transfer_section(ReportInputs(verdict=Verdict())) is None


def test_base_scores_and_phases_are_told(transfer_run):
    section = transfer_section(transfer_run)
    assert section.intro[0] == (
        "Base: EfficientNetB0, weights: imagenet. Fine-tuning trained 30 of its 237 "
        "layers."
    )
    assert section.intro[1] == (
        f"With the base frozen, accuracy on 143 held-out rows was 91.0{PERCENT}, and "
        f"after fine-tuning 95.0{PERCENT}; the fine-tuned weights were kept."
    )
    assert "The 20 of 30 layers that moved most." in section.intro
    assert [row[:3] for row in section.table.rows] == [
        ("head", "1 to 6", "0.001"),
        ("fine tuning", "7 to 10", "1.0 × 10⁻⁵"),
    ]
    assert len(section.charts[0].labels) == 20


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"head_held_out_accuracy": None}, None),
        (
            {"tuned_held_out_accuracy": None, "tuning_kept": None},
            f"With the base frozen, accuracy on 143 held-out rows was 91.0{PERCENT}.",
        ),
        (
            {"tuned_held_out_accuracy": 0.7, "tuning_kept": False},
            f"after fine-tuning 70.0{PERCENT}; training went back to the weights "
            "before fine-tuning.",
        ),
    ],
    ids=["not-measured", "feature-extraction", "forgotten"],
)
def test_what_was_not_measured_is_left_out(changed, changes, expected):
    intro = transfer_section(changed(**changes, moved=())).intro
    if expected is None:
        assert len(intro) == 1
    else:
        assert intro[1].endswith(expected)


def test_layers_that_did_not_move_are_not_drawn(changed):
    assert transfer_section(changed(moved=())).charts == ()


def test_a_training_of_no_epochs_has_no_phases(changed):
    run = changed()
    training = run.training.model_copy(update={"epochs": ()})
    assert transfer_section(dataclasses.replace(run, training=training)).table is None


def test_one_epoch_of_unknown_rate_is_listed(changed):
    run = changed()
    training = run.training.model_copy(update={"epochs": (Epoch(phase="head"),)})
    table = transfer_section(dataclasses.replace(run, training=training)).table
    assert table.rows == (
        ("head", "1", "not measured", "not measured", "not measured"),
    )
