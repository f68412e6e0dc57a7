# SPDX-License-Identifier: Apache-2.0
"""The component `Report`."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.artifacts import ClassWeights, GuardReport
from components.code_version import code_sha256
from components.report import executor
from components.report.inputs import DEFAULT_TITLE


class ReportSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of `Report`."""

    PARAMETERS = {
        "title": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing
        ),
        "evaluation": component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        "model_run": component_spec.ChannelParameter(
            type=standard_artifacts.ModelRun, optional=True
        ),
        "class_weights": component_spec.ChannelParameter(
            type=ClassWeights, optional=True
        ),
        "pushed_model": component_spec.ChannelParameter(
            type=standard_artifacts.PushedModel, optional=True
        ),
    }
    OUTPUTS = {
        "report": component_spec.ChannelParameter(type=GuardReport),
    }


class Report(base_component.BaseComponent):
    """Writes one self-contained HTML page: the verdict first, then its reasons.

    Reads the decision on a model and, where they are wired, the records of its
    evaluation, its training, its classes and its push. Writes `report.html` and
    `verdict.json` (a `components.findings.Verdict`) under `report`. A record
    that is absent or cannot be read is named on the page, in one line; only the
    blessing decides.

    Example:
      ```python
      evaluator = GuardedEvaluator(...)
      pusher = GuardedPusher(...)
      report = Report(
          blessing=evaluator.outputs["blessing"],
          evaluation=evaluator.outputs["evaluation"],
          model_run=trainer.outputs["model_run"],
          class_weights=class_balance.outputs["class_weights"],
          pushed_model=pusher.outputs["pushed_model"],
          title="digits",
      )
      ```

    Component `outputs` contains `report`, a channel of type `GuardReport`.
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        blessing: channel.BaseChannel,
        evaluation: channel.BaseChannel | None = None,
        model_run: channel.BaseChannel | None = None,
        class_weights: channel.BaseChannel | None = None,
        pushed_model: channel.BaseChannel | None = None,
        title: str = DEFAULT_TITLE,
    ) -> None:
        """Declares the report.

        Args:
          blessing: `ModelBlessing` of a `GuardedEvaluator`, with `blessing.json`.
          evaluation: `ModelEvaluation` of a `GuardedEvaluator`, with
            `guard_evaluation.json`.
          model_run: `ModelRun` of a `GuardedTrainer`, with `training_record.json`.
          class_weights: `ClassWeights` of a `ClassBalanceValidator`.
          pushed_model: `PushedModel` of a `GuardedPusher`.
          title: Heading of the page.
        """
        super().__init__(
            ReportSpec(
                code_sha256=code_sha256(),
                title=title,
                blessing=blessing,
                evaluation=evaluation,
                model_run=model_run,
                class_weights=class_weights,
                pushed_model=pushed_model,
                report=channel.Channel(type=GuardReport),
            )
        )
