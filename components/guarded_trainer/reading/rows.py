# SPDX-License-Identifier: Apache-2.0
"""The rows of a user's arrays: brought into one form, and checked."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.causes import Severity
from components.errors import InputError
from components.findings import Finding, Subject, find
from components.guarded_trainer.reading.label_formats import LabelFormat
from components.labels import LabelValue

_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class Rows:
    """Examples in memory, n rows.

    Attributes:
      inputs: What the model is called with: an array, or a dict or tuple of arrays,
        of shape (n, ...).
      labels: Labels as they were given, numbers or texts.
      class_ids: int64, shape (n,).
      weights: Sample weights, float32, shape (n,), or None.
    """

    inputs: Any
    labels: np.ndarray
    class_ids: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.class_ids)

    @functools.cached_property
    def digests(self) -> tuple[bytes, ...]:
        """SHA-256 of the inputs of each row, whatever its label."""
        leaves = [np.ascontiguousarray(leaf) for leaf in tf.nest.flatten(self.inputs)]
        if len(leaves) == 1 and leaves[0].dtype.kind != "O":
            return tuple(hashlib.sha256(row.tobytes()).digest() for row in leaves[0])
        return tuple(_digest(row) for row in zip(*leaves, strict=True))


def labels_of(part: Any, where: str) -> np.ndarray:
    """Returns the labels of `(x, y)` or `(x, y, sample_weight)` as an array.

    Raises:
      InputError: If it is something else, or there are no labels.
    """
    if not isinstance(part, tuple | list) or len(part) not in (2, 3):
        came = (
            f"a {type(part).__name__} of {len(part)}"
            if isinstance(part, tuple | list)
            else f"a {type(part).__name__}"
        )
        raise InputError(
            f"{where}: expected (x, y) or (x, y, sample_weight) of arrays, or a "
            f"tf.data.Dataset of such batches, but it is {came}; give inputs and "
            "labels together, as in `fit_guarded(model, (x, y))`, and turn a generator "
            "into a data set with `tf.data.Dataset.from_generator`"
        )
    if part[1] is None:
        raise InputError(
            f"{where}: expected labels, but y is None; give each example its label"
        )
    labels = np.asarray(part[1])
    if not labels.ndim:
        raise InputError(
            f"{where}: expected one label per example, but y is a single "
            f"{type(part[1]).__name__}; give an array of labels"
        )
    if not len(labels):
        raise InputError(
            f"{where}: expected examples, but y is empty; check how the data are "
            "loaded and split"
        )
    return labels


def read_rows(part: Sequence[Any], label_format: LabelFormat, where: str) -> Rows:
    """Checks `(x, y)` or `(x, y, sample_weight)` and brings them into one form.

    Args:
      part: The arrays.
      label_format: How labels stand for classes.
      where: `train` or `eval`, for the messages.

    Raises:
      InputError: If lengths differ, inputs are no numbers or not finite, or a label
        stands for no class; names the argument.
    """
    labels = labels_of(part, where)
    columns = _column_names(part[0])
    inputs = as_arrays(part[0], where)
    _check_lengths(inputs, len(labels), where)
    for name, leaf in named_leaves(inputs):
        check_finite(leaf, f"{where} {name}", columns)
    if label_format.one_hot != (labels.ndim == 2 and labels.shape[1] > 1):
        raise InputError(
            f"{where} y: expected labels of the same form as those to train with, but "
            f"their shape is {labels.shape}; encode both parts alike"
        )
    class_ids = label_format.class_ids(labels, f"{where} y")
    weights = None
    if len(part) == 3 and part[2] is not None:
        weights = _weights(part[2], len(labels), where)
    return Rows(inputs, labels, class_ids, weights)


def as_arrays(inputs: Any, where: str) -> Any:
    """Returns inputs as arrays of the types that Keras would train with.

    A list of arrays becomes a tuple, since tf.data would stack it; numbers of double
    precision become Keras' float type.

    Raises:
      InputError: If they are not arrays, or of a type that no model takes.
    """
    if isinstance(inputs, dict):
        return {key: as_arrays(value, where) for key, value in inputs.items()}
    if isinstance(inputs, tuple) or (
        isinstance(inputs, list)
        and inputs
        and np.ndim(inputs[0])
        and not isinstance(inputs[0], list)
    ):
        return tuple(as_arrays(value, where) for value in inputs)
    if inputs is None or hasattr(inputs, "__next__"):
        raise InputError(
            f"{where}: expected arrays, but x is a {type(inputs).__name__}; collect "
            "the examples in an array, or make a tf.data.Dataset of them"
        )
    try:
        array = np.asarray(inputs)
    except Exception as error:
        raise InputError(
            f"{where}: expected arrays with one row per example, but x is a "
            f"{type(inputs).__name__} that is none ({' '.join(str(error).split())}); "
            "give each example the same shape"
        ) from error
    if array.dtype.kind == "O" and not all(
        isinstance(value, str | bytes) for value in array.ravel().tolist()
    ):
        raise InputError(
            f"{where}: expected numbers or texts, but x is a "
            f"{type(inputs).__name__} of mixed or ragged values; give each example "
            "the same shape, and turn categories and dates into numbers"
        )
    if not array.ndim:
        raise InputError(
            f"{where}: expected arrays with one row per example, but x is a single "
            f"{type(inputs).__name__}; give inputs and labels as (x, y)"
        )
    # As `model.fit` does.
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array


def first_rows(part: Any, where: str, num_rows: int) -> Any:
    """Returns the inputs of the first rows of `(x, y)`, to build a model with.

    Raises:
      InputError: If there are no inputs and labels, or not of equal length.
    """
    labels = labels_of(part, where)
    inputs = as_arrays(part[0], where)
    _check_lengths(inputs, len(labels), where)
    return tf.nest.map_structure(lambda x: x[:num_rows], inputs)


def named_leaves(inputs: Any, name: str = "x") -> Iterator[tuple[str, np.ndarray]]:
    """Yields each array of nested inputs with the name a user would give it."""
    if isinstance(inputs, dict):
        for key, value in inputs.items():
            yield from named_leaves(value, f"{name}[{key!r}]")
    elif isinstance(inputs, tuple):
        for i, value in enumerate(inputs):
            yield from named_leaves(value, f"{name}[{i}]")
    else:
        yield name, inputs


def check_finite(array: np.ndarray, where: str, columns: Sequence[str] = ()) -> None:
    """Refuses NaN and infinity.

    Args:
      array: Shape (n, ...).
      where: Name of the array, for the message.
      columns: Names of its columns, if known.

    Raises:
      InputError: Names the array, and the column where there are such.
    """
    if array.dtype.kind != "f":
        return
    bad_rows, first, column = 0, None, None
    for start in range(0, len(array), _CHUNK):
        chunk = array[start : start + _CHUNK]
        # A sum is finite only if all is; it needs no second array.
        if np.isfinite(chunk.sum(dtype=np.float64)):
            continue
        bad = ~np.isfinite(chunk)
        rows = bad.reshape(len(bad), -1).any(axis=1)
        bad_rows += int(rows.sum())
        if first is None and rows.any():
            first = start + int(rows.argmax())
            column = int(bad.any(axis=0).argmax()) if array.ndim == 2 else None
    if not bad_rows:
        return
    name = (
        f", column {(columns[column] if columns else column)!r}"
        if column is not None
        else ""
    )
    raise InputError(
        f"{where}{name}: expected finite numbers, but {bad_rows} of {len(array)} rows "
        f"hold NaN or infinity (the first is row {first}); fill in or drop them"
    )


def check_classes(counts: np.ndarray, classes: Sequence[LabelValue]) -> None:
    """Refuses labels that are all the same.

    Raises:
      InputError: If fewer than two classes occur.
    """
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise InputError(
            f"train y: expected at least two classes, but all {int(counts.sum())} "
            f"labels are {classes[int(present[0])]!r}; give examples of each class, "
            "and check how the labels are made"
        )


def check_alike(train: Rows, evaluation: Rows) -> None:
    """Checks that a model can be given either of both.

    Raises:
      InputError: If inputs differ in structure or shape.
    """
    shapes = [
        {name: leaf.shape[1:] for name, leaf in named_leaves(rows.inputs)}
        for rows in (train, evaluation)
    ]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"eval: expected inputs of the same shape as those to train with, "
            f"{shapes[0]} for each example, but they are {shapes[1]}; prepare both "
            "parts alike"
        )


def check_seen(
    train_counts: np.ndarray, eval_counts: np.ndarray, classes: Sequence[LabelValue]
) -> None:
    """Refuses rows to evaluate whose class training never shows.

    Args:
      train_counts: Examples of each class to train with, shape (K,).
      eval_counts: The same to evaluate on.
      classes: The classes.

    Raises:
      InputError: If there are such; names the class.
    """
    unseen = np.flatnonzero((train_counts == 0) & (eval_counts > 0))
    if len(unseen):
        raise InputError(
            "eval y: expected classes that occur among the examples to train with, but "
            f"{int(eval_counts[unseen].sum())} of {int(eval_counts.sum())} labels are "
            f"others ({', '.join(str(classes[k]) for k in unseen[:8])}); split the "
            "data so that each class is in both parts"
        )


def missing_classes(
    counts: np.ndarray, classes: Sequence[LabelValue]
) -> tuple[Finding, ...]:
    """Returns a warning if the model answers classes that training never shows."""
    missing = [str(classes[k]) for k in np.flatnonzero(counts == 0)]
    if not missing:
        return ()
    listed = ", ".join(missing[:8]) + ("..." if missing[8:] else "")
    return (
        find(
            "missing_class",
            f"{len(missing)} of the {len(classes)} classes that the model answers "
            f"never occur among the {int(counts.sum())} training examples: {listed}.",
            severity=Severity.WARN,
            subject=Subject(split="train", class_name=missing[0]),
            measured=float(len(missing)),
            limit=0.0,
            unit="classes",
            found_by="GuardedTrainer",
        ),
    )


def shared_rows(train: Rows, evaluation: Rows) -> tuple[Finding, ...]:
    """Returns a warning if rows to evaluate are also trained on."""
    known = set(train.digests)
    shared = sum(digest in known for digest in evaluation.digests)
    if not shared:
        return ()
    return (
        find(
            "duplicate_leakage",
            f"{shared} of {len(evaluation)} examples to evaluate are among those to "
            "train with, so that their score says too much.",
            severity=Severity.WARN,
            subject=Subject(split="eval"),
            measured=shared / len(evaluation),
            limit=0.0,
            unit="share",
            found_by="GuardedTrainer",
        ),
    )


def fingerprint(rows: Rows) -> str:
    """Returns a SHA-256 of inputs and classes, whatever the order of the rows."""
    digest = hashlib.sha256()
    ids = rows.class_ids.astype("<i8").tobytes()
    for line in sorted(
        row + ids[8 * i : 8 * i + 8] for i, row in enumerate(rows.digests)
    ):
        digest.update(line)
    return digest.hexdigest()


def _check_lengths(inputs: Any, num_labels: int, where: str) -> None:
    for name, leaf in named_leaves(inputs):
        if len(leaf) != num_labels:
            raise InputError(
                f"{where}: expected as many inputs as labels, but {name} has "
                f"{len(leaf)} rows and y has {num_labels}; give each example its label"
            )


def _weights(weights: Any, num_rows: int, where: str) -> np.ndarray:
    array = np.asarray(weights)
    if (
        array.shape not in ((num_rows,), (num_rows, 1))
        or array.dtype.kind not in "biuf"
    ):
        raise InputError(
            f"{where}: expected one sample weight for each of {num_rows} examples, "
            f"but they are of shape {array.shape} and type {array.dtype}; give an "
            "array of numbers"
        )
    array = array.reshape(num_rows).astype(np.float32)
    if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise InputError(
            f"{where}: expected sample weights that are finite and not negative, some "
            f"of them above 0, but the smallest is {array.min():.4g} and the largest "
            f"{array.max():.4g}; correct the weights"
        )
    return array


def _column_names(inputs: Any) -> tuple[str, ...]:
    """Returns the names of the columns of a pandas DataFrame, as text."""
    return tuple(str(column) for column in getattr(inputs, "columns", ()))


def _digest(row: Sequence[Any]) -> bytes:
    digest = hashlib.sha256()
    for part in row:
        part = np.asarray(part)
        data = (
            repr(part.tolist()).encode() if part.dtype.kind in "OSU" else part.tobytes()
        )
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()
