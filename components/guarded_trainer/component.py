# SPDX-License-Identifier: Apache-2.0
"""Declares the GuardedTrainer."""

import json
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import ClassWeights, GuardFindings
from components.code_version import code_sha256
from components.errors import InputError
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.executor import Executor
from components.guarded_trainer.transfer import plan, pretrained
from components.guarded_trainer.transfer.settings import TransferConfig
from components.guarded_trainer.user_code.references import source_digest


class GuardedTrainerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of the GuardedTrainer."""

    PARAMETERS = {
        "build_model": component_spec.ExecutionParameter(type=str),
        "run_fn": component_spec.ExecutionParameter(type=str),
        "run_fn_args": component_spec.ExecutionParameter(type=str),
        "transfer": component_spec.ExecutionParameter(type=str),
        "weights_sha256": component_spec.ExecutionParameter(type=str),
        "source_sha256": component_spec.ExecutionParameter(type=str),
        "inputs": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "class_weights": component_spec.ChannelParameter(
            type=ClassWeights, optional=True
        ),
        "transform_graph": component_spec.ChannelParameter(
            type=standard_artifacts.TransformGraph, optional=True
        ),
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "findings": component_spec.ChannelParameter(type=GuardFindings),
    }


class GuardedTrainer(base_component.BaseComponent):
    """Trains a classifier under safeguards, repairs it, and says what it saw.

    Reads the `train` split of `examples`. Shuffles it whatever its order on disk,
    stops early with the best weights, looks into the model after each epoch, goes back
    and repairs what is safe to repair, recalibrates BatchNorm where that helps, and
    checks that what it exported predicts what was trained.

    What is trained is the model of a user's `build_model(context)`, beside which
    `preprocess`, `augment` and `HYPERPARAMETERS` may stand; a pretrained base
    (`transfer`); or whatever a `run_fn(fn_args)` of stock TFX trains that calls
    `components.fit_guarded` in place of `model.fit`. A `run_fn` exports the model
    itself.

    Component `outputs` contains:
      - `model`: Channel of type `standard_artifacts.Model`: the serving SavedModel
        under `Format-Serving`, and under `Format-TFMA` a copy for judging, with the
        signatures `inference`, `training` and `batch_statistics`.
      - `model_run`: Channel of type `standard_artifacts.ModelRun`:
        `training_record.json` and TensorBoard logs.
      - `findings`: Channel of type `components.GuardFindings`.

    Example:
      ```python
      trainer = GuardedTrainer(
          build_model="model.py:build_model",
          examples=example_gen.outputs["examples"],
          schema=schema_gen.outputs["schema"],
          class_weights=class_balance.outputs["class_weights"],
          inputs=InputConfig(label_key="species"),
      )
      ```

      Or with a `run_fn` as TFX's Trainer takes it:

      ```python
      trainer = GuardedTrainer(
          run_fn="penguin_trainer:run_fn",
          examples=example_gen.outputs["examples"],
          schema=schema_gen.outputs["schema"],
          train_steps=100,
          eval_steps=20,
      )
      ```
    """

    SPEC_CLASS = GuardedTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        build_model: str | None = None,
        examples: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        inputs: InputConfig | None = None,
        class_weights: types.BaseChannel | None = None,
        config: TrainingConfig | None = None,
        *,
        run_fn: str | None = None,
        transfer: TransferConfig | None = None,
        transform_graph: types.BaseChannel | None = None,
        train_steps: int | None = None,
        eval_steps: int | None = None,
        custom_config: Mapping[str, Any] | None = None,
    ):
        """Constructs a GuardedTrainer.

        Args:
          build_model: Where the function `build_model(context) -> keras.Model` is:
            `path/to/model.py:function` or `package.module:function`, the latter
            being the only way where the steps run on other machines.
          examples: Channel of `standard_artifacts.Examples` with a `train` split, and
            for a `run_fn` an `eval` split.
          schema: Channel of `standard_artifacts.Schema`, as SchemaGen infers it.
          inputs: The label and the features of the model; not for a `run_fn`, which
            parses its examples itself.
          class_weights: Channel of `components.ClassWeights` from the
            ClassBalanceValidator; without it every class weighs the same.
          config: Epochs, batch size and safeguards. A `run_fn` hands its own to
            `fit_guarded`.
          run_fn: Where the function `run_fn(fn_args)` is, in place of `build_model`.
          transfer: A pretrained base, in place of `build_model`.
          transform_graph: Channel of `standard_artifacts.TransformGraph`, for
            `fn_args.transform_graph_path`.
          train_steps: `fn_args.train_steps`.
          eval_steps: `fn_args.eval_steps`.
          custom_config: `fn_args.custom_config`; JSON values only.

        Raises:
          InputError: If there is no such file, module or backbone, or not exactly one
            of `build_model`, `run_fn` and `transfer` is given.
        """
        _check_one_of(build_model, run_fn, transfer)
        _check_fitting(
            run_fn, inputs=inputs, config=config, class_weights=class_weights
        )
        if transfer:
            plan.check(transfer)
        reference = build_model or run_fn
        run_fn_args = {
            "train_steps": train_steps,
            "eval_steps": eval_steps,
            "custom_config": dict(custom_config) if custom_config else None,
        }
        super().__init__(
            spec=GuardedTrainerSpec(
                code_sha256=code_sha256(),
                build_model=build_model or "",
                run_fn=run_fn or "",
                run_fn_args=json.dumps(run_fn_args, sort_keys=True) if run_fn else "",
                transfer=transfer.to_json() if transfer else "",
                weights_sha256=(
                    pretrained.digest(transfer.weights_file) if transfer else ""
                ),
                source_sha256=(source_digest(reference) if reference else ""),
                inputs=inputs.to_json() if inputs else "",
                config=(config or TrainingConfig()).to_json(),
                examples=examples,
                schema=schema,
                class_weights=class_weights,
                transform_graph=transform_graph,
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
                findings=types.Channel(type=GuardFindings),
            )
        )


def _check_one_of(
    build_model: str | None, run_fn: str | None, transfer: TransferConfig | None
) -> None:
    given = [
        name
        for name, value in (
            ("build_model", build_model),
            ("run_fn", run_fn),
            ("transfer", transfer),
        )
        if value
    ]
    if len(given) != 1:
        raise InputError(
            "GuardedTrainer: expected exactly one of build_model, run_fn and transfer, "
            f"but got {' and '.join(given) or 'none'}; say one way to get a model"
        )


def _check_fitting(run_fn: str | None, **given: object) -> None:
    """Refuses what a `run_fn` would never see, and what the other ways cannot miss."""
    if not run_fn:
        if given["inputs"] is None:
            raise InputError(
                "GuardedTrainer: expected `inputs`, but got none; name the label, as "
                "in `inputs=InputConfig(label_key='species')`"
            )
        return
    unseen = [name for name, value in given.items() if value is not None]
    if unseen:
        raise InputError(
            f"GuardedTrainer: expected no {' and '.join(unseen)} with `run_fn`, which "
            "reads its examples and calls `fit_guarded` itself; hand them over there, "
            "as in `fit_guarded(..., config=...)`"
        )
