# SPDX-License-Identifier: Apache-2.0
"""The parts of the page that show how the training went."""

import dataclasses
from collections.abc import Iterator

from components.records.training import (
    DeviceRecord,
    Recalibration,
    Remedy,
    TrainingRecord,
)
from components.report import charts, formats, training_charts
from components.report.course import course_of
from components.report.inputs import ReportInputs
from components.report.page import Figure, Section, Table, absent

NO_TRAINING = "this run has no record of a training."
"""Why a part that shows the training is not there."""
MAX_REMEDIES = 50
"""Rows in the table of the remedies; the trainer allows far fewer."""
MAX_NOTES = 10
"""Notes on the device."""
WITH_REMEDIES = 2
"""Format of the first records that know remedies, probes and devices."""

_OPEN_TABLE = 12  # Rows up to which a table is shown unfolded.


def training_section(inputs: ReportInputs) -> Section:
    """Shows loss, accuracy and learning rate per epoch, and what was changed."""
    section = Section(id="training", title="Training")
    training = inputs.training
    if training is None:
        why = absent(inputs, "training", NO_TRAINING)
        return dataclasses.replace(section, absent=why)
    made = training_charts.curves(training)
    intro = list(_told(training))
    if not made:
        intro.append("No epoch has a finite loss or accuracy to draw.")
    rates = training_charts.learning_rate(training)
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        charts=made,
        healthy="both losses fall and level off, and held-out rows stay close to the "
        "training rows. Those of training are means over the epoch, so they may lag.",
        unhealthy="the losses part (overfitting), swing or rise (learning rate too "
        "high), or hardly move (learning rate too low).",
        figures=(
            Figure(
                rates,
                "the rate stays, rises at the start only (warm-up), or falls.",
                "the rate keeps falling while the losses do not, or a remedy had to "
                "change it.",
            ),
        )
        if rates
        else (),
        table=_remedies(training),
        table_title="Remedies: what the safeguards changed",
    )


def _told(training: TrainingRecord) -> Iterator[str]:
    stopped = formats.clean(training.stopped_because).rstrip(".")
    kept = "the last epoch"
    if training.best_epoch is not None:
        kept = f"epoch {training.best_epoch + 1}"
    yield (
        f"{formats.counted(len(training.epochs), 'epoch')}; the weights kept are those "
        f"of {kept}. Training ended because: {stopped or 'no reason given'}."
    )
    rates = {epoch.learning_rate for epoch in training.epochs}
    if len(rates) == 1 and (rate := rates.pop()) is not None:
        yield f"The learning rate is {formats.number(rate, 3)} throughout."
    if broken := training_charts.broken_epochs(training.epochs):
        yield (
            f"In {formats.counted(broken, 'epoch')} the loss was not a finite number."
        )
    if undone := len(course_of(training).rolled_back):
        yield (
            f"{formats.counted(undone, 'epoch')} did not shape the model: training "
            "went back to earlier weights. Such epochs are drawn pale."
        )
    if training.resumed_at:
        places = ", ".join(str(epoch + 1) for epoch in training.resumed_at[:MAX_NOTES])
        yield (
            "Training was ended from outside, and taken up again "
            f"{formats.counted(len(training.resumed_at), 'time')}: at epoch {places}."
        )
    if training.format_version < WITH_REMEDIES:
        yield (
            f"The record is of format {training.format_version}, which knows neither "
            "remedies nor devices."
        )
        return
    yield device_line(training.device)
    if notes := training.device.notes:
        yield " ".join(
            formats.clean(note).rstrip(".") + "." for note in notes[:MAX_NOTES]
        )
    if count := len(all_remedies(training)):
        yield (
            f"The safeguards changed something {formats.counted(count, 'time')}; the "
            "table below the pictures says what, and whether it helped."
        )


def device_line(device: DeviceRecord) -> str:
    """Returns one sentence that says what the model was trained on, and how."""
    devices = ", ".join(map(formats.clean, device.devices))
    replicas = ""
    if device.num_replicas > 1:
        replicas = f" on {formats.counted(device.num_replicas, 'replica')}"
    return (
        f"Trained on {devices or 'a device that was not recorded'}; distribution: "
        f"{formats.clean(device.strategy)}{replicas}; precision: "
        f"{formats.clean(device.precision)}; XLA {'on' if device.xla else 'off'}."
    )


def all_remedies(training: TrainingRecord) -> tuple[Remedy, ...]:
    """Returns the remedies in the order of time.

    A recalibration that made predictions better is among them; otherwise it is mere
    upkeep, which the part on BatchNorm tells.
    """
    done, epochs = training.recalibration, len(training.epochs)
    action = "recalibrate_batch_norm"
    if (
        done is None
        or not done.kept
        or done.accuracy_before is None
        or done.accuracy_after is None
        or not done.accuracy_after > done.accuracy_before
        or action in {remedy.action for remedy in training.remedies}
    ):
        return training.remedies
    kept = training.best_epoch if training.best_epoch is not None else epochs - 1
    rows = (
        formats.counted(done.num_held_out, "held-out row")
        if done.num_held_out
        else "training rows"
    )
    message = (
        "New statistics of the training data took the place of BatchNorm's moving "
        f"ones: accuracy in inference mode on {rows} went from "
        f"{formats.share(done.accuracy_before)} to "
        f"{formats.share(done.accuracy_after)}."
    )
    return (
        *training.remedies,
        Remedy(
            action=action,
            cause="mode_gap",
            epoch=kept,
            before=done.accuracy_before,
            after=done.accuracy_after,
            message=message,
            helped=True,
        ),
    )


def _remedies(training: TrainingRecord) -> Table | None:
    remedies = all_remedies(training)
    if not remedies:
        return None
    return Table(
        header=(
            "Change",
            "Because of",
            "After epoch",
            "Before → after",
            "Went back to",
            "Helped",
            "In words",
        ),
        rows=tuple(map(_remedy, remedies[:MAX_REMEDIES])),
        texts=(1, 4, 5, 6),
    )


def _remedy(remedy: Remedy) -> tuple[str, ...]:
    rule = f" ({formats.clean(remedy.rule)})" if remedy.rule else ""
    changed = "–"
    if remedy.before is not None or remedy.after is not None:
        changed = f"{_number(remedy.before)} → {_number(remedy.after)}"
    return (
        formats.clean(remedy.action.replace("_", " ")),
        f"{formats.clean(remedy.cause)}{rule}",
        str(remedy.epoch + 1),
        changed,
        _back_to(remedy.back_to_epoch),
        {True: "yes", False: "no", None: "not seen"}[remedy.helped],
        formats.clean(remedy.message),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else formats.number(value, 3)


def _back_to(epoch: int | None) -> str:
    if epoch is None:
        return "–"
    return f"epoch {epoch + 1}" if epoch >= 0 else "the initial weights"


def batch_norm_section(inputs: ReportInputs) -> Section:
    """Shows how far BatchNorm's statistics were from the data, and the repair."""
    section = Section(id="batchnorm", title="BatchNorm drift")
    training = inputs.training
    if training is None:
        why = absent(inputs, "training", NO_TRAINING)
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
        charts=training_charts.batch_norm(training.batch_norm),
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
    spent = "" if done.seconds is None else f" in {formats.duration(done.seconds)}"
    told = (
        "Recalibration estimated new statistics from "
        f"{formats.counted(done.num_examples, 'training example')}{spent}; they were "
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
