# SPDX-License-Identifier: Apache-2.0
"""Moves the artifacts of the GuardedTrainer; decides nothing itself."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components import artifact_io
from components.errors import InputError
from components.findings import Finding, Verdict, failed_check
from components.guarded_trainer import export, fit, modes, user_code
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.context import ModelContext
from components.guarded_trainer.data import (
    TrainingSplit,
    check_split,
    read_split,
    scan_labels,
)
from components.guarded_trainer.head import Head, compile_for, read_head
from components.guarded_trainer.inputs import choose_inputs
from components.labels import ClassTable, sorted_labels
from components.records.model_card import ModelCard
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

TRAIN_SPLIT = "train"
_PARITY_EXAMPLES = 256


class Executor(base_executor.BaseExecutor):
    """Trains, repairs, exports and records."""

    def Do(
        self,
        input_dict: artifact_io.InputDict,
        output_dict: artifact_io.OutputDict,
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains the user's model.

        Args:
          input_dict: `examples`, `schema`, and optionally `class_weights`.
          output_dict: `model`, `model_run`, `findings`.
          exec_properties: `build_model` (reference to the user's function),
            `source_sha256` (digest of its code when the pipeline was made),
            `inputs` (JSON of InputConfig), `config` (JSON of TrainingConfig).

        Raises:
          InputError: If the user's function or data cannot be trained with.
        """
        config = TrainingConfig.from_json(exec_properties["config"])
        inputs = InputConfig.from_json(exec_properties["inputs"])
        reference = exec_properties["build_model"]
        model_uri = artifact_io.single(output_dict, "model").uri
        run_uri = artifact_io.single(output_dict, "model_run").uri

        user_code.check_unchanged(reference, exec_properties["source_sha256"])
        build_model = user_code.load_function(reference)
        split = _open_split(input_dict, inputs, config)
        with _precision_kept():
            keras.utils.set_random_seed(config.seed)
            model = user_code.call_build_model(build_model, _context(split, config))
            source, _ = user_code.location(build_model)
            with user_code.blaming(source, "calling the model on its inputs"):
                trainee = _prepare(model, split, config)
            fitted = fit.fit(
                model,
                trainee.head,
                split,
                config,
                batch_norm_layers=trainee.batch_norm_layers,
                extra_callbacks=[
                    keras.callbacks.TensorBoard(os.path.join(run_uri, "logs"))
                ],
                blaming=user_code.blaming(source, "training the model"),
            )
            difference, mismatches = _export(trainee, split, config, model_uri)
        findings = (*trainee.findings, *fitted.findings, *mismatches)
        record = _record(model, split, config, fitted, difference, findings)
        artifact_io.write_text(
            run_uri, TRAINING_RECORD_FILE, record.model_dump_json(indent=2)
        )
        artifact_io.write_findings(
            artifact_io.single(output_dict, "findings"), Verdict.of(findings)
        )


@dataclasses.dataclass(frozen=True)
class _Trainee:
    """A model that is built and compiled, and what has been read off it."""

    model: keras.Model
    head: Head
    batch_norm_layers: tuple[modes.BatchNorm, ...]
    findings: tuple[Finding, ...]


@contextlib.contextmanager
def _precision_kept() -> Iterator[None]:
    """Undoes a dtype policy that `build_model` sets; it would hold for the process."""
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _open_split(
    input_dict: artifact_io.InputDict, inputs: InputConfig, config: TrainingConfig
) -> TrainingSplit:
    schema = io_utils.SchemaReader().read(
        io_utils.get_only_uri_in_dir(
            artifact_io.single(input_dict, standard_component_specs.SCHEMA_KEY).uri
        )
    )
    for examples in input_dict["examples"]:
        if TRAIN_SPLIT not in examples.splits:
            raise InputError(
                f"{examples.uri}: expected a split {TRAIN_SPLIT!r}, but the examples "
                f"have {', '.join(examples.splits) or 'no split'}; name one of them so"
            )
    files = [
        file
        for uri in artifact_utils.get_split_uris(input_dict["examples"], TRAIN_SPLIT)
        for file in tf.io.gfile.glob(io_utils.all_files_pattern(uri))
    ]
    serialized = read_split(files)
    weights = artifact_io.optional(input_dict, "class_weights")
    classes = (
        artifact_io.read_class_table(weights)
        if weights
        else _unweighted(serialized, schema, inputs.label_key)
    )
    return check_split(
        serialized,
        choose_inputs(schema, inputs),
        classes,
        config.held_out_share,
        config.min_held_out,
    )


