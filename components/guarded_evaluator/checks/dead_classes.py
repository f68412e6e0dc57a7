# SPDX-License-Identifier: Apache-2.0
"""Checks that no class is overlooked."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.collapse import find_collapse
from components.guarded_evaluator.checks.counts import class_counts, listing
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.evidence import Evidence
from components.guarded_evaluator.intervals import upper_bound
from components.records.evaluation import CANDIDATE


def check_dead_classes(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when classes are never predicted or hardly ever recognised.

    Warns where it looks so, but the examples of the class are too few to be sure. Each
    class is a test of its own, so that the evidence asked for grows with their number
    (Bonferroni). Of many classes with few examples each, none may be sure, and yet
    more of them never be predicted than chance can explain: then that blocks.

    Nothing is added where the model has collapsed: then all classes but one are
    dead, which the collapse says.
    """
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    if find_collapse(result, config) is not None:
        return
    true, predicted = class_counts(result)
    classes = [
        _Class(name, result.confusion[k][k], count, int(predicted[k]))
        for k, (name, count) in enumerate(
            zip(evidence.evaluation.class_names, true.tolist(), strict=True)
        )
        if count
    ]
    total, alpha = int(true.sum()), config.alpha / max(len(classes), 1)
    suspected = [c for c in classes if c.is_suspected(config)]
    never = [c for c in suspected if not c.num_predicted]
    dead = [
        c
        for c in suspected
        if c.is_dead(alpha, config) or c.never_predicted(total) <= alpha
    ]
    if len(never) > 1 and _too_many(never, classes, total) <= config.alpha:
        dead = [c for c in suspected if c in dead or c in never]
    if dead:
        yield _overlooked(dead, len(classes), evidence, Severity.BLOCK)
    doubtful = [c for c in suspected if c not in dead]
    if doubtful:
        yield _overlooked(doubtful, len(classes), evidence, Severity.WARN)


@dataclasses.dataclass(frozen=True)
class _Class:
    """What became of the examples of one class."""

    name: str
    hits: int
    num_examples: int
    num_predicted: int

    def is_suspected(self, config: EvaluationConfig) -> bool:
        """Returns whether the class looks overlooked."""
        return (
            not self.num_predicted
            or self.hits / self.num_examples < config.min_class_recall
        )

    def never_predicted(self, total: int) -> float:
        """Returns how likely chance leaves the class unanswered; 1 where it is not.

        Of a model that answers it half as often as it occurs.
        """
        if self.num_predicted:
            return 1.0
        return float(stats.binom.pmf(0, total, 0.5 * self.num_examples / total))

    def is_dead(self, alpha: float, config: EvaluationConfig) -> bool:
        """Returns whether the recall of the class is surely too small."""
        # Held against twice the limit: to tell a recall of 0 from the limit itself
        # takes 44 examples, and a class of which 30 are all missed is not healthy.
        limit = config.min_class_recall
        healthier = min(2 * limit, (1 + limit) / 2)
        high = upper_bound(self.hits, self.num_examples, 1 - alpha)
        return self.hits / self.num_examples < limit and high <= healthier


def _too_many(never: Sequence[_Class], classes: Sequence[_Class], total: int) -> float:
    """Returns how likely chance leaves as many classes unanswered.

    Of a model that answers each class half as often as it occurs; a sum of rare events
    is at most as spread as Poisson's distribution of the same mean.
    """
    shares = np.array([c.num_examples for c in classes]) / total
    expected = float(np.sum((1 - 0.5 * shares) ** total))
    return float(stats.poisson.sf(len(never) - 1, expected))


def _overlooked(
    classes: Sequence[_Class], num_classes: int, evidence: Evidence, severity: Severity
) -> Finding:
    listed = [
        f"{c.name!r} ({c.hits} of {c.num_examples} found"
        f"{'' if c.num_predicted else ', never predicted'})"
        for c in classes
    ]
    doubt = "" if severity is Severity.BLOCK else "; so few examples may be chance"
    return find(
        "dead_class",
        f"{len(classes)} of {num_classes} classes are never or hardly ever recognised "
        f"in the {evidence.config.eval_split} split: {listing(listed)}{doubt}.",
        severity=severity,
        subject=Subject(
            split=evidence.config.eval_split,
            class_name=classes[0].name if len(classes) == 1 else None,
        ),
        measured=max(c.hits / c.num_examples for c in classes),
        limit=evidence.config.min_class_recall,
        unit="recall",
        evidence={"classes": [c.name for c in classes[:100]]},
    )
