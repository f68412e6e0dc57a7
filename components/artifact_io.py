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
      InputError: If the artifact has no such file.
    """
    path = os.path.join(uri, name)
    if not fileio.exists(path):
        raise InputError(
            f"{path}: the artifact must hold {name!r}, but there is no such file; "
            "run the step that makes it again"
        )
    with fileio.open(path, "r") as file:
        return file.read()


def write_findings(findings: artifact.Artifact, verdict: Verdict) -> None:
    """Writes a verdict and puts its outcome into the artifact's custom properties."""
    write_text(findings.uri, FINDINGS_FILE, verdict.model_dump_json(indent=2))
    findings.set_int_custom_property("passed", int(verdict.passed))
    findings.set_int_custom_property("num_blocking", len(verdict.blocking))


def read_findings(findings: artifact.Artifact) -> Verdict:
    """Reads what `write_findings` wrote."""
    return _read(Verdict, findings, FINDINGS_FILE)


def write_class_table(class_weights: artifact.Artifact, table: ClassTable) -> None:
    """Writes the classes and their weights."""
    write_text(class_weights.uri, CLASS_WEIGHTS_FILE, table.model_dump_json(indent=2))


def read_class_table(class_weights: artifact.Artifact) -> ClassTable:
    """Reads what `write_class_table` wrote."""
    return _read(ClassTable, class_weights, CLASS_WEIGHTS_FILE)


def _read(
    settings: type[_SettingsT], source: artifact.Artifact, name: str
) -> _SettingsT:
    text = read_text(source.uri, name)
    try:
        return settings.from_json(text)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "the file"
        raise InputError(
            f"{os.path.join(source.uri, name)}: expected a {settings.__name__} as "
            f"JSON, but {field}: {problem['msg']}; run the step that makes it again"
        ) from error
