# SPDX-License-Identifier: Apache-2.0
"""Writes down a training: one record, whoever asked for it."""

import platform
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from components.findings import Finding, Verdict
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.fit import Fitted
from components.guarded_trainer.reading.source import TrainingData
from components.guarded_trainer.trainee import Trainee
from components.records.training import (
    TRAINING_RECORD_FILE,
    DeviceRecord,
    TrainingRecord,
    TransferRecord,
)


def make_record(
    trainee: Trainee,
    data: TrainingData,
    config: TrainingConfig,
    fitted: Fitted,
    device: DeviceRecord,
    findings: Sequence[Finding] = (),
    *,
    export_max_difference: float | None = None,
    transfer: TransferRecord | None = None,
) -> TrainingRecord:
    """Returns the record of a training that has ended.

    Args:
      trainee: The model, trained.
      data: What it was trained on.
      config: How.
      fitted: What came of it.
      device: On what.
      findings: All findings, those of the parts included; the most likely root cause
        is put first.
      export_max_difference: What the parity check found.
      transfer: What transfer learning did.
    """
    model = trainee.model
    return TrainingRecord(
        class_names=data.classes.class_names,
        num_parameters=model.count_params(),
        num_trainable_parameters=sum(
            int(np.prod(v.shape)) for v in model.trainable_variables
        ),
        num_train_examples=data.num_fitted,
        num_held_out=data.num_held_out,
        batch_size=config.batch_size,
        steps_per_epoch=fitted.steps_per_epoch,
        optimizer=optimizer_name(model),
        loss=trainee.loss,
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        stopped_because=fitted.stopped_because,
        remedies=fitted.remedies,
        resumed_at=fitted.resumed_at,
        batch_norm=fitted.batch_norm,
        recalibration=fitted.recalibration,
        transfer=transfer,
        export_max_difference=export_max_difference,
        findings=Verdict.of(findings).findings,
        seed=config.seed,
        seconds=fitted.seconds,
        versions=versions(),
        devices=device.devices,
        device=device.model_copy(update={"notes": (*device.notes, *fitted.notes)}),
        data_fingerprints=data.fingerprints(),
    )


def write_record(record: TrainingRecord, folder: str) -> None:
    """Writes a record to a folder, which is made if need be; local or not."""
    tf.io.gfile.makedirs(folder)
    path = tf.io.gfile.join(folder, TRAINING_RECORD_FILE)
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(record.model_dump_json(indent=2))


def optimizer_name(model: keras.Model) -> str:
    """Returns the class of a model's optimizer; the inner one's of a loss scaler's."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return type(optimizer).__name__ if optimizer is not None else ""


def versions() -> dict[str, str]:
    """Returns the versions of what shapes a model."""
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
