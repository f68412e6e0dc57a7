# SPDX-License-Identifier: Apache-2.0
"""Loads and calls the functions of a user's file, and says where they failed.

The user's file is executed from its own path, not from a copy: a traceback then
names the file and line that its author knows.
"""

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from components.errors import InputError
from components.guarded_trainer import user_files

DEFAULT_FUNCTION = "build_model"
PREPROCESS, AUGMENT, HYPERPARAMETERS = "preprocess", "augment", "HYPERPARAMETERS"
"""What may stand beside it."""


def split_reference(reference: str, default: str = DEFAULT_FUNCTION) -> tuple[str, str]:
    """Splits `where:function` into its parts; the function may be left out.

    Returns:
      A path that ends in `.py`, or a dotted module name; and a function name.
    """
    where, colon, function = reference.rpartition(":")
    # A colon may also stand in a path, as after a drive letter.
    if not colon or function.endswith(".py"):
        where, function = reference, default
    return where, function or default


def source_file(reference: str) -> Path:
    """Returns the file that holds the user's function.

    Raises:
      InputError: If there is no such file or module.
    """
    where, _ = split_reference(reference)
    if where.endswith(".py"):
        path = Path(where)
        if not path.is_file():
            raise InputError(
                f"{where}: expected the Python file with the model's function, but "
                f"there is no such file; correct `model.build` ({reference!r})"
            )
        return path.resolve()
    try:
        spec = importlib.util.find_spec(where)
    # Finding `a.b` imports `a`, which may raise anything.
    except (Exception, SystemExit) as error:
        raise _no_module(reference, where, error) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise _no_module(reference, where, None)
    return Path(spec.origin)


def source_digest(reference: str) -> str:
    """Returns the SHA-256 of the user's file and of the Python files beside it.

    It stands among the execution properties, so that TFX's cache does not serve
    a model that other code has built. Files in other folders do not count.

    Raises:
      InputError: If there is no such file or module.
    """
    digest = hashlib.sha256()
    for path in sorted(source_file(reference).parent.glob("*.py")):
        # Editors leave links to nowhere beside the files they have open.
        if path.is_file():
            digest.update(f"{path.name}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check_unchanged(reference: str, expected: str) -> None:
    """Checks that the code is the one that the pipeline was made with.

    Args:
      reference: Where the user's function is.
      expected: What `source_digest` returned when the pipeline was made.

    Raises:
      InputError: If it is not: TFX would file the model under other code.
    """
    came = source_digest(reference)
    if came != expected:
        raise InputError(
            f"{source_file(reference)}: expected the Python files that the pipeline "
            f"was made with (SHA-256 {expected[:12]}...), but they have changed since "
            f"({came[:12]}...); run the pipeline again, or bring the same code to "
            "where the step runs"
        )


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
            user_files.execute(path)
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


def call_build_model(build_model: Callable[..., Any], context: Any) -> Any:
    """Calls `build_model(context)` and checks that it returns a Keras model.

    Raises:
      InputError: If it raises, naming the user's file and line, or returns
        anything but a `keras.Model`.
    """
    import keras

    path, line = location(build_model)
    name = getattr(build_model, "__name__", type(build_model).__name__)
    with called_from(build_model, f"{name}(context)"):
        model = build_model(context)
    if not isinstance(model, keras.Model):
        came = (
            "None; end it with `return model`"
            if model is None
            else f"{type(model).__module__}.{type(model).__qualname__}; return the "
            "model itself (of Keras 3, not tf_keras)"
        )
        raise InputError(
            f"{path}:{line}: expected {name} to return a keras.Model, but it "
            f"returned {came}"
        )
    return model


@contextmanager
def called_from(function: Callable[..., Any], doing: str) -> Iterator[None]:
    """Within it, a function of the user may be called; says where it failed.

    Raises:
      InputError: Whatever the function raises.
    """
    path, _ = location(function)
    # It may import its neighbours as late as this.
    with blaming(path, doing), user_files.importable_neighbours(path):
        yield


def location(function: Callable[..., Any]) -> tuple[Path, int]:
    """Returns file and first line of a function, below any decorators.

    Both are those of the class where it is an object with `__call__`.
    """
    function = inspect.unwrap(function)
    while hasattr(function, "func"):  # functools.partial
        function = inspect.unwrap(function.func)
    if not hasattr(function, "__code__"):
        is_class = isinstance(function, type)
        owner, name = (
            (function, "__init__") if is_class else (type(function), "__call__")
        )
        function = getattr(owner, name)
    code = getattr(function, "__code__", None)
    return (Path(code.co_filename), code.co_firstlineno) if code else (Path("?"), 1)


@contextmanager
def blaming(path: Path, doing: str) -> Iterator[None]:
    """Turns whatever the user's code raises into a line with their file and line.

    Args:
      path: The user's file.
      doing: What was being done, for the message.

    Raises:
      InputError: Whatever else is raised inside, `sys.exit()` included.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{_blamed_line(path, error)}: {doing} failed with "
            f"{type(error).__name__}: {_reason(error)}; mend the file and run again"
        ) from error


def _blamed_line(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    # An error in a graph says in its message where the graph was made.
    made_at = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', str(error))
    lines += map(int, made_at)
    return f"{path}:{lines[-1]}" if lines else str(path)


def _reason(error: BaseException) -> str:
    """Returns the message in one line, without what only a terminal can show."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if text.startswith("Graph execution error"):
        # The reason follows a traceback, and is followed by a node's name.
        trailing = re.split(r'\n\s*File "[^\n]*\n', text)[-1]
        text = re.split(r"\n\s*\[\[\{\{node", trailing)[0]
    return " ".join(text.split())[:300]


def _no_module(reference: str, where: str, error: BaseException | None) -> InputError:
    reason = f" ({error})" if error else ""
    return InputError(
        f"model.build: expected `path/to/file.py:function` or "
        f"`package.module:function`, but {reference!r} names the module {where!r}, "
        f"which cannot be found{reason}; correct the name, or install the package"
    )
