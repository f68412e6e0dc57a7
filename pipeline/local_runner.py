# SPDX-License-Identifier: Apache-2.0
"""Runs the guarded pipeline on this machine, and finds what it has produced."""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import absl.logging
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from components.artifact_io import FINDINGS_FILE
from components.errors import InputError
from components.findings import Verdict
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.evaluation import EVALUATION_FILE, EvaluationRecord
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord
from pipeline.config import GuardConfig
from pipeline.pipeline import create_pipeline

_RUNNING = "Component %s is running."
_FINISHED = "Component %s is finished."
_CACHED = "A cached execution %d is used."
_SKIPPED = "Skipping execution for %s"
"""What TFX logs, through absl: the only word it gives of its progress."""

_LOCAL_BEAM_ARGS = ("--sdk_container_image=none",)
"""Without an image TFX packs its own source for remote workers, at each Beam step;
local runners have no workers to send it to, and do not look at the image."""

Outputs = Mapping[str, metadata_store_pb2.Artifact]


@dataclasses.dataclass(frozen=True)
class Step:
    """News of one step of the pipeline.

    Attributes:
      node: Id of the step.
      finished: Whether it ended; else it has begun.
      how: Empty if it ran, `cached` if its result was served from TFX's cache,
        `skipped` if a condition kept it from running.
    """

    node: str
    finished: bool
    how: str = ""


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
      verdict: What was found, the most likely root cause first.
      blessed: Whether the model was blessed; False where the data stopped the run
        before training.
      pushed: Folder of the published model, None if nothing was published.
      report: The HTML report.
      evaluation: What was measured; None where nothing could be.
      training: How the model was trained, and what was repaired; None where no
        model was trained.
    """

    verdict: Verdict
    blessed: bool
    pushed: Path | None
    report: Path
    evaluation: EvaluationRecord | None = None
    training: TrainingRecord | None = None


def run_pipeline(
    config: GuardConfig, on_step: Callable[[Step], None] = lambda step: None
) -> RunResult:
    """Runs the pipeline with LocalDagRunner and SQLite metadata.

    Args:
      config: The configuration.
      on_step: Called when a step begins and when it ends.

    Raises:
      InputError: If the configuration, the data or the user's code cannot be used,
        or the output folder cannot be written to.
    """
    check_writable(config.output)
    if not config.push.destination:
        check_writable(config.destination)
    pipeline = create_pipeline(
        config.model_copy(update={"beam_args": config.beam_args + _LOCAL_BEAM_ARGS})
    )
    watcher = _StepWatcher(on_step)
    with watcher:
        try:
            LocalDagRunner().run(pipeline)
        except InputError:
            raise
        except Exception as error:
            if watcher.current and watcher.current.endswith("ExampleGen"):
                raise _unreadable_data(config, error) from error
            raise
    outputs = _latest_outputs(config)
    report = config.output / "report.html"
    # Data that stop the run before training have a page of their own.
    page = outputs.get("Report", outputs["DataReport"])["report"]
    shutil.copyfile(Path(page.uri, "report.html"), report)
    if "GuardedEvaluator" not in outputs:
        verdict = _data_verdict(outputs)
        return RunResult(verdict, blessed=False, pushed=None, report=report)
    written = Path(outputs["GuardedEvaluator"]["blessing"].uri, BLESSING_FILE)
    blessing = Blessing.from_json(written.read_text(encoding="utf-8"))
    return RunResult(
        verdict=blessing.verdict,
        blessed=blessing.blessed,
        pushed=_pushed(outputs["GuardedPusher"]["pushed_model"]),
        report=report,
        evaluation=_measured(outputs["GuardedEvaluator"]["evaluation"]),
        training=_trained(outputs["GuardedTrainer"]["model_run"]),
    )


def check_writable(folder: Path) -> None:
    """Makes a folder and makes sure that files can be written to it.

    Raises:
      InputError: If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder to write to, but {error.strerror}; choose "
            "another with --output, or mend its permissions"
        ) from error


