# SPDX-License-Identifier: Apache-2.0
"""Turns what was measured into findings; knows neither TFX nor files.

Each check is a function of the evidence. A check that raises becomes a blocking
finding of its own: what could not be judged is not let through.
"""

import dataclasses
from collections.abc import Callable, Iterable

from components.findings import Finding, Verdict, failed_check
from components.guarded_evaluator.config import EvaluationConfig
from components.records.evaluation import EvaluationRecord, ModelResult
from components.records.training import TrainingRecord


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that a decision rests on.

    Attributes:
      config: The limits.
      evaluation: What the evaluator measured.
      training: What the trainer recorded; None for a model trained elsewhere.
      upstream: Findings of the data validators and the trainer.
    """

    config: EvaluationConfig
    evaluation: EvaluationRecord
    training: TrainingRecord | None = None
    upstream: tuple[Finding, ...] = ()

    def result(self, model: str, split: str) -> ModelResult:
        """Returns a measured result.

        Raises:
          LookupError: If the model was not measured on the split.
        """
        result = self.evaluation.result(model, split)
        if result is None:
            raise LookupError(
                f"there are no metrics of the {model} model on the split {split!r}; "
                "the split may be empty"
            )
        return result


Check = Callable[[Evidence], Iterable[Finding]]


def decide(evidence: Evidence, checks: Iterable[Check]) -> Verdict:
    """Runs every check and gathers the findings, those from upstream included.

    A check that raises blocks; what it had found before counts, and the others run.
    """
    return Verdict.of(evidence.upstream, *(_run(check, evidence) for check in checks))


def _run(check: Check, evidence: Evidence) -> tuple[Finding, ...]:
    name = f"GuardedEvaluator: {check.__name__.removeprefix('check_')}"
    findings = []
    try:
        for finding in check(evidence):
            findings.append(finding.model_copy(update={"found_by": name}))
    except Exception as error:
        findings.append(failed_check(name, error))
    return tuple(findings)
