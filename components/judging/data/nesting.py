# SPDX-License-Identifier: Apache-2.0
"""Nested arrays: dicts and tuples of arrays, as models with many inputs take them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
"""Keys and positions that lead to an array; empty for the only one."""


def arrays_of(inputs: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields each array of nested inputs with its path."""
    if isinstance(inputs, Mapping):
        for key, value in inputs.items():
            yield from arrays_of(value, (*path, key))
    elif isinstance(inputs, tuple):
        for i, value in enumerate(inputs):
            yield from arrays_of(value, (*path, i))
    else:
        yield path, inputs


def map_arrays(change: Callable[[Path, Any], Any], inputs: Any, path: Path = ()) -> Any:
    """Returns nested inputs with each array changed; it is given path and array."""
    if isinstance(inputs, Mapping):
        return {
            key: map_arrays(change, value, (*path, key))
            for key, value in inputs.items()
        }
    if isinstance(inputs, tuple):
        return tuple(
            map_arrays(change, value, (*path, i)) for i, value in enumerate(inputs)
        )
    return change(path, inputs)


def take(inputs: Any, rows: Any) -> Any:
    """Returns some rows of each array."""
    return map_arrays(lambda _, array: array[rows], inputs)


def shown(path: Path) -> str:
    """Returns what a user calls the array: `x`, `x['age']`, `x[0]`."""
    return "x" + "".join(f"[{key!r}]" for key in path)


def base_name(path: Path) -> str:
    """Returns how the array's features are called; empty for the only array."""
    return " ".join(f"input {key}" if isinstance(key, int) else key for key in path)
