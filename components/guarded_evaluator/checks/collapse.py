# SPDX-License-Identifier: Apache-2.0
"""Checks that the answers depend on the input, and that no class is overlooked."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import stats

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import (
    class_counts,
    is_all_broken,
    listing,
    mean_recall,
)
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.decision import Evidence
from components.guarded_evaluator.intervals import upper_bound
from components.records.evaluation import CANDIDATE


def check_collapse(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when one class is answered to almost everything."""
    collapsed = _collapsed(evidence)
    if collapsed is None:
        return
    k, leaving, outside = collapsed
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    true, predicted = class_counts(result)
    names = evidence.evaluation.class_names
    never = [names[j] for j in range(len(true)) if true[j] and not predicted[j]]
    yield find(
        "collapse",
        f"The model answers {names[k]!r} to {predicted[k]} of {predicted.sum()} "
        f"{result.split} examples, of which {true[k]} are; it finds another class in "
        f"{leaving} of {outside} cases.",
        subject=Subject(split=result.split, class_name=names[k]),
        measured=leaving / outside,
        limit=evidence.config.min_leaving_share,
        unit="share",
        evidence={"never_predicted": never[:20]},
    )


def check_constant_output(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the probabilities do not depend on the input."""
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    if class_counts(result)[0].sum() < 2:
        return  # One example has no spread; `check_enough_examples` blocks it.
    spread = max(result.output_spread)
    # Written so that NaN blocks.
    if not spread >= evidence.config.min_output_spread:
        yield find(
            "constant_output",
            f"Over {result.num_examples} {result.split} examples no class's "
            f"probability varies by more than {spread:.2g} (standard deviation).",
            subject=Subject(split=result.split),
            measured=spread,
            limit=evidence.config.min_output_spread,
            unit="probability",
        )


def check_dead_classes(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when classes are never predicted or hardly ever recognised.

    Warns where it looks so, but the examples of the class are too few to be sure.
    Nothing is added where the model has collapsed: then all classes but one are
    dead, which the collapse says.
    """
    if _collapsed(evidence) is not None:
        return
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    true, predicted = class_counts(result)
    classes = [
        _Class(name, result.confusion[k][k], count, int(predicted[k]))
        for k, (name, count) in enumerate(
            zip(evidence.evaluation.class_names, true.tolist(), strict=True)
        )
        if count
    ]
    suspected = [c for c in classes if c.is_suspected(evidence.config)]
    dead = [c for c in suspected if c.is_dead(int(true.sum()), evidence.config)]
    if dead:
        yield _overlooked(dead, len(classes), evidence, Severity.BLOCK)
    doubtful = [c for c in suspected if c not in dead]
    if doubtful:
        yield _overlooked(doubtful, len(classes), evidence, Severity.WARN)


def check_signal(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the mean recall over the classes is no better than guessing.

    The mean recall (balanced accuracy) of any answer that ignores the input is 1/K,
    whatever the class shares; a model must lie above that beyond noise. Where the
    examples are so few that a model half way between guessing and perfection could
    not be told apart from it either, that is what is said.
    """
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    present = np.flatnonzero(class_counts(result)[0]).tolist()
    if len(present) < 2:
        return  # `check_enough_examples` blocks it.
    balanced, error = mean_recall(result, present)
    margin = float(stats.norm.ppf(config.confidence)) * error
    low, high = balanced - margin, balanced + margin
    guessing = 1 / len(present)
    if low > guessing:
        return
    is_unknown = high >= (1 + guessing) / 2
    yield find(
        "insufficient_evidence" if is_unknown else "no_signal",
        f"The mean recall over {len(present)} classes is {balanced:.1%} on "
        f"{result.num_examples} {result.split} examples, between {max(low, 0):.1%} and "
        f"{min(high, 1):.1%} at {config.confidence:.0%} confidence; guessing gives "
        f"{guessing:.1%}.",
        subject=Subject(split=result.split),
        measured=balanced,
        limit=guessing,
        unit="mean recall",
        evidence={"lower_bound": low, "upper_bound": high},
    )


def _collapsed(evidence: Evidence) -> tuple[int, int, int] | None:
    """Returns the one answered class, predictions outside it and examples outside.

    None where the model has not collapsed, or the sample is too small to say so:
    the predictions must be too few for a model that leaves the class even half as
    often as it should.
    """
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    if is_all_broken(result):
        return None
    true, predicted = class_counts(result)
    total = int(true.sum())
    k = int(np.argmax(predicted))
    leaving, outside = total - int(predicted[k]), total - int(true[k])
    if not outside or leaving / outside >= config.min_leaving_share:
        return None
    chance = float(stats.binom.cdf(leaving, total, 0.5 * outside / total))
    return (k, leaving, outside) if chance <= config.alpha else None


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

    def is_dead(self, total: int, config: EvaluationConfig) -> bool:
        """Returns whether a suspected class is surely overlooked."""
        # A model that answered the class half as often as it occurs would do so at
        # least once.
        chance = float(stats.binom.pmf(0, total, 0.5 * self.num_examples / total))
        if not self.num_predicted and chance <= config.alpha:
            return True
        # Held against twice the limit: to tell a recall of 0 from the limit itself
        # takes 44 examples, and a class of which 30 are all missed is not healthy.
        limit = config.min_class_recall
        healthier = min(2 * limit, (1 + limit) / 2)
        high = upper_bound(self.hits, self.num_examples, config.confidence)
        return self.hits / self.num_examples < limit and high <= healthier


def _overlooked(
    classes: list[_Class], num_classes: int, evidence: Evidence, severity: Severity
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
