# SPDX-License-Identifier: Apache-2.0
"""How the labels of a user's arrays stand for classes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from components.errors import InputError
from components.labels import LabelValue

_ROUNDING = 1e-2
"""Most by which a row may miss its sum of 1: float16 keeps three digits."""


@dataclasses.dataclass(frozen=True)
class LabelFormat:
    """How labels stand for classes.

    Attributes:
      kind: `ids` (0 to K-1), `one_hot` (shape (n, K), also soft), or `names` (texts).
      names: The classes, in the order of the model's outputs.
      classes: The same as they stand in the data: integers or texts.
    """

    kind: Literal["ids", "one_hot", "names"]
    classes: tuple[LabelValue, ...]

    @property
    def one_hot(self) -> bool:
        """Whether a label is a row of K numbers."""
        return self.kind == "one_hot"

    def are_hard(self, labels: np.ndarray) -> bool:
        """Returns whether each label stands for one class alone."""
        return not self.one_hot or bool((labels.max(axis=1) >= 1 - _ROUNDING).all())

    def check_loss(self, *, hard: bool, wants_one_hot: bool) -> None:
        """Refuses labels of which a loss would be told less than they say.

        Args:
          hard: Whether each label stands for one class alone.
          wants_one_hot: Whether the loss takes rows of K numbers.

        Raises:
          InputError: If labels are soft, but the loss takes class ids.
        """
        if not hard and not wants_one_hot:
            raise InputError(
                "model: expected a loss that takes one-hot rows, since y holds soft "
                "labels (smoothed or mixed up), but the compiled one takes class ids; "
                "compile with `categorical_crossentropy`"
            )

    def class_ids(self, labels: np.ndarray, where: str) -> np.ndarray:
        """Returns the class id of each label, int64, shape (n,).

        Args:
          labels: Labels in this format.
          where: Name of the argument, for the message.

        Raises:
          InputError: If a label stands for no class.
        """
        if self.kind == "names":
            return self._positions(labels, where)
        if self.kind == "one_hot":
            _check_rows(labels, len(self.classes), where)
            return labels.argmax(axis=1).astype(np.int64)
        _check_whole(labels, where)
        ids = labels.reshape(len(labels)).astype(np.int64)
        self._check_range(ids, where)
        return ids

    def _positions(self, labels: np.ndarray, where: str) -> np.ndarray:
        table = {name: i for i, name in enumerate(self.classes)}
        texts = [_text(label) for label in labels.reshape(len(labels)).tolist()]
        unknown = sorted({text for text in texts if text not in table})
        if unknown:
            raise InputError(
                f"{where}: expected one of the {len(table)} classes "
                f"{_listed(table)}, but labels say {_listed(unknown)}; correct the "
                "labels, or give all classes as `class_names`"
            )
        return np.array([table[text] for text in texts], np.int64)

    def _check_range(self, ids: np.ndarray, where: str) -> None:
        least, most, last = int(ids.min()), int(ids.max()), len(self.classes) - 1
        if least >= 0 and most <= last:
            return
        bad = int(((ids < 0) | (ids > last)).sum())
        hint = (
            "they seem to count from 1: subtract 1"
            if least == 1 and most == last + 1
            else f"give the model's last layer {most + 1} units"
            if least >= 0
            else "map -1 to 0"
            if set(np.unique(ids).tolist()) == {-1, 1}
            else "number the classes from 0"
        )
        raise InputError(
            f"{where}: expected class ids from 0 to {last}, one for each of the "
            f"model's {last + 1} classes, but {bad} of {len(ids)} labels are not "
            f"among them (smallest {least}, largest {most}); {hint}"
        )


def read_format(
    labels: np.ndarray,
    num_classes: int,
    class_names: Sequence[str] | None,
    where: str = "y",
) -> LabelFormat:
    """Tells from labels how they stand for classes.

    Args:
      labels: Shape (n,) or (n, 1) with ids or texts, or (n, K) one-hot; n > 0.
      num_classes: Number of classes K that the model answers.
      class_names: Their names in the order of the model's outputs, if known.
      where: Name of the argument, for the message.

    Raises:
      InputError: If they are of another shape or type, or the number of names is
        another than the model's.
    """
    names = _checked_names(class_names, num_classes)
    if labels.dtype.kind in "OSU" and _are_texts(labels):
        _check_one_column(labels, num_classes, where)
        return LabelFormat("names", names or _found_names(labels, num_classes, where))
    if labels.dtype.kind not in "biuf":
        raise InputError(
            f"{where}: expected class ids, one-hot rows or texts, but labels are of "
            f"type {labels.dtype}; turn them into integers"
        )
    classes: tuple[LabelValue, ...] = names or tuple(range(num_classes))
    if labels.ndim == 2 and labels.shape[1] > 1:
        return LabelFormat("one_hot", classes)
    _check_one_column(labels, num_classes, where)
    return LabelFormat("ids", classes)


def _checked_names(
    class_names: Sequence[str] | None, num_classes: int
) -> tuple[str, ...]:
    if class_names is None:
        return ()
    names = tuple(str(name) for name in class_names)
    if len(names) != num_classes:
        raise InputError(
            f"class_names: expected {num_classes} names, one for each class that the "
            f"model answers, but there are {len(names)}; name each class once, in the "
            "order of the model's outputs"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"class_names: expected each class once, but {twice!r} stands there "
            f"{names.count(twice)} times; give each class its own name"
        )
    return names


def _found_names(labels: np.ndarray, num_classes: int, where: str) -> tuple[str, ...]:
    found = sorted({_text(label) for label in labels.reshape(len(labels)).tolist()})
    if len(found) != num_classes:
        raise InputError(
            f"{where}: expected labels of {num_classes} classes, as many as the model "
            f"answers, but they name {len(found)} ({_listed(found)}); correct the "
            "model's last layer, or give all classes as `class_names`"
        )
    return tuple(found)


def _are_texts(labels: np.ndarray) -> bool:
    return all(isinstance(label, str | bytes) for label in labels.ravel().tolist())


def _text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


def _check_one_column(labels: np.ndarray, num_classes: int, where: str) -> None:
    if labels.size != len(labels):
        raise InputError(
            f"{where}: expected shape ({len(labels)},), or ({len(labels)}, "
            f"{num_classes}) if one-hot, but it is {labels.shape}; give each example "
            "one label"
        )


def _check_rows(labels: np.ndarray, num_classes: int, where: str) -> None:
    if labels.shape[1] != num_classes:
        raise InputError(
            f"{where}: expected one-hot rows of {num_classes} numbers, one for each "
            f"class that the model answers, but they have {labels.shape[1]}; correct "
            "the labels, or the units of the model's last layer"
        )
    sums = labels.sum(axis=1, dtype=np.float64)
    # Soft labels (smoothed or mixed up) are mixtures of such rows.
    bad = ~((labels.min(axis=1) >= 0) & (np.abs(sums - 1) <= _ROUNDING))
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{where}: expected one-hot rows, none negative and each with the sum 1, "
            f"but {int(bad.sum())} of {len(labels)} rows are not (row {row} sums to "
            f"{sums[row]:.4g}); give each example exactly one class"
        )


def _check_whole(labels: np.ndarray, where: str) -> None:
    if labels.dtype.kind != "f":
        return
    whole = np.isfinite(labels) & (labels == np.round(labels))
    if whole.all():
        return
    row = int((~whole).reshape(len(labels)).argmax())
    raise InputError(
        f"{where}: expected class ids, but {int((~whole).sum())} of {len(labels)} "
        f"labels are no whole numbers (row {row} is {labels.ravel()[row]:.6g}); scale "
        "the inputs, never the labels, and leave out examples without a label"
    )


def _listed(names: Sequence[Any] | dict[Any, int]) -> str:
    names = list(map(str, names))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
