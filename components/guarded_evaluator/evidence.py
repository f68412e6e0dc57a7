# SPDX-License-Identifier: Apache-2.0
"""All that a decision rests on."""

import dataclasses
from collections.abc import Callable, Iterable

from components.findings import Finding
from components.guarded_evaluator.config import EvaluationConfig
from components.records.evaluation import EvaluationRecord, ModelResult, PairedResult
from components.records.training import BatchNormDrift, TrainingRecord

FOUND_BY = "GuardedEvaluator"
"""Begins the name under which every check reports."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that a decision rests on.

    Attributes:
      config: The limits.
      evaluation: What the evaluator measured.
      training: What the trainer recorded; None for a model trained elsewhere.
      upstream: Findings of the data validators and the trainer, and of the user's own
        thresholds. All of them belong here, so that what explains a failure can be
        found among them.
      batch_norm: Drift of the BatchNorm layers, the worst first, where it was measured
        on the model itself; else that of the training record counts.
      slice: The slice that is looked at, as `feature=value`; empty for whole splits.
    """

    config: EvaluationConfig
    evaluation: EvaluationRecord
    training: TrainingRecord | None = None
    upstream: tuple[Finding, ...] = ()
    batch_norm: tuple[BatchNormDrift, ...] = ()
    slice: str = ""

    def result(self, model: str, split: str) -> ModelResult:
        """Returns a measured result, of the slice that is looked at.

        Raises:
          LookupError: If the model was not measured on the split.
        """
        result = self.evaluation.result(model, split, self.slice)
        if result is None:
            where = f" in the slice {self.slice}" if self.slice else ""
            raise LookupError(
                f"there are no metrics of the {model} model on the split {split!r}"
                f"{where}; it may be empty"
            )
        return result

    def pair(self, other: str, split: str) -> PairedResult | None:
        """Returns a comparison of the slice that is looked at; None if not measured."""
        return self.evaluation.pair(other, split, self.slice)


Check = Callable[[Evidence], Iterable[Finding]]
"""Judges one thing: evidence in, findings out."""
