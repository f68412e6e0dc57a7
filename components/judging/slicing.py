# SPDX-License-Identifier: Apache-2.0
"""Says which rows of a batch lie in which slice of the data."""

from collections.abc import Iterator

import numpy as np

from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.slicing import too_many_values
from components.judging.data.source import JudgedData, JudgedSplit, NoCategory
from components.records.evaluation import UnjudgedSlice

WHOLE = ""
"""Name of the whole split among the slices."""


class Slicing:
    """The slices of both splits, and which rows they hold."""

    def __init__(self, data: JudgedData, config: EvaluationConfig):
        """Reads the values of the features that are sliced by.

        Args:
          data: The examples.
          config: Names the features, and says how many values they may have.

        Raises:
          InputError: If there is no such feature.
        """
        self.unjudged: tuple[UnjudgedSlice, ...] = ()
        self._values: dict[str, list[tuple[str, np.ndarray]]] = {
            split.name: [] for split in (data.train, data.eval)
        }
        for feature in config.slices:
            self._read(feature, data, config)

    def rows(
        self, split: JudgedSplit, positions: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each slice and which of a batch's rows it holds, bool of shape (B,).

        The whole split comes first. Slices that hold none of them are left out.
        """
        yield WHOLE, np.ones(len(positions), bool)
        for feature, all_values in self._values[split.name]:
            values = all_values[positions]
            for value in sorted({value for value in values if value is not None}):
                yield f"{feature}={value}", values == value

    def _read(self, feature: str, data: JudgedData, config: EvaluationConfig) -> None:
        try:
            judged, learnt = (
                np.array(split.slice_values(feature), object)
                for split in (data.eval, data.train)
            )
        except NoCategory as error:
            self._leave_out(feature, str(error))
            return
        known = set(judged.tolist()) | set(learnt.tolist())
        if len(known - {None}) > config.max_slices:
            self._leave_out(feature, too_many_values(config.max_slices))
            return
        self._values[data.eval.name].append((feature, judged))
        self._values[data.train.name].append((feature, learnt))

    def _leave_out(self, slice: str, reason: str) -> None:
        self.unjudged = (*self.unjudged, UnjudgedSlice(slice=slice, reason=reason))