def _unweighted(
    serialized: tf.data.Dataset, schema: schema_pb2.Schema, label_key: str
) -> ClassTable:
    """Makes the class table where no ClassBalanceValidator stands before us."""
    is_text = any(
        f.name == label_key and f.type == schema_pb2.BYTES for f in schema.feature
    )
    counts = scan_labels(serialized, label_key, integer=not is_text)
    labels = sorted_labels(list(counts))
    return ClassTable(
        label_key=label_key,
        labels=labels,
        train_counts=tuple(counts[label] for label in labels),
        weights=(1.0,) * len(labels),
    )


def _context(split: TrainingSplit, config: TrainingConfig) -> ModelContext:
    return ModelContext(
        input_shape=split.inputs.shape,
        feature_names=split.inputs.entry_names,
        class_names=split.classes.class_names,
        num_train_examples=split.num_fitted,
        hyperparameters=config.hyperparameters,
        train_inputs=split.fitted().map(lambda x, _: x).batch(config.batch_size),
    )


def _prepare(
    model: keras.Model, split: TrainingSplit, config: TrainingConfig
) -> _Trainee:
    """Builds and compiles what the user left unbuilt or uncompiled."""
    inputs, _ = next(iter(split.fitted().batch(config.batch_size)))
    head, findings = read_head(model, len(split.classes.labels), inputs)
    if not model.compiled:
        compile_for(model, head, config.learning_rate)
    return _Trainee(model, head, modes.adaptive_layers(model, inputs), findings)


def _export(
    trainee: _Trainee, split: TrainingSplit, config: TrainingConfig, model_uri: str
) -> tuple[float | None, tuple[Finding, ...]]:
    model, head = trainee.model, trainee.head
    serving = path_utils.serving_model_dir(model_uri)
    # TFX's own place for the model that TFMA judges.
    judging = path_utils.eval_model_dir(model_uri)
    export.export_serving(model, head, split.inputs, split.classes, serving)
    card = ModelCard(
        label_key=split.classes.label_key,
        labels=split.classes.labels,
        batch_size=config.batch_size,
        batch_norm_layers=tuple(layer.path for layer in trainee.batch_norm_layers),
    )
    export.export_judging(
        model, head, split.inputs, trainee.batch_norm_layers, card, judging
    )
    try:
        return export.check_parity(
            model,
            head,
            split.inputs,
            _some_examples(split),
            {
                "serving": (serving, export.SERVING_SIGNATURE),
                "judging": (judging, export.INFERENCE_SIGNATURE),
            },
        )
    except Exception as error:
        return None, (failed_check("Export parity", error),)


def _some_examples(split: TrainingSplit) -> np.ndarray:
    rows = split.held_out_serialized() if split.num_held_out else split.serialized
    return np.array(list(rows.take(_PARITY_EXAMPLES).as_numpy_iterator()), object)


def _record(
    model: keras.Model,
    split: TrainingSplit,
    config: TrainingConfig,
    fitted: fit.Fitted,
    difference: float | None,
    findings: tuple[Finding, ...],
) -> TrainingRecord:
    return TrainingRecord(
        class_names=split.classes.class_names,
        num_parameters=model.count_params(),
        num_train_examples=split.num_fitted,
        num_held_out=split.num_held_out,
        batch_size=config.batch_size,
        steps_per_epoch=fitted.steps_per_epoch,
        epochs=fitted.epochs,
        best_epoch=fitted.best_epoch,
        stopped_because=fitted.stopped_because,
        batch_norm=fitted.batch_norm,
        recalibration=fitted.recalibration,
        export_max_difference=difference,
        findings=findings,
        seed=config.seed,
        seconds=fitted.seconds,
        versions=fit.versions(),
        devices=fit.devices(),
    )
