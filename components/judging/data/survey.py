# SPDX-License-Identifier: Apache-2.0
"""One look at all rows, before they are stored: labels, and levels of pictures."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from components.errors import InputError
from components.guarded_trainer.reading.label_formats import LabelFormat, read_format
from components.judging.data import nesting
from components.judging.data.chunks import Chunk, Rows
from components.judging.data.leaves import as_bytes
from components.judging.data.nesting import Path
from components.judging.data.pixels import LevelFinder, may_be_pictures

_MAX_CLASSES = 100_000
"""Class ids beyond which labels are taken for a quantity."""


@dataclasses.dataclass
class Survey:
    """What one look at all rows has found."""

    first: Chunk
    finders: dict[Path, LevelFinder]
    texts: set[str] = dataclasses.field(default_factory=set)
    largest: int = 0

    def add(self, chunk: Chunk, *, names_classes: bool) -> None:
        """Looks at some rows.

        Args:
          chunk: The rows.
          names_classes: Whether texts among their labels are classes of the model.
        """
        labels = chunk.labels
        if labels.dtype.kind in "OSU":
            if names_classes:
                self.texts |= {
                    as_bytes(x).decode("utf-8", "replace") for x in labels.ravel()
                }
        elif labels.ndim == 2 and labels.shape[1] > 1:
            self.largest = max(self.largest, labels.shape[1] - 1)
        else:
            with np.errstate(invalid="ignore"):
                self.largest = max(self.largest, int(np.nan_to_num(labels.max())))
        for path, array in nesting.arrays_of(chunk.inputs):
            if path in self.finders:
                self.finders[path].add(array)

    def label_format(
        self, num_classes: int | None, class_names: Sequence[str] | None, where: str
    ) -> LabelFormat:
        """Tells how labels stand for classes, by those of the training split."""
        labels = self.first.labels
        if self.texts:
            labels = np.array(sorted(self.texts), object)
        count = num_classes or len(class_names or self.texts) or self.largest + 1
        if count > _MAX_CLASSES:
            raise InputError(
                f"{where}: expected class ids from 0, but the largest label is "
                f"{self.largest}; number the classes from 0 (regression is not "
                "supported)"
            )
        return read_format(labels, count, class_names, where)


def survey_rows(train: Rows, evaluation: Rows) -> Survey:
    """Looks at the rows of both splits.

    Raises:
      InputError: If there are none, or they cannot be read.
    """
    survey: Survey | None = None
    for rows in (train, evaluation):
        for chunk in rows.chunks():
            if survey is None:
                survey = Survey(chunk, _finders(chunk))
            survey.add(chunk, names_classes=rows is train)
    if survey is None:
        raise InputError("train: expected examples, but there are none; give some")
    return survey


def _finders(chunk: Chunk) -> dict[Path, LevelFinder]:
    return {
        path: LevelFinder()
        for path, array in nesting.arrays_of(chunk.inputs)
        if may_be_pictures(array.shape[1:], array.dtype)
    }
