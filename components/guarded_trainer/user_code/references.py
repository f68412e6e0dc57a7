# SPDX-License-Identifier: Apache-2.0
"""Where the user's code is, and whether it is still the same."""

import hashlib
import importlib.util
from pathlib import Path

from components.errors import InputError

DEFAULT_FUNCTION = "build_model"


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


def _no_module(reference: str, where: str, error: BaseException | None) -> InputError:
    reason = f" ({error})" if error else ""
    return InputError(
        f"model.build: expected `path/to/file.py:function` or "
        f"`package.module:function`, but {reference!r} names the module {where!r}, "
        f"which cannot be found{reason}; correct the name, or install the package"
    )
