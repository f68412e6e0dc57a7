# SPDX-License-Identifier: Apache-2.0
"""Checks that the answers depend on the input."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import class_counts, is_all_broken
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.evidence import Evidence
from components.records.evaluation import CANDIDATE, ModelResult


class Collapse(NamedTuple):
    """A model that answers one class to almost everything.

    Attributes:
      answered: Id of that class.
      leaving: Answers that are another class.
      outside: Examples that are of another class, at least one.
    """

    answered: int
    leaving: int
    outside: int


def check_collapse(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when one class is answered to almost everything."""
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    collapsed = find_collapse(result, evidence.config)
    if collapsed is None:
        return
    k, leaving, outside = collapsed
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


def find_collapse(result: ModelResult, config: EvaluationConfig) -> Collapse | None:
    """Returns how a result has collapsed.

    None where it has not, or the sample is too small to say so: the predictions must
    be too few for a model that leaves the class even half as often as it should.

    Raises:
      ValueError: If there are no predictions at all.
    """
    if is_all_broken(result):
        return None
    true, predicted = class_counts(result)
    total, k = int(true.sum()), int(np.argmax(predicted))
    leaving, outside = total - int(predicted[k]), total - int(true[k])
    if not outside or leaving / outside >= config.min_leaving_share:
        return None
    chance = float(stats.binom.cdf(leaving, total, 0.5 * outside / total))
    return Collapse(k, leaving, outside) if chance <= config.alpha else None


def check_constant_output(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the probabilities do not depend on the input."""
    result = evidence.result(CANDIDATE, evidence.config.eval_split)
    if class_counts(result)[0].sum() < 2:
        return  # One example has no spread; `check_enough_examples` blocks it.
    spread = max(result.output_spread)
    limit = spread_limit(len(result.output_spread), evidence.config)
    # Written so that NaN blocks.
    if not spread >= limit:
        certain = result.num_saturated == result.num_examples > 0
        yield find(
            "constant_output",
            f"Over {result.num_examples} {result.split} examples no class's "
            f"probability varies by more than {spread:.2g} (standard deviation)"
            + ("; each answer is certain, as of a softmax over one unit." * certain)
            + "." * (not certain),
            subject=Subject(split=result.split),
            measured=spread,
            limit=limit,
            unit="probability",
        )


def spread_limit(num_classes: int, config: EvaluationConfig) -> float:
    """Returns the spread below which K outputs ignore the input.

    A perfect model of K equal classes has a spread of sqrt(K - 1) / K; the limit is
    the same share of that as it is of the 1 / 2 of two classes.
    """
    perfect = math.sqrt(max(num_classes - 1, 1)) / num_classes
    return config.min_output_spread * 2 * perfect


def could_vary(result: ModelResult, config: EvaluationConfig) -> bool:
    """Returns whether the labels differ so much that sound probabilities must vary."""
    true, _ = class_counts(result)
    total, outside = int(true.sum()), int(true.sum() - true.max())
    chance = float(stats.binom.pmf(0, total, 0.5 * outside / total)) if total else 1.0
    return chance <= config.alpha
