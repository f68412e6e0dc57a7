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

from components.errors import InputError
from components.records.blessing import BLESSING_FILE, Blessing
from pipeline.config import GuardConfig
from pipeline.pipeline import create_pipeline

_RUNNING = "Component %s is running."
_FINISHED = "Component %s is finished."
_CACHED = "A cached execution %d is used."
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
      cached: Whether its result was served from TFX's cache.
    """

    node: str
    finished: bool
    cached: bool = False


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
      blessing: The decision and its reasons.
      pushed: Folder of the published model, None if nothing was published.
      report: The HTML report.
    """

    blessing: Blessing
    pushed: Path | None
    report: Path


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
    shutil.copyfile(Path(outputs["Report"]["report"].uri, "report.html"), report)
    blessing = Path(outputs["GuardedEvaluator"]["blessing"].uri, BLESSING_FILE)
    return RunResult(
        blessing=Blessing.from_json(blessing.read_text()),
        pushed=_pushed(outputs["GuardedPusher"]["pushed_model"]),
        report=report,
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
        self._cached = False

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
            self.current, self._cached = str(record.args[0]), False  # type: ignore[index]
            self._on_step(Step(self.current, finished=False))
        elif record.msg == _CACHED:
            self._cached = True
        elif record.msg == _FINISHED and self.current:
            self._on_step(Step(self.current, finished=True, cached=self._cached))


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
