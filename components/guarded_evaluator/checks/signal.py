# SPDX-License-Identifier: Apache-2.0
"""Checks that the answers tell something about the label."""

from collections.abc import Iterator

import numpy as np

from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.collapse import (
    find_collapse,
    spread_limit,
)
from components.guarded_evaluator.checks.counts import (
    MEAN_RECALL,
    class_counts,
    gain_over_guessing,
    is_all_broken,
    mean_recall,
)
from components.guarded_evaluator.evidence import Evidence
from components.guarded_evaluator.intervals import independence_p_value
from components.records.evaluation import CANDIDATE


def check_signal(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the mean recall over the classes is no better than guessing.

    The mean recall (balanced accuracy) of any answer that ignores the input is 1/K,
    whatever the class shares; a model must lie above that beyond noise, by the
    permutation test of independence, which holds for any number of examples. Where
    the examples are so few that a model half way between guessing and perfection could
    not be told apart from it either, that is what is said.

    However weak a signal is, it is one: some tasks allow no more. Whether it is enough
    is for `min_accuracy` to say; that little was learnt, `check_underfit` says.
    """
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    present = np.flatnonzero(class_counts(result)[0]).tolist()
    if len(present) < 2:
        return  # `check_enough_examples` blocks it.
    p_value = independence_p_value(np.array(result.confusion))
    if p_value <= config.alpha:
        return
    balanced = mean_recall(result, present)
    margin = balanced.margin(config.confidence)
    low, high = max(balanced.mean - margin, 0.0), min(balanced.mean + margin, 1.0)
    guessing = 1 / len(present)
    is_unknown = high >= (1 + guessing) / 2
    yield find(
        "insufficient_evidence" if is_unknown else "no_signal",
        f"The mean recall over {len(present)} classes is {balanced.mean:.1%} on "
        f"{result.num_examples} {result.split} examples, between {low:.1%} and "
        f"{high:.1%} at {config.confidence:.0%} confidence; guessing gives "
        f"{guessing:.1%}{_on_train(evidence)}.",
        subject=Subject(split=result.split),
        measured=balanced.mean,
        limit=guessing,
        unit=MEAN_RECALL,
        evidence={"lower_bound": low, "upper_bound": high, "p_value": p_value},
    )


def check_underfit(evidence: Evidence) -> Iterator[Finding]:
    """Warns when the model does poorly on the very examples it has trained on.

    Nothing is added where it has collapsed or answers the same to everything.
    """
    config = evidence.config
    result = evidence.result(CANDIDATE, config.train_split)
    if is_all_broken(result):
        return
    gain = gain_over_guessing(result)
    present = np.flatnonzero(class_counts(result)[0]).tolist()
    if (
        gain is None
        or find_collapse(result, config) is not None
        or not max(result.output_spread)
        >= spread_limit(len(result.output_spread), config)
    ):
        return
    balanced, guessing = mean_recall(result, present), 1 / len(present)
    high = gain + balanced.margin(config.confidence) / (1 - guessing)
    if high < config.min_train_gain:
        yield find(
            "underfit",
            f"On {result.num_examples} examples it has trained on, the model's mean "
            f"recall over {len(present)} classes is {balanced.mean:.1%}, which is "
            f"{gain:.1%} of the way from guessing ({guessing:.1%}) to perfection.",
            subject=Subject(split=result.split),
            measured=gain,
            limit=config.min_train_gain,
            unit="share of the way from guessing to perfection",
            evidence={"upper_bound": high},
        )


def _on_train(evidence: Evidence) -> str:
    train = evidence.evaluation.result(CANDIDATE, evidence.config.train_split)
    if train is None or not train.num_examples or is_all_broken(train):
        return ""
    present = np.flatnonzero(class_counts(train)[0]).tolist()
    share = mean_recall(train, present).mean
    return f". On {train.num_examples} {train.split} examples it is {share:.1%}"
