# SPDX-License-Identifier: Apache-2.0
"""Checks that the model is as good on new examples as on those it knows."""

import math
from collections.abc import Iterator

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import (
    accuracy_gap,
    accuracy_of,
    hits_of,
    p_value,
)
from components.guarded_evaluator.decision import Evidence
from components.guarded_evaluator.intervals import difference_lower_bound, lower_bound
from components.records.evaluation import BASELINE, CANDIDATE


def check_overfit(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the training split does much better than the evaluation split."""
    config = evidence.config
    train = evidence.result(CANDIDATE, config.train_split)
    judged = evidence.result(CANDIDATE, config.eval_split)
    gap = train.accuracy - judged.accuracy
    if math.isnan(gap):
        raise ValueError("a split has no example with a finite prediction")
    if gap <= config.max_generalization_gap:
        return
    low = difference_lower_bound(hits_of(train), hits_of(judged), config.confidence)
    certain = low > config.max_generalization_gap
    yield find(
        "overfit",
        f"The accuracy is {train.accuracy:.1%} on {train.num_examples} training "
        f"examples and {judged.accuracy:.1%} on {judged.num_examples} evaluation "
        f"examples; the gap is at least {max(low, 0):.1%} at "
        f"{config.confidence:.0%} confidence.",
        severity=Severity.BLOCK if certain else Severity.WARN,
        subject=Subject(split=judged.split),
        measured=gap,
        limit=config.max_generalization_gap,
        unit="accuracy",
        evidence={"lower_bound": low},
    )


def check_thresholds(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when a bound that the configuration sets is missed."""
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    if config.min_accuracy is not None and not result.accuracy >= config.min_accuracy:
        yield find(
            "below_threshold",
            f"The accuracy on {result.num_examples} {result.split} examples is "
            f"{result.accuracy:.1%}; `min_accuracy` is {config.min_accuracy:.1%}.",
            subject=Subject(split=result.split),
            measured=result.accuracy,
            limit=config.min_accuracy,
            unit="accuracy",
            evidence={"lower_bound": lower_bound(*hits_of(result), config.confidence)},
        )
    pair = evidence.evaluation.pair(BASELINE, config.eval_split)
    if pair is None or config.max_accuracy_drop is None:
        return
    if accuracy_gap(pair) > config.max_accuracy_drop and p_value(pair) <= config.alpha:
        yield find(
            "below_threshold",
            f"On the same {pair.num_examples} {pair.split} examples the accuracy is "
            f"{accuracy_of(pair, pair.only_candidate_right):.1%}, that of the model in "
            f"production {accuracy_of(pair, pair.only_other_right):.1%}.",
            subject=Subject(split=pair.split, model=BASELINE),
            measured=accuracy_gap(pair),
            limit=config.max_accuracy_drop,
            unit="accuracy",
            evidence={"p_value": p_value(pair)},
        )
