# SPDX-License-Identifier: Apache-2.0
"""Checks that the model is as good on new examples as on those it knows."""

from collections.abc import Iterator

import numpy as np

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import (
    ACCURACY,
    Gap,
    accuracy_gap,
    accuracy_of,
    hits_of,
    is_all_broken,
    p_value,
    recall_gap,
    standardized_gap,
)
from components.guarded_evaluator.config import EvaluationConfig
from components.guarded_evaluator.evidence import Evidence
from components.guarded_evaluator.intervals import (
    difference_lower_bound,
    lower_bound,
    paired_difference_lower_bound,
    upper_bound,
)
from components.records.evaluation import BASELINE, CANDIDATE, ModelResult, PairedResult

_MAYBE_SAMPLED = 0.9
"""Share of `max_train_examples` from which the training examples may be a sample; it
is drawn by hash, and so misses that number by a little."""


def check_overfit(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the training split does much better than the evaluation split.

    In accuracy, or in mean recall over the classes: what is learnt by heart of a rare
    class hardly shows in accuracy. Accuracy counts only if it falls for the same mix
    of classes as well: a model that answers the frequent class does better where that
    is more frequent. Reports one gap only, that of accuracy if it is as certain.
    """
    config = evidence.config
    limit = config.max_generalization_gap
    train = evidence.result(CANDIDATE, config.train_split)
    judged = evidence.result(CANDIDATE, config.eval_split)
    if is_all_broken(train) or is_all_broken(judged):
        return
    accuracy = _accuracy_gap(train, judged, config)
    recall = recall_gap(train, judged, config.confidence)
    # The mean recall of a few examples is noise; it counts where it is certain.
    gaps = [accuracy] if _is_gap(train, judged, accuracy, limit) else []
    if recall is not None and recall.low > limit:
        gaps.append(recall)
    if not gaps:
        return
    # The first of equals: accuracy, if it tells as much.
    gap = max(gaps, key=lambda gap: gap.low > limit)
    yield find(
        "overfit",
        f"The {gap.measure} is {gap.better:.1%} on {train.num_examples} training "
        f"examples and {gap.worse:.1%} on {judged.num_examples} evaluation examples; "
        f"the gap is at least {max(gap.low, 0):.1%} at {config.confidence:.0%} "
        "confidence.",
        severity=Severity.BLOCK if gap.low > limit else Severity.WARN,
        subject=Subject(split=judged.split),
        measured=gap.size,
        limit=limit,
        unit=gap.measure,
        evidence={"lower_bound": gap.low},
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
            unit=ACCURACY,
            evidence={"lower_bound": lower_bound(*hits_of(result), config.confidence)},
        )
    pair = evidence.pair(BASELINE, config.eval_split)
    if pair is not None and config.max_accuracy_drop is not None:
        yield from find_drop(pair, config.max_accuracy_drop, evidence)


def find_drop(
    pair: PairedResult, limit: float, evidence: Evidence
) -> Iterator[Finding]:
    """Yields by how much the model in production is better, if it surely is.

    The limit is so small that noise crosses it easily: so the two measures share the
    chance of an error (Bonferroni), and half of the limit must be sure.
    """
    alpha = evidence.config.alpha / 2
    drop = accuracy_gap(pair)
    recall = recall_gap(
        evidence.result(BASELINE, pair.split),
        evidence.result(CANDIDATE, pair.split),
        1 - alpha,
    )
    gaps = []
    low = paired_difference_lower_bound(
        pair.only_candidate_right, pair.only_other_right, pair.num_examples, 1 - alpha
    )
    if drop > limit and low > limit / 2:
        of_candidate = accuracy_of(pair, pair.only_candidate_right)
        of_baseline = accuracy_of(pair, pair.only_other_right)
        gaps.append((ACCURACY, of_candidate, of_baseline, drop))
    if recall is not None and recall.low > limit:
        gaps.append((recall.measure, recall.worse, recall.better, recall.size))
    if not gaps:
        return
    measure, worse, better, size = gaps[0]
    yield find(
        "below_threshold",
        f"On the same {pair.num_examples} {pair.split} examples the {measure} is "
        f"{worse:.1%}, that of the model in production {better:.1%}.",
        subject=Subject(split=pair.split, model=BASELINE),
        measured=size,
        limit=limit,
        unit=measure,
        evidence={"p_value": p_value(pair), "lower_bound": low},
    )


def _is_gap(
    train: ModelResult, judged: ModelResult, accuracy: Gap, limit: float
) -> bool:
    if accuracy.size <= limit:
        return False
    same_mix = standardized_gap(
        np.array(train.confusion), np.array(judged.confusion), 0.5
    )
    return same_mix is None or same_mix.size > limit


def _accuracy_gap(
    train: ModelResult, judged: ModelResult, config: EvaluationConfig
) -> Gap:
    """Returns how much accuracy is lost on new examples.

    The evaluation examples stand for all that are to come. The training examples stand
    for themselves, unless they are a sample of too many: how many of them the model
    knows is counted, not estimated. Over 30 to 150 training and 30 to 2,000 evaluation
    examples, at most 0.9 % of models that learnt nothing by heart are blocked.
    """
    (hits, count), (judged_hits, judged_count) = hits_of(train), hits_of(judged)
    # In integers but for the last step, so that a gap at the limit is not above it.
    size = (hits * judged_count - judged_hits * count) / (count * judged_count)
    low = difference_lower_bound(
        (hits, count), (judged_hits, judged_count), config.confidence
    )
    # A model that learnt nothing by heart may find few training examples easier than
    # others by chance: that the gap is none must be excluded as well.
    if low > 0 and count < _MAYBE_SAMPLED * config.max_train_examples:
        low = hits / count - upper_bound(judged_hits, judged_count, config.confidence)
    return Gap(ACCURACY, train.accuracy, judged.accuracy, size, low)
