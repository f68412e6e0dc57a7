# SPDX-License-Identifier: Apache-2.0
"""Arrays in `.npz` files, as `numpy.savez(path, x=x, y=y)` writes them."""

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import InputError
from components.judging.data import nesting
from components.judging.data.class_labels import listed
from components.judging.spec import InputSpec, ModelSpec

ENDING = ".npz"
_LABEL = "y"


def read_archive(
    path: Path, spec: ModelSpec, label: str, ignore: Collection[str] = ()
) -> tuple[Any, np.ndarray]:
    """Reads inputs and labels.

    The labels are the array called as the label, or `y`; all others are inputs: of a
    model with one input the only one, else each by its name. They are given to the
    model as they are. Nothing is unpickled, for that would run code of the file.

    Args:
      path: Path of the file.
      spec: The model's inputs.
      label: Name of the label.
      ignore: Arrays that are no inputs.

    Returns:
      (x, y), x an array, or a dict of arrays by input.

    Raises:
      InputError: If it is no such file, holds pickled objects, or other arrays than
        the model wants.
    """
    if spec.takes_examples:
        raise InputError(
            f"{path}: expected tf.Examples, which the model parses itself, but these "
            "are arrays; give CSV, TFRecord or Parquet files, or a folder of pictures"
        )
    arrays = {name: array for name, array in _load(path).items() if name not in ignore}
    key = label if label in arrays else _LABEL
    if key not in arrays:
        raise InputError(
            f"{path}: expected an array {_LABEL!r} with the labels, but the arrays are "
            f"{listed(list(arrays))}; save them with `numpy.savez(path, x=x, y=y)`, "
            "each split in a file of its own"
        )
    labels = arrays.pop(key)
    inputs = _inputs(path, arrays, spec)
    for where, array in nesting.arrays_of(inputs):
        each = next(i for i in spec.inputs if not where or i.name == where[0])
        _check_shape(path, nesting.shown(where), array, each)
    return inputs, labels


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        # NumPy leaves a file open that it cannot read.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not hasattr(archive, "files"):
                raise ValueError("it is a single array")
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        way_out = "save the arrays again with `numpy.savez`"
        if "pickle" in reason:
            reason = "it holds pickled objects, which could run any code when loaded"
            way_out = "save numbers and texts, not arrays of Python objects"
        raise InputError(
            f"{path}: expected plain arrays in a {ENDING} file, but {reason}; {way_out}"
        ) from error


def _inputs(path: Path, arrays: dict[str, np.ndarray], spec: ModelSpec) -> Any:
    names = [each.name for each in spec.inputs]
    if len(names) == 1:
        own = arrays.get(names[0], arrays.get("x"))
        if own is None and len(arrays) == 1:
            (own,) = arrays.values()
        if own is None:
            raise InputError(
                f"{path}: expected one array 'x' with the inputs, but there are "
                f"{listed(list(arrays)) or 'none'}; call the array so"
            )
        return own
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(
            f"{path}: expected an array for each of the model's inputs "
            f"{listed(names)}, but {listed(missing)} is not among "
            f"{listed(list(arrays)) or 'none'}; call the arrays as the inputs"
        )
    return {name: arrays[name] for name in names}


def _check_shape(path: Path, name: str, array: np.ndarray, each: InputSpec) -> None:
    shape, wanted = array.shape[1:], each.shape
    fits = len(shape) == len(wanted) and all(
        b is None or a == b for a, b in zip(shape, wanted, strict=False)
    )
    # Keras takes a column without its last axis.
    fits |= shape == () and wanted in ((1,), (None,))
    if not fits or (array.dtype.kind in "OSU") != (each.dtype == "string"):
        raise InputError(
            f"{path}: expected {name} as the model's input {each.name!r} wants it, "
            f"{each.dtype} of shape {wanted} for each example, but it holds "
            f"{array.dtype} of shape {shape}; give the data that the model was "
            "trained on"
        )
