# SPDX-License-Identifier: Apache-2.0
"""Declares the GuardedEvaluator."""

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components import Evaluator
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components.artifacts import ClassWeights, GuardFindings
from components.code_version import code_sha256
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.executor import Executor
from components.guarded_evaluator.inputs import UPSTREAM_KEYS

_STOCK = standard_component_specs.EvaluatorSpec


class GuardedEvaluatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of the GuardedEvaluator: TFX's and ours."""

    PARAMETERS = {
        **_STOCK.PARAMETERS,
        "label_key": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        **_STOCK.INPUTS,
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(
            type=standard_artifacts.ModelRun, optional=True
        ),
        "class_weights": component_spec.ChannelParameter(
            type=ClassWeights, optional=True
        ),
        **{
            key: component_spec.ChannelParameter(type=GuardFindings, optional=True)
            for key in UPSTREAM_KEYS
        },
    }
    OUTPUTS = {
        **_STOCK.OUTPUTS,
        "findings": component_spec.ChannelParameter(type=GuardFindings),
    }


class GuardedEvaluator(Evaluator):
    """Judges a model as TFX's Evaluator does, and for how it may fail in use.

    Asks the serving model, the same weights in training mode, and the newest model
    in production about the same examples of both splits, in one Beam pass with TFMA,
    and the serving model once more about some of them with harmless changes. Blocks
    collapse, also of a single slice, gaps between training and inference mode, answers
    that change with the batch, overfitting, NaN, and whatever the data validators and
    the trainer found.
    A blessing is written in any case, also when a check could not run, which blocks.

    Component `outputs` contains:
      - `evaluation`: Channel of type `standard_artifacts.ModelEvaluation`: TFMA's
        files and `guard_evaluation.json`.
      - `blessing`: Channel of type `standard_artifacts.ModelBlessing`: TFX's file
        and properties, and `blessing.json` with the reasons and the model's SHA-256.
      - `findings`: Channel of type `components.GuardFindings`.

    Example:
      ```python
      evaluator = GuardedEvaluator(
          examples=example_gen.outputs["examples"],
          model=trainer.outputs["model"],
          label_key="species",
          baseline_model=latest_blessed_model.outputs["model"],
          model_run=trainer.outputs["model_run"],
          leakage_findings=leakage_validator.outputs["findings"],
      )
      ```
    """

    SPEC_CLASS = GuardedEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        label_key: str,
        baseline_model: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        model_run: types.BaseChannel | None = None,
        class_weights: types.BaseChannel | None = None,
        class_balance_findings: types.BaseChannel | None = None,
        feature_findings: types.BaseChannel | None = None,
        leakage_findings: types.BaseChannel | None = None,
        training_findings: types.BaseChannel | None = None,
        config: EvaluationConfig | None = None,
        eval_config: tfma.EvalConfig | None = None,
        example_splits: list[str] | None = None,
    ):
        """Constructs a GuardedEvaluator.

        Args:
          examples: Channel of `standard_artifacts.Examples`.
          model: Channel of `standard_artifacts.Model`.
          label_key: Name of the label feature; integers 0 to K-1, unless a model of
            the GuardedTrainer or `class_weights` names the classes.
          baseline_model: Channel of `standard_artifacts.Model` to compare with.
          schema: Channel of `standard_artifacts.Schema`; used with `eval_config`.
          model_run: Channel of `standard_artifacts.ModelRun` of the GuardedTrainer;
            its findings count, and name the BatchNorm layers to blame.
          class_weights: Channel of `components.ClassWeights`.
          class_balance_findings: Channel of `components.GuardFindings`.
          feature_findings: Channel of `components.GuardFindings`.
          leakage_findings: Channel of `components.GuardFindings`.
          training_findings: Channel of `components.GuardFindings`.
          config: The limits.
          eval_config: Metrics, slices and thresholds of your own, evaluated and
            validated as TFX's Evaluator does; a missed threshold blocks.
          example_splits: Splits that `eval_config` is evaluated on; the split that
            decides if left out.
        """
        config = config or EvaluationConfig()
        spec = GuardedEvaluatorSpec(
            code_sha256=code_sha256(),
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            schema=schema,
            model_run=model_run,
            class_weights=class_weights,
            class_balance_findings=class_balance_findings,
            feature_findings=feature_findings,
            leakage_findings=leakage_findings,
            training_findings=training_findings,
            label_key=label_key,
            config=config.to_json(),
            eval_config=eval_config,
            example_splits=json_utils.dumps(example_splits or [config.eval_split]),
            fairness_indicator_thresholds=json_utils.dumps(None),
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            findings=types.Channel(type=GuardFindings),
        )
        # Not Evaluator's own constructor, which knows only the stock spec.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)
