# SPDX-License-Identifier: Apache-2.0
"""Labels in files: which classes there are, and the class id of each row."""

import array
import difflib
from collections.abc import Sequence

import numpy as np

from components.errors import InputError
from components.judging.data.batches import Batch
from components.labels import LabelValue

_SHOWN = 8


class LabelColumn:
    """The labels of one split, as they are read.

    In memory are 8 bytes for each, and each distinct label once.
    """

    def __init__(self, label_key: str, where: str) -> None:
        """Begins without any row.

        Args:
          label_key: Name of the label feature.
          where: Path that the user gave.
        """
        self._key = label_key
        self._where = where
        self._codes = array.array("q")
        self._known: dict[LabelValue, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def labels(self) -> tuple[LabelValue, ...]:
        """The distinct labels, in the order of their first appearance."""
        return tuple(self._known)

    def add(self, batch: Batch) -> None:
        """Reads the labels of some rows.

        Raises:
          InputError: If one has no label, several, or one that is no class.
        """
        column = batch.columns.get(self._key)
        if column is None:
            raise self._absent(batch)
        values = column.values
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            raise InputError(
                f"{batch.file}: expected integers or texts as the label {self._key!r}, "
                f"as a classifier needs them, but they are fractions such as "
                f"{values[0]:.6g}; store classes as integers (regression is not "
                "supported)"
            )
        plain = values.tolist() if isinstance(values, np.ndarray) else values
        for row in range(batch.num_rows):
            start, stop = column.offsets[row : row + 2]
            if stop - start != 1:
                came = f"{stop - start} values" if stop > start else "none"
                raise InputError(
                    f"{batch.file}: expected one label {self._key!r} in each row, but "
                    f"row {batch.start + row} has {came}; label it, or leave it out"
                )
            value = self._value(plain[start], batch, row)
            self._codes.append(self._known.setdefault(value, len(self._known)))

    def class_ids(self, classes: Sequence[LabelValue]) -> np.ndarray:
        """Returns the class id of each row, int64 of shape (N,).

        Args:
          classes: Label values in the order of the model's outputs.

        Raises:
          InputError: If a label is none of them.
        """
        ids = {label: i for i, label in enumerate(classes)}
        unknown = [label for label in self._known if label not in ids]
        codes = np.array(self._codes, np.int64)
        if unknown:
            number = sum(int((codes == self._known[label]).sum()) for label in unknown)
            raise InputError(
                f"{self._where}: expected one of the {len(ids)} classes "
                f"{listed(classes)} as {self._key!r}, but {number} of {len(codes)} "
                f"rows say {listed(unknown)}; correct the labels, or train on all "
                "classes"
            )
        table = np.array([ids[label] for label in self._known], np.int64)
        return table[codes]

    def _value(self, value: bytes | int, batch: Batch, row: int) -> LabelValue:
        if not isinstance(value, bytes):
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise InputError(
                f"{batch.file}: expected integers or texts in UTF-8 as the label "
                f"{self._key!r}, but row {batch.start + row} has other bytes; encode "
                "it as UTF-8"
            ) from None

    def _absent(self, batch: Batch) -> InputError:
        names = list(batch.columns)
        nearest = difflib.get_close_matches(self._key, names, n=1)
        way_out = (
            f"did you mean {nearest[0]!r}?"
            if nearest
            else "name it with `--label`, or give examples that have labels"
        )
        return InputError(
            f"{batch.file}: expected the label {self._key!r}, but the columns are "
            f"{listed(names)}; {way_out}"
        )


def find_classes(
    train: LabelColumn,
    evaluation: LabelColumn,
    num_classes: int,
    class_names: Sequence[str] | None,
    where: str,
) -> tuple[LabelValue, ...]:
    """Returns the label values in the order of the model's outputs.

    Integers from 0 to K-1 are class ids. Other labels stand in the order that the
    GuardedTrainer and Keras' `image_dataset_from_directory` give them, which is by
    value: those of the training split, or, where these are too few, of both.

    Args:
      train: Labels to train with.
      evaluation: Labels to evaluate on.
      num_classes: Number of classes K that the model answers.
      class_names: The order, where it is another.
      where: Path of the training split, for messages.

    Raises:
      InputError: If the labels are not those of K classes.
    """
    in_train, both = set(train.labels), {*train.labels, *evaluation.labels}
    if len({type(label) for label in both}) > 1:
        raise InputError(
            f"{where}: expected labels that are all integers or all texts, but there "
            f"are both ({listed(sorted(both, key=str))}); give all the same type"
        )
    if class_names is not None:
        return _named(class_names, num_classes, both)
    if all(isinstance(x, int) and 0 <= x < num_classes for x in both):
        return tuple(range(num_classes))
    for labels in (in_train, both):
        if len(labels) == num_classes:
            return tuple(sorted(labels))
    raise InputError(
        f"{where}: expected labels of {num_classes} classes, as many as the model "
        f"answers, but there are {len(in_train)}: {listed(sorted(in_train, key=str))}"
        "; give the data that the model was trained on, with examples of each class"
    )


def listed(values: Sequence[LabelValue]) -> str:
    """Returns the first values for a message."""
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(repr, values[:_SHOWN])) + more


def _named(
    class_names: Sequence[str], num_classes: int, found: set[LabelValue]
) -> tuple[LabelValue, ...]:
    if len(class_names) != num_classes or len(set(class_names)) < len(class_names):
        raise InputError(
            f"class_names: expected {num_classes} different names, one for each class "
            f"that the model answers, but got {listed(class_names)}; name each class "
            "once, in the order of the model's outputs"
        )
    if all(isinstance(label, int) for label in found):
        if set(class_names) >= {str(label) for label in found}:
            return tuple(int(name) for name in class_names)
    return tuple(class_names)
