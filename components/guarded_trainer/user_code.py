# SPDX-License-Identifier: Apache-2.0
"""Loads and calls the user's `build_model`, and says where it failed.

The user's file is executed from its own path, not from a copy: a traceback then
names the file and line that its author knows.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from components.errors import InputError

DEFAULT_FUNCTION = "build_model"


def split_reference(reference: str) -> tuple[str, str]:
    """Splits `where:function` into its parts; the function may be left out.

    Returns:
      A path that ends in `.py`, or a dotted module name; and a function name.
    """
    where, colon, function = reference.rpartition(":")
    # A colon may also stand in a path, as after a drive letter.
    if not colon or function.endswith(".py"):
        where, function = reference, DEFAULT_FUNCTION
    return where, function


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
    except (ImportError, ValueError) as error:
        raise _no_module(reference, where, error) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise _no_module(reference, where, None)
    return Path(spec.origin)


def source_digest(reference: str) -> str:
    """Returns the SHA-256 of the user's file and of the Python files beside it.

    It stands among the execution properties, so that TFX's cache does not serve
    a model that older code has built. Files in other folders do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(source_file(reference).parent.glob("*.py")):
        digest.update(f"{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def load_function(reference: str) -> Callable[..., Any]:
    """Imports the user's function.

    Args:
      reference: `path/to/file.py:function` or `package.module:function`; the
        function is `build_model` where it is left out.

    Raises:
      InputError: If the file, module or function does not exist, or the file
        raises while it is imported; names the user's file and line.
    """
    where, function = split_reference(reference)
    path = source_file(reference)
    with _blaming(path, f"importing {path.name}"):
        module = _execute(path) if where.endswith(".py") else _import(where)
    candidate = getattr(module, function, None)
    if not callable(candidate):
        names = [n for n, v in vars(module).items() if callable(v) and n[0] != "_"]
        raise InputError(
            f"{path}: expected a function {function!r}, but the file has "
            f"{', '.join(sorted(names)[:8]) or 'no function'}; define it, or name "
            "another one after the colon in `model.build`"
        )
    return candidate


def call_build_model(build_model: Callable[..., Any], context: Any) -> Any:
    """Calls `build_model(context)` and checks that it returns a Keras model.

    Raises:
      InputError: If it raises, naming the user's file and line, or returns
        anything but a `keras.Model`.
    """
    import keras

    code = getattr(build_model, "__code__", None)
    path = Path(code.co_filename) if code else Path("?")
    with _blaming(path, f"{build_model.__name__}(context)"):
        model = build_model(context)
    if not isinstance(model, keras.Model):
        line = f":{code.co_firstlineno}" if code else ""
        raise InputError(
            f"{path}{line}: {build_model.__name__} must return a keras.Model, but it "
            f"returned {type(model).__module__}.{type(model).__qualname__}; return "
            "the model itself (of Keras 3, not tf_keras)"
        )
    return model


def _execute(path: Path) -> ModuleType:
    # The name must not collide with a real module, and must differ between
    # files, since pickling looks functions up by module name.
    name = f"_guarded_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path} as Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Lets the file import its neighbours, as it could when run as a script.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


def _import(name: str) -> ModuleType:
    return importlib.import_module(name)


@contextmanager
def _blaming(path: Path, doing: str) -> Iterator[None]:
    """Turns whatever the user's code raises into a line with their file and line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{_blamed_line(path, error)}: {doing} failed with "
            f"{type(error).__name__}: {' '.join(str(error).split())[:300]}; mend the "
            "file and run again"
        ) from error


def _blamed_line(path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _no_module(reference: str, where: str, error: Exception | None) -> InputError:
    reason = f" ({error})" if error else ""
    return InputError(
        f"model.build: expected `path/to/file.py:function` or "
        f"`package.module:function`, but {reference!r} names the module {where!r}, "
        f"which cannot be found{reason}; correct the name, or install the package"
    )
