# SPDX-License-Identifier: Apache-2.0
"""Sums up answers by split and slice, as the metrics of the pipeline do."""

import collections
from collections.abc import Collection

import numpy as np

from components.guarded_evaluator.metrics.outcomes import Outcomes
from components.guarded_evaluator.metrics.paired import NUM_FIELDS, paired_outcomes
from components.guarded_evaluator.results import make_pair, make_result
from components.records.evaluation import ModelResult, PairedResult

_Key = tuple[str, str, str]
"""Name of the model, of the split, of the slice."""


class Tally:
    """Sums of each model, and of each beside the candidate.

    What is kept does not grow with the examples.
    """

    def __init__(self) -> None:
        """Begins with nothing."""
        self._outcomes: dict[_Key, Outcomes] = collections.defaultdict(Outcomes.empty)
        self._pairs: dict[_Key, np.ndarray] = collections.defaultdict(
            lambda: np.zeros(NUM_FIELDS)
        )

    def add(self, key: _Key, class_ids: np.ndarray, answers: np.ndarray) -> None:
        """Adds what a model answers to a batch.

        Args:
          key: Model, split and slice.
          class_ids: True classes, shape (B,).
          answers: Shape (B, K).
        """
        self._outcomes[key].add_batch(class_ids, answers)

    def add_pair(
        self,
        key: _Key,
        class_ids: np.ndarray,
        of_candidate: np.ndarray,
        answers: np.ndarray,
    ) -> None:
        """Adds what the candidate and another model answer to a batch.

        Args:
          key: The other model, split and slice.
          class_ids: True classes, shape (B,).
          of_candidate: Shape (B, K).
          answers: Those of the other model, shape (B, K).
        """
        self._pairs[key] += paired_outcomes(class_ids, of_candidate, answers)

    def results(self, without: Collection[str] = ()) -> tuple[ModelResult, ...]:
        """Returns one result for each model, split and slice, sorted.

        Args:
          without: Models to leave out.
        """
        return tuple(
            make_result(name, split, outcomes, slice)
            for (name, split, slice), outcomes in sorted(self._outcomes.items())
            if name not in without
        )

    def pairs(self, without: Collection[str] = ()) -> tuple[PairedResult, ...]:
        """Returns one comparison for each other model, split and slice, sorted.

        Args:
          without: Models to leave out.
        """
        return tuple(
            make_pair(name, split, outcome, slice)
            for (name, split, slice), outcome in sorted(self._pairs.items())
            if name not in without
        )
