# SPDX-License-Identifier: Apache-2.0
"""The components `Report` and `DataReport`."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.artifacts import ClassWeights, GuardFindings, GuardReport
from components.code_version import code_sha256
from components.errors import InputError
from components.report import executor
from components.report.inputs import DATA_FINDINGS, DEFAULT_TITLE

_OF_THE_DATA = {
    **{
        key: component_spec.ChannelParameter(type=GuardFindings, optional=True)
        for key in DATA_FINDINGS
    },
    "class_weights": component_spec.ChannelParameter(type=ClassWeights, optional=True),
}


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
        "pushed_model": component_spec.ChannelParameter(
            type=standard_artifacts.PushedModel, optional=True
        ),
        **_OF_THE_DATA,
    }
    OUTPUTS = {
        "report": component_spec.ChannelParameter(type=GuardReport),
    }


class Report(base_component.BaseComponent):
    """Writes one self-contained HTML page: the verdict first, then its reasons.

    Reads the decision on a model and, where they are wired, the records of its
    evaluation, its training, its classes and its push, and what the data guards
    found, with the pictures of leaked examples. Writes `report.html` and
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
          class_balance_findings=class_balance.outputs["findings"],
          leakage_findings=leakage.outputs["findings"],
          feature_findings=features.outputs["findings"],
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
        class_balance_findings: channel.BaseChannel | None = None,
        leakage_findings: channel.BaseChannel | None = None,
        feature_findings: channel.BaseChannel | None = None,
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
          class_balance_findings: `GuardFindings` of a `ClassBalanceValidator`.
          leakage_findings: `GuardFindings` of a `LeakageValidator`.
          feature_findings: `GuardFindings` of a `FeatureValidator`.
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
                class_balance_findings=class_balance_findings,
                leakage_findings=leakage_findings,
                feature_findings=feature_findings,
                report=channel.Channel(type=GuardReport),
            )
        )


class DataReportSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of `DataReport`."""

    PARAMETERS = {
        "title": component_spec.ExecutionParameter(type=str),
        "code_sha256": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = _OF_THE_DATA
    OUTPUTS = {
        "report": component_spec.ChannelParameter(type=GuardReport),
    }


class DataReport(base_component.BaseComponent):
    """Writes the same page about the data alone, before a model is trained.

    Reads what the data guards found, with the pictures of leaked examples, and
    the classes. Writes `report.html` and `verdict.json` (the findings of all
    that are wired) under `report`. It belongs outside of any condition, so that
    a run that stops at its data has a report. Findings that cannot be read
    block.

    Example:
      ```python
      class_balance = ClassBalanceValidator(...)
      leakage = LeakageValidator(...)
      features = FeatureValidator(...)
      data_report = DataReport(
          class_balance_findings=class_balance.outputs["findings"],
          leakage_findings=leakage.outputs["findings"],
          feature_findings=features.outputs["findings"],
          class_weights=class_balance.outputs["class_weights"],
          title="digits",
      )
      ```

    Component `outputs` contains `report`, a channel of type `GuardReport`.
    """

    SPEC_CLASS = DataReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.DataExecutor)

    def __init__(
        self,
        class_balance_findings: channel.BaseChannel | None = None,
        leakage_findings: channel.BaseChannel | None = None,
        feature_findings: channel.BaseChannel | None = None,
        class_weights: channel.BaseChannel | None = None,
        title: str = DEFAULT_TITLE,
    ) -> None:
        """Declares the report; at least one channel of findings is needed.

        Args:
          class_balance_findings: `GuardFindings` of a `ClassBalanceValidator`.
          leakage_findings: `GuardFindings` of a `LeakageValidator`.
          feature_findings: `GuardFindings` of a `FeatureValidator`.
          class_weights: `ClassWeights` of a `ClassBalanceValidator`.
          title: Heading of the page.

        Raises:
          InputError: If there are no findings.
        """
        findings = (class_balance_findings, leakage_findings, feature_findings)
        if all(each is None for each in findings):
            raise InputError(
                f"DataReport: expected at least one of {', '.join(DATA_FINDINGS)}, but "
                "got none; wire the `findings` of a data guard"
            )
        super().__init__(
            DataReportSpec(
                code_sha256=code_sha256(),
                title=title,
                class_balance_findings=class_balance_findings,
                leakage_findings=leakage_findings,
                feature_findings=feature_findings,
                class_weights=class_weights,
                report=channel.Channel(type=GuardReport),
            )
        )
