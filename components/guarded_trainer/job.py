# SPDX-License-Identifier: Apache-2.0
"""One training from files to exports: everything but what only TFX knows."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import InputError
from components.findings import Finding
from components.guarded_trainer import (
    augmenting,
    export,
    fit,
    recording,
    trainee,
)
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.context import ModelContext
from components.guarded_trainer.device.roles import own_folder
from components.guarded_trainer.device.setup import Device, set_up
from components.guarded_trainer.inputs import ModelInputs, choose_inputs
from components.guarded_trainer.reading import held_out
from components.guarded_trainer.reading.tfrecords import (
    TrainingSplit,
    check_split,
    read_split,
    scan_labels,
)
from components.guarded_trainer.trainee import Trainee
from components.guarded_trainer.transfer import plan as transfer_plan
from components.guarded_trainer.transfer import run as transfer_run
from components.guarded_trainer.transfer.settings import TransferConfig
from components.guarded_trainer.user_code import blame, building, functions, loading
from components.guarded_trainer.user_code.loading import UserCode
from components.labels import ClassTable, sorted_labels
from components.records.model_card import ModelCard
from components.records.training import TrainingRecord, TransferRecord

_PARITY_EXAMPLES = 256
_TRIED_ROWS = 8
"""Rows that the user's functions are tried on."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be trained, and where it goes.

    Attributes:
      files: Gzipped TFRecords of the training split.
      schema: The schema of the examples.
      classes: The class table; None to count the labels.
      inputs: The label and the features of the model.
      config: How it is trained.
      build_model: Where the user's function is; None for transfer learning.
      transfer: The pretrained base, where there is no function.
      serving_dir: Folder of the serving model.
      judging_dir: Folder of the copy for judging.
      log_dir: Folder of the TensorBoard logs.
      checkpoint_dir: Folder of the checkpoints of this code and configuration.
    """

    files: tuple[str, ...]
    schema: schema_pb2.Schema
    classes: ClassTable | None
    inputs: InputConfig
    config: TrainingConfig
    build_model: str | None
    transfer: TransferConfig | None
    serving_dir: str
    judging_dir: str
    log_dir: str
    checkpoint_dir: str


def train(job: Job) -> TrainingRecord:
    """Trains, repairs, exports, and tells.

    Raises:
      InputError: If device, code or data are not what is needed; before the first
        epoch, and with nothing written.
    """
    config = job.config
    # Before anything else uses TensorFlow, which fixes its devices when it is used.
    device = set_up(config.device, batch_size=config.batch_size)
    code = loading.load(job.build_model) if job.build_model else None
    with _precision_kept():
        keras.utils.set_random_seed(config.seed)
        split = _read(job, code)
        split, context = _with_augment(split, config, code)
        # Initial weights must not depend on what ran before.
        keras.utils.set_random_seed(config.seed)
        with device.scope():
            if code:
                trained = _train_code(job, code, split, context, device)
            elif job.transfer:
                trained = _train_transfer(job, job.transfer, split, device)
            else:
                raise ValueError("a job has either a function or a pretrained base")
        difference, mismatches = _export(trained.trainee, split, job)
    return recording.make_record(
        trained.trainee,
        split,
        config,
        trained.fitted,
        device.record_of(trained.trainee.model),
        (*trained.findings, *device.advice(trained.trainee.model), *mismatches),
        export_max_difference=difference,
        transfer=trained.transfer,
    )


@dataclasses.dataclass(frozen=True)
class _Trained:
    trainee: Trainee
    fitted: fit.Fitted
    findings: tuple[Finding, ...]
    transfer: TransferRecord | None = None


@contextlib.contextmanager
def _precision_kept() -> Iterator[None]:
    """Undoes a dtype policy that `build_model` sets; it would hold for the process."""
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _read(job: Job, code: UserCode | None) -> TrainingSplit:
    """Checks the training split, with the user's preprocessing in it."""
    serialized = read_split(job.files)
    classes = job.classes or _unweighted(serialized, job)
    inputs = choose_inputs(job.schema, job.inputs)
    if code and code.preprocess:
        inputs = _preprocessed(
            code, code.preprocess, inputs, serialized, classes, job.config
        )
    return check_split(
        serialized,
        inputs,
        classes,
        job.config.held_out_share,
        job.config.min_held_out,
        batch_size=job.config.batch_size,
        reading=job.config.reading,
    )


def _unweighted(serialized: tf.data.Dataset, job: Job) -> ClassTable:
    """Makes the class table where no ClassBalanceValidator stands before us."""
    label_key = job.inputs.label_key
    is_text = any(
        f.name == label_key and f.type == schema_pb2.BYTES for f in job.schema.feature
    )
    counts = scan_labels(serialized, label_key, integer=not is_text)
    labels = sorted_labels(list(counts))
    return ClassTable(
        label_key=label_key,
        labels=labels,
        train_counts=tuple(counts[label] for label in labels),
        weights=(1.0,) * len(labels),
    )


