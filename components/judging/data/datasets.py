# SPDX-License-Identifier: Apache-2.0
"""A tf.data.Dataset of examples or batches as data to judge."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.reading.batch_survey import element_spec
from components.judging.data import nesting
from components.judging.data.arrays import array_rows
from components.judging.data.chunks import Chunk, Rows, Slices
from components.judging.data.nesting import Path
from components.judging.data.rows import EVAL, TRAIN, of_rows
from components.judging.data.stored import StoredData

_BATCH = 256


def of_data(
    train: Any,
    eval: Any,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    slices: Mapping[str, tuple[Any, Any]] | None = None,
) -> StoredData:
    """Makes data to judge of arrays, data sets, or one of each.

    Rows are written as tf.Examples into a temporary folder. Of an array of shape
    (N, n) each column is a feature, called after its column in a DataFrame or
    `column 3`; of a dict, each key. Arrays of pictures are stored as pictures where
    their numbers stand for bytes, see `pixels`; an array of another shape is one
    feature. Arrays themselves are not copied. A data set is read twice: where it
    shuffles its examples, or varies them at random, those of the second time count.

    Args:
      train: What the model was trained on: `(x, y)` or `(x, y, sample_weight)`, or a
        finite tf.data.Dataset of such tuples, in batches or one by one. x is an array,
        or a dict or tuple of arrays, with one row per example; y holds class ids from
        0, of shape (N,) or (N, 1), one-hot rows, or texts.
      eval: The same for the examples that decide.
      num_classes: Number of classes that the model answers; None takes it from the
        labels.
      class_names: Their names in the order of the model's outputs; texts in y are
        sorted without it.
      slices: By name, values of each row of `train` and of `eval` to slice by, which
        are no inputs of the model; not for data sets, whose order may change.

    Returns:
      The data; close them, or use them as a context manager. Fractions are given to
      the model as float32, as Keras does.

    Raises:
      InputError: If there are no rows, the data set does not end, or labels or inputs
        cannot be used; names the argument.
    """
    sliced = dict(slices or {})
    for name, values in sliced.items():
        if not isinstance(values, tuple | list) or len(values) != 2:
            raise InputError(
                f"slices[{name!r}]: expected a pair, the values of each row of `train` "
                f"and of `eval`, but it is a {type(values).__name__}; give both"
            )
    parts = [
        _rows(part, where, {name: pair[i] for name, pair in sliced.items()})
        for i, (where, part) in enumerate(((TRAIN, train), (EVAL, eval)))
    ]
    return of_rows(*parts, num_classes=num_classes, class_names=class_names)


def _rows(part: Any, where: str, slices: Mapping[str, Any]) -> Rows:
    if not isinstance(part, tf.data.Dataset):
        return array_rows(part, where, slices)
    if slices:
        raise InputError(
            f"slices: expected arrays to slice, but {where} is a tf.data.Dataset, "
            "whose order may change; give (x, y) of arrays, or leave `slices` out"
        )
    if part.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            f"{where}: expected a data set with an end, but it repeats for ever; give "
            "it without `.repeat()`, or cut it with `.take(number of batches)`"
        )
    return _DatasetRows(where, _in_batches(part, where))


@dataclasses.dataclass(frozen=True)
class _DatasetRows:
    """A `Rows` of a data set of batches."""

    where: str
    dataset: tf.data.Dataset
    columns: Mapping[Path, Sequence[str]] = dataclasses.field(default_factory=dict)
    slices: Slices = dataclasses.field(default_factory=dict)

    def chunks(self) -> Iterator[Chunk]:
        count = 0
        try:
            for inputs, labels, *_ in self.dataset.as_numpy_iterator():
                chunk = Chunk(inputs, np.asarray(labels))
                self._check(chunk, count)
                count += 1
                if len(chunk.labels):
                    yield chunk
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())[:240]
            raise InputError(
                f"{self.where}: expected a data set that can be read to its end, but "
                f"reading failed after {count} batches: {reason}; mend the data or how "
                "they are read"
            ) from error
        if not count:
            raise InputError(
                f"{self.where}: expected examples, but the data set is empty; check "
                "how the data are loaded and split"
            )

    def at(self, positions: np.ndarray) -> None:
        return None

    def _check(self, chunk: Chunk, number: int) -> None:
        for path, array in nesting.arrays_of(chunk.inputs):
            if not np.ndim(array) or len(array) != len(chunk.labels):
                raise InputError(
                    f"{self.where} batch {number}, {nesting.shown(path)}: expected one "
                    f"row for each of {len(chunk.labels)} labels, but the shape is "
                    f"{np.shape(array)}; give each example its label"
                )


def _in_batches(dataset: tf.data.Dataset, where: str) -> tf.data.Dataset:
    """Returns a data set of batches, whether or not it already is one.

    Raises:
      InputError: If its elements are not inputs and labels of known rank.
    """
    spec = element_spec(dataset, where)
    leaves: list[tf.TensorSpec] = tf.nest.flatten(spec[0])
    labels = spec[1]
    for name, tensor in [*(("inputs", leaf) for leaf in leaves), ("labels", labels)]:
        if not isinstance(tensor, tf.TensorSpec):
            raise InputError(
                f"{where}: expected dense tensors, one of them with the labels, but "
                f"the {name} are a {type(tensor).__name__}; turn them into dense "
                "tensors, and judge a model with the one output that classifies"
            )
        if tensor.shape.rank is None:
            raise InputError(
                f"{where}: expected {name} of known rank, but they come from a Python "
                "function that tells none; add `tensor.set_shape(...)` to it"
            )
    return dataset if _is_batched(leaves, labels) else dataset.batch(_BATCH)


def _is_batched(leaves: Sequence[tf.TensorSpec], labels: tf.TensorSpec) -> bool:
    ranks = [leaf.shape.rank for leaf in leaves]
    if labels.shape.rank != 1 or 0 in ranks:
        return bool(labels.shape.rank > 1)
    if labels.shape[0] is None:
        return True
    # Either batches of that many class ids, or single one-hot rows. A batch of
    # scalars is rarer than a row of numbers.
    alike = all(leaf.shape[0] == labels.shape[0] for leaf in leaves)
    return alike and max(ranks) > 1
