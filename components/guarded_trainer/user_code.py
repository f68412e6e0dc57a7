# SPDX-License-Identifier: Apache-2.0
"""Loads and calls the user's `build_model`, and says where it failed.

The user's file is executed from its own path, not from a copy: a traceback then
names the file and line that its author knows.
"""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from components.errors import InputError

DEFAULT_FUNCTION = "build_model"

_folders: set[Path] = set()
"""Folders of the files that were executed; a module's folder is not among them."""
_neighbours: set[str] = set()
"""Names of modules that were imported from beside the last such file."""


def split_reference(reference: str) -> tuple[str, str]:
    """Splits `where:function` into its parts; the function may be left out.

    Returns:
      A path that ends in `.py`, or a dotted module name; and a function name.
    """
    where, colon, function = reference.rpartition(":")
    # A colon may also stand in a path, as after a drive letter.
    if not colon or function.endswith(".py"):
        where, function = reference, DEFAULT_FUNCTION
    return where, function or DEFAULT_FUNCTION


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
    with blaming(path, f"importing {path.name}"):
        module = (
            _execute(path) if where.endswith(".py") else importlib.import_module(where)
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
    return candidate


def call_build_model(build_model: Callable[..., Any], context: Any) -> Any:
    """Calls `build_model(context)` and checks that it returns a Keras model.

    Raises:
      InputError: If it raises, naming the user's file and line, or returns
        anything but a `keras.Model`.
    """
    import keras

    path, line = location(build_model)
    name = getattr(build_model, "__name__", type(build_model).__name__)
    # It may import its neighbours as late as this.
    beside = _importable(path.parent) if path.parent in _folders else nullcontext()
    with blaming(path, f"{name}(context)"), beside:
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


def _execute(path: Path) -> ModuleType:
    # The name must not collide with a real module, and must differ between
    # files, since pickling looks functions up by module name.
    name = f"_guarded_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path} as Python source")
    module = importlib.util.module_from_spec(spec)
    # Another file, or this one after a change, must not get the modules that lay
    # beside the last one.
    for neighbour in _neighbours:
        sys.modules.pop(neighbour, None)
    _neighbours.clear()
    importlib.invalidate_caches()
    _folders.add(path.parent)
    sys.modules[name] = module
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Lets a file import its neighbours, as it could when run as a script."""
    if str(folder) in sys.path:
        yield
        return
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        new = set(sys.modules) - before
        beside = {name for name in new if _only_lies_in(folder, name)}
        _neighbours.update(name for name in new if name.partition(".")[0] in beside)


def _only_lies_in(folder: Path, name: str) -> bool:
    """Returns whether a module could be imported from the folder alone."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or _home(spec) != folder:
        return False
    elsewhere = (finder.find_spec(name, None) for finder in sys.meta_path)
    other = next(filter(None, elsewhere), None)
    return other is None or _home(other) != folder


def _home(spec: ModuleSpec) -> Path | None:
    """Returns the folder that a top-level module or package stands in."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec.origin else None


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