class _StepWatcher(logging.Handler):
    """Hears from TFX's log which step begins and ends."""

    def __init__(self, on_step: Callable[[Step], None]):
        super().__init__(logging.INFO)
        self.current: str | None = None
        self._on_step = on_step
        self._how = ""

    def __enter__(self) -> "_StepWatcher":
        self._log = logging.getLogger("absl")
        self._before = (absl.logging.get_verbosity(), self._log.propagate)
        # TFX speaks at INFO; what it says goes to us and no further. Through absl,
        # because SavedModel goes back to absl's level after each export.
        absl.logging.set_verbosity(absl.logging.INFO)
        self._log.propagate = False
        self._log.addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.removeHandler(self)
        absl.logging.set_verbosity(self._before[0])
        self._log.propagate = self._before[1]

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == _RUNNING:
            self.current, self._how = str(record.args[0]), ""  # type: ignore[index]
            self._on_step(Step(self.current, finished=False))
        elif record.msg in (_CACHED, _SKIPPED):
            self._how = "cached" if record.msg == _CACHED else "skipped"
        elif record.msg == _FINISHED and self.current:
            self._on_step(Step(self.current, finished=True, how=self._how))


def _latest_outputs(config: GuardConfig) -> dict[str, Outputs]:
    """Returns the artifacts of the newest run by node and output, cached or not."""
    connection = metadata.sqlite_metadata_connection_config(
        str(config.output / "metadata.sqlite")
    )
    with metadata.Metadata(connection) as handle:
        store = handle.store
        runs = store.get_contexts_by_type("pipeline_run")
        newest = max(runs, key=lambda run: run.create_time_since_epoch)
        executions = {e.id: e for e in store.get_executions_by_context(newest.id)}
        events = store.get_events_by_execution_ids(list(executions))
        written = [e for e in events if e.type == metadata_store_pb2.Event.OUTPUT]
        artifacts = {
            a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in written])
        }
        node_of = {
            execution_id: context.name.removeprefix(f"{config.name}.")
            for execution_id in executions
            for context in store.get_contexts_by_execution(execution_id)
            if store.get_context_types_by_id([context.type_id])[0].name == "node"
        }
    outputs: dict[str, dict[str, metadata_store_pb2.Artifact]] = {}
    for event in written:
        key = event.path.steps[0].key
        node = node_of[event.execution_id]
        outputs.setdefault(node, {})[key] = artifacts[event.artifact_id]
    return dict(outputs)


def _data_verdict(outputs: Mapping[str, Outputs]) -> Verdict:
    """Returns what the data validators found, who alone can stop a run.

    Raises:
      RuntimeError: If they found nothing that blocks: then something else has
        kept the model from being judged.
    """
    verdict = Verdict.of(
        *(
            Verdict.from_json(
                Path(written["findings"].uri, FINDINGS_FILE).read_text(encoding="utf-8")
            ).findings
            for written in outputs.values()
            if "findings" in written
        )
    )
    if verdict.passed:
        raise RuntimeError(
            "the run ended before the model was judged, without a reason"
        )
    return verdict


def _measured(
    evaluation: metadata_store_pb2.Artifact,
) -> EvaluationRecord | None:
    path = Path(evaluation.uri, EVALUATION_FILE)
    if not path.is_file():
        return None  # The verdict says why.
    return EvaluationRecord.from_json(path.read_text(encoding="utf-8"))


def _trained(model_run: metadata_store_pb2.Artifact) -> TrainingRecord | None:
    path = Path(model_run.uri, TRAINING_RECORD_FILE)
    try:
        return TrainingRecord.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # It is only shown; the report says what is wrong with it.


def _pushed(artifact: metadata_store_pb2.Artifact) -> Path | None:
    properties: Mapping[str, Any] = artifact.custom_properties
    if not properties["pushed"].int_value:
        return None
    return Path(properties["pushed_destination"].string_value)


def _unreadable_data(config: GuardConfig, error: Exception) -> InputError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    return InputError(
        f"{config.data.path}: the data could not be read as "
        f"{config.data.format or 'what their endings say'}: {reason[:300]}; mend the "
        "files, or set `data.format`"
    )
