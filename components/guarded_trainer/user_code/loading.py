# SPDX-License-Identifier: Apache-2.0
"""Loads the functions of a user's file.

The user's file is executed from its own path, not from a copy: a traceback then
names the file and line that its author knows.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from components.errors import InputError
from components.guarded_trainer.user_code import files
from components.guarded_trainer.user_code.blame import blaming
from components.guarded_trainer.user_code.references import (
    DEFAULT_FUNCTION,
    source_file,
    split_reference,
)

PREPROCESS, AUGMENT, HYPERPARAMETERS = "preprocess", "augment", "HYPERPARAMETERS"
"""What may stand beside it."""


@dataclasses.dataclass(frozen=True)
class UserCode:
    """What a user's file holds.

    Attributes:
      function: The function that was asked for, such as `build_model`.
      preprocess: `preprocess(context)`, or None if there is none.
      augment: `augment(context)`, or None if there is none.
      defaults: `HYPERPARAMETERS`; None if there are none.
      path: The file.
    """

    function: Callable[..., Any]
    preprocess: Callable[[Any], Any] | None
    augment: Callable[[Any], Any] | None
    defaults: Mapping[str, Any] | None
    path: Path

    def hyperparameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the file's hyperparameters, with what is configured instead.

        A file without defaults takes any.

        Args:
          given: What `training.hyperparameters` says.

        Raises:
          InputError: If one is unknown to the file, or of another kind than its
            default.
        """
        if self.defaults is None:
            return dict(given)
        for name, value in given.items():
            if name not in self.defaults:
                near = difflib.get_close_matches(name, list(self.defaults), n=1)
                hint = f"did you mean {near[0]!r}?" if near else "correct the name"
                raise InputError(
                    "training.hyperparameters: expected names that "
                    f"{HYPERPARAMETERS} of {self.path} has "
                    f"({', '.join(sorted(self.defaults)[:8]) or 'none'}), but got "
                    f"{name!r}; {hint}"
                )
            default = self.defaults[name]
            if _kind(value) != _kind(default) and None not in (value, default):
                raise InputError(
                    f"training.hyperparameters.{name}: expected a {_kind(default)}, as "
                    f"in {HYPERPARAMETERS} of {self.path} ({default!r}), but got "
                    f"{value!r}; give a {_kind(default)}"
                )
        return {**self.defaults, **given}


def load(reference: str) -> UserCode:
    """Imports the user's function, and what stands beside it.

    Args:
      reference: `path/to/file.py:function` or `package.module:function`; the
        function is `build_model` where it is left out.

    Raises:
      InputError: If the file, module or function does not exist, the file raises while
        it is imported, or something beside it is not what its name says; names the
        user's file and line.
    """
    function, module, path = _loaded(reference, DEFAULT_FUNCTION)
    return UserCode(
        function,
        _beside(module, PREPROCESS, path),
        _beside(module, AUGMENT, path),
        _defaults(module, path),
        path,
    )


def load_function(
    reference: str, default: str = DEFAULT_FUNCTION
) -> Callable[..., Any]:
    """Imports the user's function.

    Args:
      reference: `path/to/file.py:function` or `package.module:function`.
      default: The function where it is left out.

    Raises:
      InputError: If the file, module or function does not exist, or the file
        raises while it is imported; names the user's file and line.
    """
    return _loaded(reference, default)[0]


def _loaded(
    reference: str, default: str
) -> tuple[Callable[..., Any], ModuleType, Path]:
    where, function = split_reference(reference, default)
    path = source_file(reference)
    with blaming(path, f"importing {path.name}"):
        module = (
            files.execute(path)
            if where.endswith(".py")
            else importlib.import_module(where)
        )
    candidate = getattr(module, function, None)
    if not callable(candidate):
        names = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise InputError(
            f"{path}: expected a function {function!r}, but the file has "
            f"{', '.join(names[:8]) or 'no function'}; define it, or name "
            "another one after the colon in `model.build`"
        )
    return candidate, module, path


def _beside(module: ModuleType, name: str, path: Path) -> Callable[[Any], Any] | None:
    found = getattr(module, name, None)
    # A module of that name is somebody's import.
    if found is None or inspect.ismodule(found):
        return None
    if not callable(found):
        raise InputError(
            f"{path}: expected `{name}` to be a function of the context, but it is a "
            f"{type(found).__name__}; define `def {name}(context)`, or rename it"
        )
    return found


def _defaults(module: ModuleType, path: Path) -> Mapping[str, Any] | None:
    found = getattr(module, HYPERPARAMETERS, None)
    if found is None:
        return None
    if not isinstance(found, Mapping) or not all(isinstance(k, str) for k in found):
        raise InputError(
            f"{path}: expected {HYPERPARAMETERS} to be a dict of defaults by name, but "
            f"it is {found!r:.80}; write it as {{'units': 32}}"
        )
    try:
        json.dumps(dict(found), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: expected {HYPERPARAMETERS} of numbers, texts, lists and dicts, "
            f"but they cannot be written as JSON ({error}); leave the others out"
        ) from error
    return dict(found)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "mapping" if isinstance(value, Mapping) else "list"