def _preprocessed(
    code: UserCode,
    make: Callable[[ModelContext], Any],
    inputs: ModelInputs,
    serialized: tf.data.Dataset,
    classes: ClassTable,
    config: TrainingConfig,
) -> ModelInputs:
    """Makes the user's preprocessing part of the inputs.

    It is made from rows that are not held out, before these are known for certain:
    those whose hash would have them held out are left out.
    """
    chosen = held_out.Choice(int(config.held_out_share * held_out.BUCKETS))
    fitted = serialized.filter(lambda example: ~chosen(example))
    batches = fitted.batch(config.batch_size).map(
        inputs.parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    context = ModelContext(
        input_shape=inputs.shape,
        feature_names=inputs.entry_names,
        class_names=classes.class_names,
        num_train_examples=sum(classes.train_counts),
        hyperparameters=code.hyperparameters(config.hyperparameters),
        train_inputs=batches,
    )
    rows = batches.unbatch().batch(_TRIED_ROWS).take(1)
    # The input pipeline runs on the host, and with it the variables that it reads.
    with tf.device("CPU:0"):
        for some in rows:
            preprocess = functions.try_preprocess(make, context, some)
            return dataclasses.replace(inputs, preprocess=preprocess)
    raise InputError(
        "training split: expected examples, but the split is empty; check the data "
        "path and how the data are split"
    )


def _with_augment(
    split: TrainingSplit, config: TrainingConfig, code: UserCode | None
) -> tuple[TrainingSplit, ModelContext]:
    """Gives the split what varies its batches; returns what the user's code is told."""
    context = ModelContext(
        input_shape=split.inputs.shape,
        feature_names=split.inputs.entry_names,
        class_names=split.classes.class_names,
        num_train_examples=split.num_fitted,
        hyperparameters=(code.hyperparameters(config.hyperparameters) if code else {}),
        train_inputs=split.fitted().map(lambda x, _: x).batch(config.batch_size),
    )
    some, _ = next(iter(split.fitted().batch(_TRIED_ROWS)))
    if not code or not code.augment:
        augment = augmenting.preset_augment(config.augmentation, some)
        return dataclasses.replace(split, augment=augment), context
    augmenting.refuse_both(config.augmentation, str(code.path))
    with tf.device("CPU:0"):
        augment = functions.try_augment(code.augment, context, some)
    return dataclasses.replace(split, augment=augment), context


def _train_code(
    job: Job,
    code: UserCode,
    split: TrainingSplit,
    context: ModelContext,
    device: Device,
) -> _Trained:
    """Trains the model of the user's function."""
    model = building.call_build_model(code.function, context)
    source, _ = blame.location(code.function)

    def blaming() -> AbstractContextManager[None]:
        return blame.blaming(source, "training the model")

    inputs, _ = next(iter(split.fitted().batch(job.config.batch_size)))
    with blame.blaming(source, "calling the model on its inputs"):
        ready = trainee.prepare(
            model,
            inputs,
            split.classes,
            job.config,
            compile_options=device.compile_options(),
        )
    fitted = fit.fit(
        model,
        ready.head,
        split,
        job.config,
        batch_norm_layers=ready.batch_norm_layers,
        class_weight=ready.class_weight,
        hopeless=ready.hopeless,
        blaming=blaming,
        checkpoint_dir=_checkpoint_dir(job, split),
        log_dir=own_folder(job.log_dir),
    )
    return _Trained(ready, fitted, (*ready.findings, *fitted.findings))


def _train_transfer(
    job: Job, transfer: TransferConfig, split: TrainingSplit, device: Device
) -> _Trained:
    """Trains a classifier on a pretrained base."""
    plan = transfer_plan.make_plan(
        transfer,
        split.inputs.shape,
        len(split.classes.labels),
    )
    transferred = transfer_run.fit_transfer(
        plan,
        split,
        job.config,
        checkpoint_dir=_checkpoint_dir(job, split),
        log_dir=own_folder(job.log_dir),
        compile_options=device.compile_options(),
    )
    ready, fitted = transferred.trainee, transferred.fitted
    findings = (*ready.findings, *fitted.findings)
    return _Trained(ready, fitted, findings, transferred.record)


def _checkpoint_dir(job: Job, split: TrainingSplit) -> str:
    """Returns the folder of this training alone: of this code, plan and data."""
    data = split.fingerprints().get("train", "")[:16]
    return job.config.checkpoint_dir or os.path.join(job.checkpoint_dir, data)


def _export(
    ready: Trainee, split: TrainingSplit, job: Job
) -> tuple[float | None, tuple[Finding, ...]]:
    """Writes both exports, and compares them with the trained model."""
    card = ModelCard(
        label_key=split.classes.label_key,
        labels=split.classes.labels,
        batch_size=job.config.batch_size,
        batch_norm_layers=tuple(layer.path for layer in ready.batch_norm_layers),
    )
    return export.export_both(
        ready.model,
        ready.head,
        split.inputs,
        ready.batch_norm_layers,
        card,
        _some_examples(split),
        serving=own_folder(job.serving_dir),
        judging=own_folder(job.judging_dir),
    )


def _some_examples(split: TrainingSplit) -> np.ndarray:
    rows = split.held_out_serialized() if split.num_held_out else split.serialized
    return np.array(list(rows.take(_PARITY_EXAMPLES).as_numpy_iterator()), object)
