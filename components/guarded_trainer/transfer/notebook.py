# SPDX-License-Identifier: Apache-2.0
"""`fit_transfer`: a classifier on a pretrained base, from arrays of pictures."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from components.errors import InputError
from components.guarded_trainer import augmenting, recording
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.device.roles import own_folder
from components.guarded_trainer.device.setup import set_up
from components.guarded_trainer.reading import rows
from components.guarded_trainer.reading.arrays import read_arrays
from components.guarded_trainer.transfer.plan import make_plan
from components.guarded_trainer.transfer.run import fit_transfer as fit_plan
from components.guarded_trainer.transfer.settings import TransferConfig
from components.records.training import TrainingRecord


def fit_transfer(
    transfer: TransferConfig,
    train: tuple[Any, ...],
    eval: tuple[Any, ...] | None = None,
    *,
    config: TrainingConfig | None = None,
    class_names: Sequence[str] | None = None,
    log_dir: str | None = None,
    checkpoint_dir: str | None = None,
) -> tuple[keras.Model, TrainingRecord]:
    """Builds a classifier on a pretrained base and trains it under safeguards.

    ```python
    model, record = fit_transfer(
        TransferConfig(backbone="MobileNetV2"), (pictures, labels)
    )
    print(record.verdict)
    ```

    Args:
      transfer: Which base, and how it is trained further.
      train: `(x, y)` or `(x, y, sample_weight)` of arrays: x are pixels in [0, 255],
        shape (n, height, width, 1 or 3), neither scaled nor preprocessed; y holds class
        ids, one-hot rows or texts.
      eval: The same for examples that the weights are never fitted to; by default
        `config.held_out_share` of the others.
      config: Safeguards and settings.
      class_names: Names of the classes in the order of the model's outputs.
      log_dir: Folder for `training_record.json` and TensorBoard logs.
      checkpoint_dir: Folder from which a training that was killed is taken up.

    Returns:
      The trained model, from pixels to probabilities, and the record.

    Raises:
      InputError: If base or data cannot be trained with; before the first epoch.
    """
    settings = config or TrainingConfig()
    device = set_up(settings.device, batch_size=settings.batch_size)
    pixels = rows.first_rows(train, "train", len(train[1]))
    for name, part in (("train", train), ("eval", eval)):
        if part is not None:
            _check_pixels(rows.first_rows(part, name, len(part[1])), name)
    num_classes = _count_classes(rows.labels_of(train, "train"), class_names)
    keras.utils.set_random_seed(settings.seed)
    with device.scope():
        plan = make_plan(transfer, tuple(pixels.shape[1:]), num_classes)
        data = read_arrays(
            train,
            eval,
            num_classes,
            class_names=class_names,
            held_out_share=settings.held_out_share,
            min_held_out=settings.min_held_out,
            augment=augmenting.preset_augment(settings.augmentation, pixels),
        )
        logs = own_folder(log_dir) if log_dir else None
        transferred = fit_plan(
            plan,
            data,
            settings,
            checkpoint_dir=checkpoint_dir,
            log_dir=os.path.join(logs, "logs") if logs else None,
            compile_options=device.compile_options(),
        )
    record = recording.make_record(
        transferred.trainee,
        data,
        settings,
        transferred.fitted,
        device.record_of(plan.model),
        (
            *data.findings,
            *transferred.trainee.findings,
            *device.advice(plan.model),
            *transferred.fitted.findings,
        ),
        transfer=transferred.record,
    )
    if logs:
        recording.write_record(record, logs)
    return plan.model, record


def _check_pixels(pixels: Any, where: str) -> None:
    """Refuses pixels that were scaled: the base would be given them scaled twice."""
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 4:
        raise InputError(
            f"{where} x: expected pictures, an array of shape (n, height, width, 1 or "
            f"3), but got {getattr(pixels, 'shape', type(pixels).__name__)}; give the "
            "pixels alone"
        )
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high <= 1 or high > 255:
        raise InputError(
            f"{where} x: expected pixels from 0 to 255, which the model scales itself "
            f"as its base wants them, but they are from {low:.4g} to {high:.4g}; leave "
            "out scaling and preprocessing"
        )


def _count_classes(labels: np.ndarray, class_names: Sequence[str] | None) -> int:
    if class_names is not None:
        return len(class_names)
    if labels.dtype.kind in "OSU":
        return len(set(labels.ravel().tolist()))
    if labels.ndim == 2 and labels.shape[1] > 1:
        return int(labels.shape[1])
    if not np.isfinite(labels).all():
        raise InputError(
            "train y: expected class ids, but some labels are NaN or infinite; leave "
            "out examples without a label"
        )
    return max(int(labels.max()) + 1, 2)
