# SPDX-License-Identifier: Apache-2.0
"""The parts of the page that show how the training went."""

import dataclasses

from components.records.training import Recalibration
from components.report import charts, formats
from components.report.inputs import ReportInputs
from components.report.page import Section, Table, absent

_NO_TRAINING = "this run has no record of a training."
_OPEN_TABLE = 12  # Rows up to which a table is shown unfolded.


def training_section(inputs: ReportInputs) -> Section:
    """Shows loss and accuracy per epoch."""
    section = Section(id="training", title="Training")
    training = inputs.training
    if training is None:
        why = absent(inputs, "training", _NO_TRAINING)
        return dataclasses.replace(section, absent=why)
    stopped = formats.clean(training.stopped_because).rstrip(".")
    kept = "the last epoch"
    if training.best_epoch is not None:
        kept = f"epoch {training.best_epoch + 1}"
    intro = [
        f"{formats.counted(len(training.epochs), 'epoch')}; the weights kept are those "
        f"of {kept}. Training ended because: {stopped or 'no reason given'}."
    ]
    if broken := charts.broken_epochs(training.epochs):
        intro.append(
            f"In {formats.counted(broken, 'epoch')} the loss was not a finite number."
        )
    made = charts.curves(training)
    if not made:
        intro.append("No epoch has a finite loss or accuracy to draw.")
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        charts=made,
        healthy="both losses fall and level off, and held-out rows stay close to the "
        "training rows. Those of training are means over the epoch, so they may lag.",
        unhealthy="the losses part (overfitting), swing or rise (learning rate too "
        "high), or hardly move (learning rate too low).",
    )


def batch_norm_section(inputs: ReportInputs) -> Section:
    """Shows how far BatchNorm's statistics were from the data, and the repair."""
    section = Section(id="batchnorm", title="BatchNorm drift")
    training = inputs.training
    if training is None:
        why = absent(inputs, "training", _NO_TRAINING)
        return dataclasses.replace(section, absent=why)
    if not training.batch_norm:
        why = absent(inputs, "training", "the model has no BatchNorm layer to compare.")
        return dataclasses.replace(section, absent=why)
    layers = len(training.batch_norm)
    intro = [
        "How far the moving statistics, which inference uses, were from those of the "
        "training data when training ended, before any recalibration.",
        _recalibration(training.recalibration),
    ]
    if layers > charts.MAX_BARS:
        intro.append(f"The {charts.MAX_BARS} of {layers} layers that drifted most.")
    rows = [
        (
            formats.name(drift.layer),
            formats.number(drift.mean_shift, 3),
            formats.number(drift.log_variance_ratio, 3),
            formats.share(drift.initial_share),
        )
        for drift in training.batch_norm
    ]
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        charts=charts.batch_norm(training.batch_norm),
        healthy="short bars in both pictures, well below 1.",
        unhealthy="bars of 1 and more: in inference mode the layer normalises with "
        "statistics of other data. Many initial values left mean too few steps.",
        table=Table(
            ("Layer", "Shift of the mean", "Log variance ratio", "Initial values left"),
            tuple(rows),
        ),
        table_title="All layers",
        table_open=layers <= _OPEN_TABLE,
    )


def _recalibration(done: Recalibration | None) -> str:
    if done is None:
        return "No recalibration took place."
    told = (
        "Recalibration estimated new statistics from "
        f"{formats.counted(done.num_examples, 'training example')}; they were "
        f"{'kept' if done.kept else 'not kept'}."
    )
    if not done.num_held_out:
        return f"{told} No rows were held out to check them on."
    return (
        f"{told} On {formats.counted(done.num_held_out, 'held-out row')}, in inference "
        f"mode, accuracy went from {formats.share(done.accuracy_before)} to "
        f"{formats.share(done.accuracy_after)}, and loss from "
        f"{formats.number(done.loss_before)} to {formats.number(done.loss_after)}."
    )
