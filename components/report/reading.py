# SPDX-License-Identifier: Apache-2.0
"""Reads what a report is made from, and notes what cannot be read."""

import logging
import os
import re
from typing import TypeVar

import pydantic
from tfx.dsl.io import fileio
from tfx.types import artifact

from components import artifact_io, findings
from components.artifact_io import InputDict
from components.content import pictures
from components.findings import Verdict
from components.labels import ClassTable
from components.records import evaluation, training
from components.records.blessing import BLESSING_FILE, Blessing
from components.records.evaluation import EVALUATION_FILE, EvaluationRecord
from components.records.training import TRAINING_RECORD_FILE, TrainingRecord
from components.report.inputs import (
    DATA_FINDINGS,
    DataFindings,
    Picture,
    Push,
    ReportInputs,
)
from components.report.leaked_groups import picture_names

MAX_PICTURE_SIDE = 256
"""Pixels of a thumbnail's longer side beyond which it is not embedded; the leakage
validator writes at most 96."""
MAX_PICTURE_BYTES = 256 * 1024
"""Bytes of one thumbnail; 256 x 256 pixels of noise as PNG take 200 KB."""
MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Bytes of all thumbnails on one page, each as often as it is shown: a page that any
browser opens at once."""

_LOGGER = logging.getLogger("components.report")
_LONGEST_REASON = 500
# No way out of the artifact's folder.
_PICTURE_NAME = re.compile(r"pictures/[0-9A-Za-z_-]{1,200}\.png")
_RecordT = TypeVar("_RecordT", bound=pydantic.BaseModel)


class _Versioned(pydantic.BaseModel):
    """As much of a record as tells its format; the rest may be anything."""

    format_version: int = 1


class Reader:
    """Reads the artifacts of one run.

    Attributes:
      unreadable: What could not be read so far, as in `ReportInputs`.
    """

    def __init__(self, input_dict: InputDict):
        """Says what there is.

        Args:
          input_dict: Artifacts by input; every one may be absent.
        """
        self.unreadable: dict[str, str] = {}
        self._inputs = input_dict
        self._bytes_left = MAX_PAGE_BYTES

    def record(
        self, part: str, key: str, name: str, record: type[_RecordT]
    ) -> _RecordT | None:
        """Reads one record; None if it is absent or cannot be read.

        Args:
          part: Name of the part of the page, for `unreadable`.
          key: Name of the input.
          name: Name of the file under the artifact.
          record: Type of the record.
        """
        try:
            source = artifact_io.optional(self._inputs, key)
            if source is None:
                return None
            return record.model_validate_json(artifact_io.read_text(source.uri, name))
        except Exception as error:
            _LOGGER.exception("The report goes without %s of %s.", name, key)
            self.unreadable[part] = _reason(error)
            return None

    def evaluation(self) -> EvaluationRecord | None:
        """Reads what the evaluator measured, which older versions may have written."""
        return self._versioned(
            "evaluation",
            "evaluation",
            EVALUATION_FILE,
            EvaluationRecord,
            evaluation.FORMAT_VERSION,
        )

    def training(self) -> TrainingRecord | None:
        """Reads the record of the training, which older versions may have written."""
        return self._versioned(
            "training",
            "model_run",
            TRAINING_RECORD_FILE,
            TrainingRecord,
            training.FORMAT_VERSION,
        )

    def _versioned(
        self, part: str, key: str, name: str, record: type[_RecordT], newest: int
    ) -> _RecordT | None:
        """Reads one record of the format that we write, or of an older one.

        Older ones are shown as far as they go. A newer format than ours may mean
        something else by the same name, and is not shown.
        """
        read = self.record(part, key, name, _Versioned)
        if read is not None and read.format_version > newest:
            self.unreadable[part] = (
                f"{name} is of format {read.format_version}, but this version reads "
                f"formats 1 to {newest}; make the report with the version that made "
                "the record"
            )
            return None
        return None if read is None else self.record(part, key, name, record)

    def data(self) -> dict[str, DataFindings]:
        """Reads what the data guards found, and the pictures of the evidence."""
        data = {}
        for key in DATA_FINDINGS:
            verdict = self.record(key, key, artifact_io.FINDINGS_FILE, Verdict)
            if verdict is not None:
                uri = artifact_io.single(self._inputs, key).uri
                data[key] = self._with_pictures(uri, verdict)
        return data

    def _with_pictures(self, uri: str, verdict: Verdict) -> DataFindings:
        found: dict[str, Picture] = {}
        missing: dict[str, str] = {}
        for name, uses in picture_names(verdict).items():
            try:
                found[name] = self._picture(uri, name, uses)
            except Exception as error:
                _LOGGER.warning("The report goes without %s of %s.", name, uri)
                missing[name] = _reason(error)
        return DataFindings(verdict, found, missing)

    def _picture(self, uri: str, name: str, uses: int) -> Picture:
        """Reads one thumbnail; raises a `PictureError` if it cannot be shown."""
        if not _PICTURE_NAME.fullmatch(name):
            raise pictures.PictureError("this is no name of a thumbnail")
        path = os.path.join(uri, name)
        if not fileio.exists(path):
            raise pictures.PictureError("there is no such file")
        with fileio.open(path, "rb") as file:
            png = file.read(MAX_PICTURE_BYTES + 1)
        if len(png) > MAX_PICTURE_BYTES:
            raise pictures.PictureError(f"more than {MAX_PICTURE_BYTES >> 10} KB")
        width, height = _check(png)
        if uses * len(png) > self._bytes_left:
            raise pictures.PictureError(
                f"a page holds {MAX_PAGE_BYTES >> 20} MB of pictures, and is full"
            )
        self._bytes_left -= uses * len(png)
        return Picture(png, width, height)


def read_inputs(input_dict: InputDict, title: str) -> ReportInputs:
    """Reads what can be read of a run's artifacts, and notes what cannot.

    Args:
      input_dict: As in `Executor.Do`; here every artifact may be absent.
      title: Heading of the page.

    Returns:
      The records. Without a readable blessing, the verdict blocks.
    """
    reader = Reader(input_dict)
    blessing = reader.record("blessing", "blessing", BLESSING_FILE, Blessing)
    pushed_model = artifact_io.optional(input_dict, "pushed_model")
    return ReportInputs(
        verdict=blessing.verdict if blessing else _undecided(reader.unreadable),
        title=title,
        blessing=blessing,
        evaluation=reader.evaluation(),
        training=reader.training(),
        classes=_classes(reader),
        push=_push(pushed_model) if pushed_model else None,
        data=reader.data(),
        unreadable=reader.unreadable,
    )


def read_data_inputs(input_dict: InputDict, title: str) -> ReportInputs:
    """Reads what the data guards found, and notes what cannot be read.

    Args:
      input_dict: As in `DataExecutor.Do`; here every artifact may be absent.
      title: Heading of the page.

    Returns:
      The records; their verdict holds the findings of all data guards. Findings
      that cannot be read block, and so does a run without any.
    """
    reader = Reader(input_dict)
    data = reader.data()
    unread = {
        key: reason for key, reason in reader.unreadable.items() if key in DATA_FINDINGS
    }
    if not data and not unread:
        unread["the findings of the data guards"] = "the run has none"
    return ReportInputs(
        verdict=Verdict.of(
            *(found.verdict.findings for found in data.values()),
            (
                findings.find(
                    "check_failed",
                    f"{key} could not be read: {reason}",
                    found_by="report",
                )
                for key, reason in unread.items()
            ),
        ),
        title=title,
        classes=_classes(reader),
        data=data,
        unreadable=reader.unreadable,
    )


def _classes(reader: Reader) -> ClassTable | None:
    return reader.record(
        "classes", "class_weights", artifact_io.CLASS_WEIGHTS_FILE, ClassTable
    )


def _check(png: bytes) -> tuple[int, int]:
    """Decodes a thumbnail, so that no page shows a broken one; returns its size."""
    with pictures.open_picture(png) as picture:
        width, height = picture.size
        if picture.format != "PNG":
            raise pictures.PictureError(f"expected PNG, but it is {picture.format}")
        if max(width, height) > MAX_PICTURE_SIDE:
            raise pictures.PictureError(
                f"{width} x {height} pixels, more than {MAX_PICTURE_SIDE}"
            )
        pictures.to_rgb(picture)
    return width, height


def _undecided(unreadable: dict[str, str]) -> Verdict:
    """Blocks: what nobody decided is not good."""
    reason = unreadable.get("blessing", "the run has no blessing")
    message = f"The decision on the model could not be read: {reason}"
    return Verdict.of([findings.find("check_failed", message, found_by="report")])


def _push(pushed_model: artifact.Artifact) -> Push:
    return Push(
        pushed=pushed_model.get_int_custom_property("pushed") == 1,
        version=pushed_model.get_string_custom_property("pushed_version"),
        destination=pushed_model.get_string_custom_property("pushed_destination"),
        reason=pushed_model.get_string_custom_property("reason"),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, pictures.PictureError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
