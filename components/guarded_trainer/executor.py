# SPDX-License-Identifier: Apache-2.0
"""Moves the artifacts of the GuardedTrainer; decides nothing itself."""

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components import artifact_io
from components.findings import Finding, Verdict
from components.guarded_trainer import batch_norm, export, fit, user_code
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
            `inputs` (JSON of InputConfig), `config` (JSON of TrainingConfig).

        Raises:
          InputError: If the user's function or data cannot be trained with.
        """
        config = TrainingConfig.from_json(exec_properties["config"])
        model_uri = artifact_io.single(output_dict, "model").uri
        run_uri = artifact_io.single(output_dict, "model_run").uri

        build_model = user_code.load_function(exec_properties["build_model"])
        split = _open_split(
            input_dict, InputConfig.from_json(exec_properties["inputs"]), config
        )
        keras.utils.set_random_seed(config.seed)
        model = user_code.call_build_model(build_model, _context(split, config))
        head = _prepare(model, split, config)
        fitted = fit.fit(
            model,
            head,
            split,
            config,
            extra_callbacks=[
                keras.callbacks.TensorBoard(os.path.join(run_uri, "logs"))
            ],
        )
        difference, mismatches = _export(model, head, split, config, model_uri)
        findings = (*fitted.findings, *mismatches)
        record = _record(model, split, config, fitted, difference, findings)
        artifact_io.write_text(
            run_uri, TRAINING_RECORD_FILE, record.model_dump_json(indent=2)
        )
        artifact_io.write_findings(
            artifact_io.single(output_dict, "findings"), Verdict.of(findings)
        )


def _open_split(
    input_dict: artifact_io.InputDict, inputs: InputConfig, config: TrainingConfig
) -> TrainingSplit:
    schema = io_utils.SchemaReader().read(
        io_utils.get_only_uri_in_dir(
            artifact_io.single(input_dict, standard_component_specs.SCHEMA_KEY).uri
        )
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


def _prepare(model: keras.Model, split: TrainingSplit, config: TrainingConfig) -> Head:
    """Builds and compiles what the user left unbuilt or uncompiled."""
    if not model.built:
        model.build((None, *split.inputs.shape))
    head = read_head(model, len(split.classes.labels))
    if not model.compiled:
        compile_for(model, head, config.learning_rate)
    return head


def _export(
    model: keras.Model,
    head: Head,
    split: TrainingSplit,
    config: TrainingConfig,
    model_uri: str,
) -> tuple[float, tuple[Finding, ...]]:
    serving = path_utils.serving_model_dir(model_uri)
    # TFX's own place for the model that TFMA judges.
    judging = path_utils.eval_model_dir(model_uri)
    export.export_serving(model, head, split.inputs, split.classes, serving)
    card = ModelCard(
        label_key=split.classes.label_key,
        labels=split.classes.labels,
        batch_size=config.batch_size,
        batch_norm_layers=tuple(
            layer.path for layer in batch_norm.trainable_layers(model)
        ),
    )
    export.export_judging(model, head, split.inputs, card, judging)
    return export.check_parity(
        model,
        head,
        split.inputs,
        _some_examples(split),
        {
            "serving": (serving, "serving_default"),
            "judging": (judging, export.INFERENCE_SIGNATURE),
        },
    )


def _some_examples(split: TrainingSplit) -> np.ndarray:
    rows = split.held_out_serialized() if split.num_held_out else split.serialized
    return np.array(list(rows.take(_PARITY_EXAMPLES).as_numpy_iterator()), object)


def _record(
    model: keras.Model,
    split: TrainingSplit,
    config: TrainingConfig,
    fitted: fit.Fitted,
    difference: float,
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
