# SPDX-License-Identifier: Apache-2.0
"""Loads `.keras` files, of which none may bring code of its own."""

import json
import zipfile
from pathlib import Path

import keras
from keras.src.saving import serialization_lib

from components.errors import InputError
from components.judging.models.in_memory import first_line

ENDING = ".keras"
_CONFIG, _WEIGHTS = "config.json", "model.weights."
_MAX_EXPANSION = 100
"""Most that a member may grow by when unpacked: Keras writes members as they are, and
weights hardly compress; Keras' own guard has the same limit."""
_LARGE = 1 << 28
"""Size (256 MiB) from which that is looked at: less does no harm."""


def load(path: Path) -> keras.Model:
    """Loads a model in safe mode, without its optimizer and loss.

    Raises:
      InputError: If the file is missing, damaged or no `.keras` file, or holds a layer
        that needs code beyond Keras' own.
    """
    _check_archive(path)
    try:
        # The scope counts also where the process has switched safe mode off.
        with serialization_lib.SafeModeScope(True):
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise _refusal(path, error) from error
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{path}: expected a keras.Model, but the file holds a "
            f"{type(model).__name__}; save the whole model with `model.save`"
        )
    if not model.built or not getattr(model, "inputs", None):
        raise InputError(
            f"{path}: expected a model that knows its inputs, but this one was saved "
            "before it was built; begin it with `keras.Input(shape)`, or call it on a "
            "batch before `model.save`"
        )
    return model


def _check_archive(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"{path}: expected a {ENDING} file, but there is "
            f"{'a folder' if path.is_dir() else 'nothing'}; correct the path"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            damaged = archive.testzip() if not _bombs(members) else None
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise InputError(
            f"{path}: expected a zip archive as `model.save` writes it, but it cannot "
            f"be read ({first_line(error)}), such as a file that is cut off; save the "
            "model again"
        ) from error
    if damaged:
        raise InputError(
            f"{path}: expected whole files, but {damaged!r} is damaged (its checksum "
            "is wrong); save the model again"
        )
    names = {member.filename for member in members}
    if _CONFIG not in names or not any(name.startswith(_WEIGHTS) for name in names):
        raise InputError(
            f"{path}: expected {_CONFIG!r} and {_WEIGHTS + 'h5'!r} in the archive, but "
            f"it holds {', '.join(sorted(names)[:6]) or 'nothing'}; save the whole "
            "model with `model.save`"
        )
    if bombs := _bombs(members):
        raise InputError(
            f"{path}: expected members that unpack to at most {_MAX_EXPANSION} times "
            f"their size, but {bombs[0].filename!r} would grow from "
            f"{bombs[0].compress_size} to {bombs[0].file_size} bytes; save the model "
            "again"
        )


def _bombs(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    return [
        member
        for member in members
        if member.file_size > _LARGE
        and member.file_size > _MAX_EXPANSION * member.compress_size
    ]


def _refusal(path: Path, error: Exception) -> InputError:
    """Returns why a file cannot be loaded, for people."""
    foreign = _foreign_classes(path)
    if foreign:
        return InputError(
            f"{path}: expected layers of Keras alone, but the model needs code to be "
            f"loaded ({', '.join(foreign[:6])}), which may do anything and is never "
            "run; replace it by Keras' own layers, or export the model as a SavedModel "
            "and judge that"
        )
    return InputError(
        f"{path}: expected a model that Keras {keras.__version__} can load, but it "
        f"cannot ({first_line(error)}); save it again with this version"
    )


def _foreign_classes(path: Path) -> list[str]:
    """Returns what the configuration names beyond Keras' own, such as Lambda layers."""
    with zipfile.ZipFile(path) as archive:
        try:
            config = json.loads(archive.read(_CONFIG))
        except ValueError:
            return []
    found: dict[str, None] = {}
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            name, module = node.get("class_name"), node.get("module")
            if name in ("Lambda", "__lambda__"):
                found["a Lambda layer"] = None
            elif isinstance(name, str) and _is_foreign(node, module):
                found[f"{module}.{name}" if module else name] = None
    return sorted(found)


def _is_foreign(node: dict[str, object], module: object) -> bool:
    if module == "builtins":  # Functions of Keras go by their name alone.
        known = node.get("registered_name") in (None, "function", node.get("config"))
        return not known
    is_keras = isinstance(module, str) and module.partition(".")[0] == "keras"
    return "module" in node and not is_keras
