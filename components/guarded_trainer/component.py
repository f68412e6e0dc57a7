# SPDX-License-Identifier: Apache-2.0
"""Declares the GuardedTrainer."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import ClassWeights, GuardFindings
from components.code_version import code_sha256
from components.guarded_trainer import user_code
from components.guarded_trainer.config import InputConfig, TrainingConfig
from components.guarded_trainer.executor import Executor


class GuardedTrainerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of the GuardedTrainer."""

    PARAMETERS = {
        "build_model": component_spec.ExecutionParameter(type=str),
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
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "findings": component_spec.ChannelParameter(type=GuardFindings),
    }


class GuardedTrainer(base_component.BaseComponent):
    """Trains the model of a user's `build_model` under safeguards.

    Reads the `train` split of `examples`. Shuffles it whatever its order on disk,
    weights the loss, stops early with the best weights, stops on NaN, recalibrates
    BatchNorm where that helps, and checks that what it exported predicts what was
    trained.

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
    """

    SPEC_CLASS = GuardedTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        build_model: str,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        inputs: InputConfig,
        class_weights: types.BaseChannel | None = None,
        config: TrainingConfig | None = None,
    ):
        """Constructs a GuardedTrainer.

        Args:
          build_model: Where the function `build_model(context) -> keras.Model` is:
            `path/to/model.py:function` or `package.module:function`, the latter
            being the only way where the steps run on other machines.
          examples: Channel of `standard_artifacts.Examples` with a `train` split.
          schema: Channel of `standard_artifacts.Schema`, as SchemaGen infers it.
          inputs: The label and the features of the model.
          class_weights: Channel of `components.ClassWeights` from the
            ClassBalanceValidator; without it every class weighs the same.
          config: Epochs, batch size and safeguards.

        Raises:
          InputError: If there is no such file or module.
        """
        super().__init__(
            spec=GuardedTrainerSpec(
                code_sha256=code_sha256(),
                build_model=build_model,
                source_sha256=user_code.source_digest(build_model),
                inputs=inputs.to_json(),
                config=(config or TrainingConfig()).to_json(),
                examples=examples,
                schema=schema,
                class_weights=class_weights,
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
                findings=types.Channel(type=GuardFindings),
            )
        )
