# SPDX-License-Identifier: Apache-2.0
"""Says in which of the user's lines something failed."""

import inspect
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.guarded_trainer.user_code import files


@contextmanager
def called_from(function: Callable[..., Any], doing: str) -> Iterator[None]:
    """Within it, a function of the user may be called; says where it failed.

    Raises:
      InputError: Whatever the function raises.
    """
    path, _ = location(function)
    # It may import its neighbours as late as this.
    with blaming(path, doing), files.importable_neighbours(path):
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
