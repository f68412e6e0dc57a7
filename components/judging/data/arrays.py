# SPDX-License-Identifier: Apache-2.0
"""Arrays `(x, y)`, as `model.fit` takes them, as data to judge."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.errors import InputError
from components.guarded_trainer.reading.rows import labels_of
from components.judging.data import nesting
from components.judging.data.chunks import Chunk, Rows, Slices
from components.judging.data.nesting import Path

_CHUNK_BYTES = 1 << 23
_MAX_CHUNK_ROWS = 4096


def array_rows(part: Any, where: str, slices: Mapping[str, Any]) -> Rows:
    """Checks `(x, y)` or `(x, y, sample_weight)`.

    Raises:
      InputError: If they are no arrays with one row per example.
    """
    labels = _plain(labels_of(part, where), where)
    columns: dict[Path, tuple[str, ...]] = {}
    inputs = _as_arrays(part[0], where, (), columns)
    for path, array in nesting.arrays_of(inputs):
        _check_length(f"{where} {nesting.shown(path)}", len(array), len(labels))
    values = {name: np.asarray(some, object).ravel() for name, some in slices.items()}
    for name, some in values.items():
        _check_length(f"slices[{name!r}], {where}", some.size, len(labels))
    return _ArrayRows(where, inputs, labels, columns, values)


def _plain(labels: np.ndarray, where: str) -> np.ndarray:
    """Returns numbers that come as Python objects, as pandas has them, as numbers."""
    if labels.dtype.kind != "O":
        return labels
    values = labels.ravel().tolist()
    if all(isinstance(value, str | bytes) for value in values):
        return labels
    numbers = np.array(values)
    if numbers.ndim != 1 or numbers.dtype.kind not in "biuf":
        raise InputError(
            f"{where} y: expected labels that are all numbers or all texts, but they "
            "are mixed or missing; give each example a label of one type"
        )
    return numbers.reshape(labels.shape)


@dataclasses.dataclass(frozen=True)
class _ArrayRows:
    """A `Rows` of arrays."""

    where: str
    inputs: Any
    labels: np.ndarray
    columns: Mapping[Path, Sequence[str]]
    slices: Slices

    def chunks(self) -> Iterator[Chunk]:
        arrays = [array for _, array in nesting.arrays_of(self.inputs)]
        row_bytes = sum(array.nbytes // max(len(array), 1) for array in arrays)
        size = min(max(_CHUNK_BYTES // max(row_bytes, 1), 1), _MAX_CHUNK_ROWS)
        for start in range(0, len(self.labels), size):
            rows = slice(start, start + size)
            yield Chunk(nesting.take(self.inputs, rows), self.labels[rows])

    def at(self, positions: np.ndarray) -> Any:
        return nesting.take(self.inputs, positions)


def _as_arrays(
    inputs: Any, where: str, path: Path, columns: dict[Path, tuple[str, ...]]
) -> Any:
    if isinstance(inputs, dict):
        return {
            key: _as_arrays(value, where, (*path, key), columns)
            for key, value in inputs.items()
        }
    if isinstance(inputs, tuple) or _is_list_of_arrays(inputs):
        return tuple(
            _as_arrays(value, where, (*path, i), columns)
            for i, value in enumerate(inputs)
        )
    columns[path] = tuple(str(name) for name in getattr(inputs, "columns", ()))
    return _as_array(inputs, f"{where} {nesting.shown(path)}")


def _is_list_of_arrays(inputs: Any) -> bool:
    """Whether a list is one of inputs, as Keras takes it, rather than of rows."""
    if not isinstance(inputs, list) or not inputs or isinstance(inputs[0], list):
        return False
    return bool(np.ndim(inputs[0]))


def _as_array(values: Any, where: str) -> np.ndarray:
    kind = type(values).__name__
    try:
        array = np.asarray(values)
    except Exception as error:
        raise InputError(
            f"{where}: expected an array with one row per example, but the {kind} is "
            f"none ({' '.join(str(error).split())[:200]}); give each example the same "
            "shape"
        ) from error
    if not array.ndim:
        raise InputError(
            f"{where}: expected an array with one row per example, but it is a single "
            f"{kind}; collect the examples in an array, or make a tf.data.Dataset"
        )
    if array.dtype.kind == "O" and not all(
        isinstance(value, str | bytes) for value in array.ravel().tolist()
    ):
        raise InputError(
            f"{where}: expected numbers or texts, but the {kind} holds missing, mixed "
            "or ragged values; give each example the same shape, fill in what is "
            "missing, and turn categories and dates into numbers"
        )
    return array


def _check_length(name: str, length: int, num_labels: int) -> None:
    if length != num_labels:
        raise InputError(
            f"{name}: expected one row for each of {num_labels} labels, but there are "
            f"{length}; give each example its label"
        )
