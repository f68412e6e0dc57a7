# SPDX-License-Identifier: Apache-2.0
"""Moves the artifacts of the GuardedTrainer; decides nothing itself."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils

from components import artifact_io
from components.errors import InputError
from components.findings import Finding, Verdict
from components.guarded_trainer import job, recording
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.device.roles import is_chief
from components.guarded_trainer.transfer.settings import TransferConfig
from components.guarded_trainer.user_code import loading, own_loop, references

TRAIN_SPLIT, EVAL_SPLIT = "train", "eval"
_CHECKPOINTS = ".checkpoints"


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
          input_dict: `examples`, `schema`, and optionally `class_weights` and
            `transform_graph`.
          output_dict: `model`, `model_run`, `findings`.
          exec_properties: Exactly one of `build_model` and `run_fn` (reference to the
            user's function) and `transfer` (JSON of TransferConfig), the others "";
            `source_sha256` (digest of the user's code when the pipeline was made),
            `inputs` (JSON of InputConfig), `config` (JSON of TrainingConfig), and
            `run_fn_args` (JSON of what only a `run_fn` is given).

        Raises:
          InputError: If the user's function or data cannot be trained with.
        """
        reference = exec_properties["build_model"] or exec_properties.get("run_fn")
        if reference:
            references.check_unchanged(reference, exec_properties["source_sha256"])
        if exec_properties.get("run_fn"):
            findings = _run(input_dict, output_dict, exec_properties)
        else:
            record = job.train(_job(input_dict, output_dict, exec_properties))
            findings = record.findings
            if is_chief():
                recording.write_record(
                    record, artifact_io.single(output_dict, "model_run").uri
                )
        if is_chief():
            artifact_io.write_findings(
                artifact_io.single(output_dict, "findings"), Verdict.of(findings)
            )


def _job(
    input_dict: artifact_io.InputDict,
    output_dict: artifact_io.OutputDict,
    exec_properties: dict[str, Any],
) -> job.Job:
    weights = artifact_io.optional(input_dict, "class_weights")
    transfer = exec_properties.get("transfer")
    model_uri = artifact_io.single(output_dict, "model").uri
    run_uri = artifact_io.single(output_dict, "model_run").uri
    return job.Job(
        files=_files(input_dict),
        schema=_schema(input_dict),
        classes=artifact_io.read_class_table(weights) if weights else None,
        inputs=InputConfig.from_json(exec_properties["inputs"]),
        config=TrainingConfig.from_json(exec_properties["config"]),
        build_model=exec_properties["build_model"] or None,
        transfer=TransferConfig.from_json(transfer) if transfer else None,
        serving_dir=path_utils.serving_model_dir(model_uri),
        # TFX's own place for the model that TFMA judges.
        judging_dir=path_utils.eval_model_dir(model_uri),
        log_dir=os.path.join(run_uri, "logs"),
        checkpoint_dir=_checkpoint_dir(run_uri, exec_properties),
    )


def _run(
    input_dict: artifact_io.InputDict,
    output_dict: artifact_io.OutputDict,
    exec_properties: dict[str, Any],
) -> tuple[Finding, ...]:
    """Calls the user's `run_fn` as TFX's Trainer does."""
    # It brings in all stock components, which the other ways do without.
    from tfx.components.trainer import fn_args_utils

    _check_splits(input_dict, (TRAIN_SPLIT, EVAL_SPLIT))
    given = json.loads(exec_properties.get("run_fn_args") or "{}")
    fn_args = fn_args_utils.get_common_fn_args(
        input_dict,
        {
            standard_component_specs.TRAIN_ARGS_KEY: _steps(given.get("train_steps")),
            standard_component_specs.EVAL_ARGS_KEY: _steps(given.get("eval_steps")),
            standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(
                given.get("custom_config")
            ),
        },
    )
    model_uri = artifact_io.single(output_dict, "model").uri
    fn_args.serving_model_dir = path_utils.serving_model_dir(model_uri)
    fn_args.eval_model_dir = path_utils.eval_model_dir(model_uri)
    fn_args.model_run_dir = artifact_io.single(output_dict, "model_run").uri
    # Names of before, which older functions still read.
    fn_args.transform_output = fn_args.transform_graph_path
    fn_args.schema_file = fn_args.schema_path
    run_fn = loading.load_function(exec_properties["run_fn"], default="run_fn")
    own_loop.call_run_fn(run_fn, fn_args)
    return own_loop.findings_of(fn_args.model_run_dir)


def _steps(number: int | None) -> str:
    return json.dumps({"num_steps": number} if number else {})


def _schema(input_dict: artifact_io.InputDict) -> schema_pb2.Schema:
    uri = artifact_io.single(input_dict, standard_component_specs.SCHEMA_KEY).uri
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(uri))


def _files(input_dict: artifact_io.InputDict) -> tuple[str, ...]:
    _check_splits(input_dict, (TRAIN_SPLIT,))
    return tuple(
        file
        for uri in artifact_utils.get_split_uris(input_dict["examples"], TRAIN_SPLIT)
        for file in tf.io.gfile.glob(io_utils.all_files_pattern(uri))
    )


def _check_splits(input_dict: artifact_io.InputDict, needed: Sequence[str]) -> None:
    for examples in input_dict["examples"]:
        for split in needed:
            if split not in examples.splits:
                raise InputError(
                    f"{examples.uri}: expected a split {split!r}, but the examples "
                    f"have {', '.join(examples.splits) or 'no split'}; name one of "
                    "them so"
                )


def _checkpoint_dir(run_uri: str, exec_properties: dict[str, Any]) -> str:
    """Returns a folder that is the same for another execution of the same training.

    Each execution has a `model_run` of its own, `component/model_run/execution`: a
    training that was killed is taken up in another. The folder lies beside them.
    """
    key = hashlib.sha256(
        json.dumps(sorted(exec_properties.items()), default=str).encode()
    )
    component = os.path.dirname(os.path.dirname(run_uri.rstrip("/")))
    return os.path.join(component, _CHECKPOINTS, key.hexdigest()[:16])
