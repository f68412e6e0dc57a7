# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the files under this project's artifacts."""

import os
from typing import TypeVar

import pydantic
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils

from components.errors import InputError
from components.findings import Verdict
from components.labels import ClassTable
from components.settings import Settings

FINDINGS_FILE = "findings.json"
CLASS_WEIGHTS_FILE = "class_weights.json"
_NUM_BLOCKING = "num_blocking"

InputDict = dict[str, list[artifact.Artifact]]
OutputDict = dict[str, list[artifact.Artifact]]

_SettingsT = TypeVar("_SettingsT", bound=Settings)


def single(
    artifacts: dict[str, list[artifact.Artifact]], key: str
) -> artifact.Artifact:
    """Returns the one artifact under `key`.

    Raises:
      ValueError: If there is none or more than one.
    """
    return artifact_utils.get_single_instance(artifacts[key])


def optional(
    artifacts: dict[str, list[artifact.Artifact]], key: str
) -> artifact.Artifact | None:
    """Returns the one artifact under `key`, or None where the input is not wired."""
    return single(artifacts, key) if artifacts.get(key) else None


def write_text(uri: str, name: str, text: str) -> None:
    """Writes a text file under an artifact's uri, making the folder if need be."""
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, name), "w") as file:
        file.write(text)


def read_text(uri: str, name: str) -> str:
    """Reads a text file under an artifact's uri.

    Raises:
      InputError: If the artifact has no such file, or if it cannot be read as text.
    """
    path = os.path.join(uri, name)
    if not fileio.exists(path):
        raise InputError(
            f"{path}: the artifact must hold {name!r}, but there is no such file; "
            "run the step that makes it again"
        )
    try:
        with fileio.open(path, "r") as file:
            return file.read()
    except Exception as error:  # File systems are plug-ins with errors of their own.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{path}: expected a text file, but it cannot be read ({reason[:300]}); "
            "mend its permissions, or run the step that makes it again"
        ) from error


def write_findings(findings: artifact.Artifact, verdict: Verdict) -> None:
    """Writes a verdict and puts its outcome into the artifact's custom properties."""
    write_text(findings.uri, FINDINGS_FILE, verdict.model_dump_json(indent=2))
    findings.set_int_custom_property("passed", int(verdict.passed))
    findings.set_int_custom_property(_NUM_BLOCKING, len(verdict.blocking))


def read_findings(findings: artifact.Artifact) -> Verdict:
    """Reads what `write_findings` wrote.

    Raises:
      InputError: If there is no such file, if it holds no verdict, or another one than
        the artifact's custom properties tell of.
    """
    verdict = read_record(Verdict, findings, FINDINGS_FILE)
    # Without the field, a verdict would be one without findings, which passes.
    if "findings" not in verdict.model_fields_set:
        raise _unreadable(Verdict, findings, FINDINGS_FILE, "findings", "is missing")
    blocking = len(verdict.blocking)
    if findings.has_custom_property(_NUM_BLOCKING):
        said = findings.get_int_custom_property(_NUM_BLOCKING)
        if said != blocking:
            problem = (
                f"{blocking} of them block, and the artifact's property says {said}"
            )
            raise _unreadable(Verdict, findings, FINDINGS_FILE, "findings", problem)
    return verdict


def write_class_table(class_weights: artifact.Artifact, table: ClassTable) -> None:
    """Writes the classes and their weights."""
    write_text(class_weights.uri, CLASS_WEIGHTS_FILE, table.model_dump_json(indent=2))


def read_class_table(class_weights: artifact.Artifact) -> ClassTable:
    """Reads what `write_class_table` wrote."""
    return read_record(ClassTable, class_weights, CLASS_WEIGHTS_FILE)


def read_record(
    settings: type[_SettingsT], source: artifact.Artifact, name: str
) -> _SettingsT:
    """Reads a record that lies as JSON under an artifact.

    Args:
      settings: Class of the record.
      source: The artifact.
      name: Name of the file.

    Raises:
      InputError: If it is no such record; names the file and the field.
    """
    text = read_text(source.uri, name)
    try:
        return settings.from_json(text)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "the file"
        raise _unreadable(settings, source, name, field, problem["msg"]) from error


def _unreadable(
    settings: type[Settings],
    source: artifact.Artifact,
    name: str,
    field: str,
    problem: str,
) -> InputError:
    return InputError(
        f"{os.path.join(source.uri, name)}: expected a {settings.__name__} as JSON, "
        f"but {field}: {problem}; run the step that makes it again"
    )
