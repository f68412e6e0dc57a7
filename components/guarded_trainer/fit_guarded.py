# SPDX-License-Identifier: Apache-2.0
"""`fit_guarded`: what stands in place of `model.fit`; needs no TFX."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import pydantic
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer import fit, recording, trainee
from components.guarded_trainer.augmenting import preset_augment
from components.guarded_trainer.config import TrainingConfig
from components.guarded_trainer.device.roles import own_folder
from components.guarded_trainer.device.setup import Device
from components.guarded_trainer.reading import rows
from components.guarded_trainer.reading.arrays import ArrayData, read_arrays
from components.guarded_trainer.reading.batch_survey import check_spec
from components.guarded_trainer.reading.datasets import DatasetData, read_batches
from components.records.training import TrainingRecord

_LOG = logging.getLogger("components.guarded_trainer")
_FIRST_ROWS = 8
"""Rows that a model is built with, and asked what it answers."""

Data: TypeAlias = tuple[Any, ...] | tf.data.Dataset


def fit_guarded(
    model: keras.Model,
    train: Data,
    eval: Data | None = None,
    *,
    config: TrainingConfig | Mapping[str, Any] | None = None,
    class_names: Sequence[str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    log_dir: str | None = None,
    checkpoint_dir: str | None = None,
) -> TrainingRecord:
    """Trains a classifier in place, under safeguards; stands in place of `model.fit`.

    Looks through the data before the first step; stops early with the best weights;
    looks into the model after each epoch; goes back and repairs what is safe to
    repair, and stops what is not; recalibrates BatchNorm where that helps. What it
    saw and did is in the record that it returns:

    ```python
    record = fit_guarded(model, (x_train, y_train), (x_test, y_test))
    print(record.verdict)  # passed (0 findings, none of which block)
    ```

    Args:
      model: Any Keras model with one output that classifies: one unit per class, or
        one for two classes; probabilities or logits. It keeps its optimizer, loss and
        train step if it is compiled; else it is compiled with Adam and the
        cross-entropy that fits.
      train: `(x, y)` or `(x, y, sample_weight)` of arrays, x also a dict or tuple of
        arrays; or a tf.data.Dataset of batches of such tuples, as `model.fit` takes
        it. y holds class ids, one-hot rows or texts. Arrays are shuffled anew in each
        epoch; the order of a data set is left as it is, and with it what an epoch is
        after one that was rolled back: a data set can only begin anew.
      eval: The same for examples that the weights are never fitted to. They decide when
        to stop and whether a repair helped. Without them, `config.held_out_share` of
        the arrays is held out; of a data set nothing is.
      config: Safeguards and settings: a TrainingConfig, or a dict of its fields.
      class_names: Names of the classes in the order of the model's outputs.
      epochs: Most epochs; by default those of `config`.
      batch_size: Examples per step, for arrays; by default that of `config`.
      steps_per_epoch: Batches that make an epoch; needed for an endless data set.
      validation_steps: Batches of `eval` to take; needed for an endless data set.
      callbacks: Further Keras callbacks.
      log_dir: Folder for `training_record.json` and TensorBoard logs; a TFX Trainer
        reads `fn_args.model_run_dir`.
      checkpoint_dir: Folder from which a training that was killed is taken up; it is
        emptied when training has ended.

    Returns:
      The record: `record.passed`, `record.findings`, and all it saw. The model has
      the best weights, repaired.

    Raises:
      InputError: If model or data cannot be trained with; before the first epoch.
    """
    _check_model(model)
    _check_callbacks(callbacks)
    log_dir = own_folder(log_dir) if log_dir else None
    settings = _settings(config, epochs=epochs, checkpoint_dir=checkpoint_dir)
    with model.distribute_strategy.scope():
        data = _read(
            model,
            train,
            eval,
            settings,
            class_names=class_names,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
        )
        settings = _with_batch_size(settings, data, batch_size)
        inputs, _ = next(iter(data.fitted().batch(_FIRST_ROWS)))
        augment = preset_augment(settings.augmentation, inputs)
        data = dataclasses.replace(data, augment=augment)
        device = Device.of(model, settings.device, batch_size=settings.batch_size)
        ready = trainee.prepare(
            model,
            inputs,
            data.classes,
            settings,
            one_hot=data.label_format.one_hot,
            has_sample_weights=data.has_sample_weights,
            compile_options=device.compile_options(),
        )
        fitted = fit.fit(
            model,
            ready.head,
            data,
            settings,
            batch_norm_layers=ready.batch_norm_layers,
            class_weight=ready.class_weight,
            hopeless=ready.hopeless,
            extra_callbacks=tuple(callbacks),
            checkpoint_dir=settings.checkpoint_dir,
            log_dir=os.path.join(log_dir, "logs") if log_dir else None,
        )
    record = recording.make_record(
        ready,
        data,
        settings,
        fitted,
        device.record_of(model),
        (
            *data.findings,
            *ready.findings,
            *device.advice(model),
            *fitted.findings,
        ),
    )
    if log_dir:
        recording.write_record(record, log_dir)
    _LOG.info("training %s", record.verdict)
    return record


def _read(
    model: keras.Model,
    train: Data,
    evaluation: Data | None,
    config: TrainingConfig,
    *,
    class_names: Sequence[str] | None,
    steps_per_epoch: int | None,
    validation_steps: int | None,
) -> ArrayData | DatasetData:
    """Checks the data and brings them into the form that the loop reads."""
    if evaluation is not None and _is_dataset(train) != _is_dataset(evaluation):
        raise InputError(
            "eval: expected the same form as the data to train with, but one is a "
            f"{type(train).__name__} and the other a {type(evaluation).__name__}; give "
            "both as arrays, or both as tf.data.Dataset"
        )
    if _is_dataset(train):
        check_spec(train, "train")
        return read_batches(
            train,
            evaluation,
            trainee.count_classes(model, _first_inputs(train)),
            class_names=class_names,
            steps=steps_per_epoch,
            evaluation_steps=validation_steps,
        )
    few = rows.first_rows(train, "train", _FIRST_ROWS)
    return read_arrays(
        train,
        evaluation,
        trainee.count_classes(model, tf.nest.map_structure(tf.constant, few)),
        class_names=class_names,
        held_out_share=config.held_out_share,
        min_held_out=config.min_held_out,
        steps=steps_per_epoch,
    )


def _is_dataset(data: Any) -> bool:
    return isinstance(data, tf.data.Dataset)


def _first_inputs(dataset: tf.data.Dataset) -> Any:
    for inputs, *_ in dataset.take(1):
        return tf.nest.map_structure(lambda x: x[:_FIRST_ROWS], inputs)
    raise InputError(
        "train: expected examples, but the data set is empty; check how the data are "
        "loaded and split"
    )


def _settings(
    config: TrainingConfig | Mapping[str, Any] | None, **given: Any
) -> TrainingConfig:
    """Returns the configuration with what is given as an argument instead."""
    fields = (
        config.model_dump(exclude_unset=True)
        if isinstance(config, TrainingConfig)
        else dict(config or {})
    )
    fields |= {name: value for name, value in given.items() if value is not None}
    try:
        return TrainingConfig.model_validate(fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InputError(
            f"fit_guarded: expected a valid `{name}`, but got {first['input']!r}: "
            f"{first['msg']}; see TrainingConfig for what it may be"
        ) from error


def _with_batch_size(
    config: TrainingConfig, data: ArrayData | DatasetData, batch_size: int | None
) -> TrainingConfig:
    """Returns the configuration with the batch size that the data allow.

    Raises:
      InputError: If another is asked for.
    """
    if isinstance(data, DatasetData):
        if batch_size not in (None, data.batch_size):
            raise InputError(
                f"batch_size: expected none for a tf.data.Dataset, whose batches hold "
                f"{data.batch_size} examples, but got {batch_size}; leave it out, or "
                "batch the data set so"
            )
        return _settings(config, batch_size=data.batch_size)
    asked = batch_size is not None or "batch_size" in config.model_fields_set
    config = _settings(config, batch_size=batch_size)
    if asked and config.batch_size > len(data.train):
        raise InputError(
            f"batch_size: expected at most as many examples as there are to train with "
            f"({len(data.train)}), but got {config.batch_size}; lower it, or leave it "
            "out"
        )
    config = _settings(config, batch_size=min(config.batch_size, data.num_fitted))
    data.check_steps(config.batch_size)
    return config


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise InputError(
            f"model: expected a keras.Model (of Keras 3), but got a {kind}; build it "
            "with `import keras`, not with tf_keras or another library"
        )


def _check_callbacks(callbacks: Any) -> None:
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InputError(
                "callbacks: expected Keras callbacks, but got a "
                f"{type(callback).__name__}; give instances of keras.callbacks.Callback"
            )
