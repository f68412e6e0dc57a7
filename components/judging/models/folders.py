# SPDX-License-Identifier: Apache-2.0
"""Finds the SavedModels in a folder, and what is known about them."""

import dataclasses
from pathlib import Path

import pydantic

from components.errors import InputError
from components.guarded_evaluator import models
from components.labels import LabelValue
from components.records.passport import PASSPORT_FILE, Passport

_GRAPH = "saved_model.pb"
_SERVING, _JUDGING = "Format-Serving", "Format-TFMA"
"""Names of TFX's folders for a model that is served, and for one to evaluate."""


@dataclasses.dataclass(frozen=True)
class Found:
    """The SavedModels in a folder.

    Attributes:
      serving: Folder of the model that is served.
      judging: Folder of the copy for judging that the GuardedTrainer leaves beside it;
        None where there is none.
      labels: Labels in the order of the outputs; empty where nothing names them.
      batch_size: Batch size of training; None where nothing tells it.
    """

    serving: Path
    judging: Path | None = None
    labels: tuple[LabelValue, ...] = ()
    batch_size: int | None = None


def find(folder: Path) -> Found:
    """Finds the models in a folder.

    Args:
      folder: A SavedModel, one that was pushed, or what a TFX trainer writes.

    Raises:
      InputError: If there is no SavedModel.
    """
    serving = folder if (folder / _GRAPH).is_file() else folder / _SERVING
    if not (serving / _GRAPH).is_file():
        raise InputError(
            f"{folder}: expected a SavedModel, a folder with {_GRAPH!r}, but there is "
            f"{_content(folder)}"
        )
    judging = serving.parent / _JUDGING
    if serving.name == _SERVING and (card := models.model_card(str(judging))):
        return Found(serving, judging, card.labels, card.batch_size)
    return Found(serving, labels=_pushed_labels(serving))


def _content(folder: Path) -> str:
    if not folder.exists():
        return "nothing; correct the path"
    if not folder.is_dir():
        return "a file; give a SavedModel's folder, or a file ending in `.keras`"
    below = sorted(path.parent for path in folder.glob(f"*/{_GRAPH}"))
    if below:
        return f"none but below it; judge one of those, such as {below[-1]}"
    return "none; export the model with `model.export(folder)`"


def _pushed_labels(folder: Path) -> tuple[LabelValue, ...]:
    """Returns the classes that the passport of a pushed model names."""
    path = folder / PASSPORT_FILE
    if not path.is_file():
        return ()
    try:
        return Passport.from_json(path.read_text()).class_names
    except (OSError, UnicodeDecodeError, pydantic.ValidationError):
        return ()  # Not one of ours; nothing hangs on it.
