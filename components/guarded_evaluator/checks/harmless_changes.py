# SPDX-License-Identifier: Apache-2.0
"""Checks that answers survive changes of the input that nobody would notice."""

from collections.abc import Iterator

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import accuracy_of, is_all_broken
from components.guarded_evaluator.evidence import Evidence
from components.guarded_evaluator.intervals import lower_bound
from components.records.evaluation import CANDIDATE, PERTURBED_PREFIX, PairedResult


def check_harmless_changes(evidence: Evidence) -> Iterator[Finding]:
    """Warns when a harmless change turns right answers wrong; blocks if most.

    It blocks where as much accuracy is surely lost as `max_destroyed_share` of the
    right answers. Each change is a test of its own (Bonferroni). One finding, of the
    worst change.
    """
    config = evidence.config
    if is_all_broken(evidence.result(CANDIDATE, config.eval_split)):
        return
    if not config.max_perturbed_examples:
        return
    pairs = [
        pair
        for pair in evidence.evaluation.pairs
        if pair.other.startswith(PERTURBED_PREFIX)
        and (pair.split, pair.slice) == (config.eval_split, evidence.slice)
        and pair.num_examples
    ]
    if not pairs:
        yield find(
            "check_failed",
            "No example was asked about with harmless changes, so nothing is known of "
            "whether they flip answers.",
            severity=Severity.INFO,
            remedy="Nothing where the inputs are neither pictures nor fractional "
            "numbers: there is nothing to change harmlessly.",
            subject=Subject(split=config.eval_split, model=CANDIDATE),
        )
        return
    confidence = 1 - config.alpha / len(pairs)
    worst = max(
        pairs, key=lambda pair: (_flipped(pair, confidence), _share(pair), pair.other)
    )
    if _flipped(worst, confidence) <= config.max_flipped_share:
        return
    is_destroyed = _lost(worst, confidence) > config.max_destroyed_share
    change = worst.other.removeprefix(PERTURBED_PREFIX).replace("_", " ")
    right = worst.both_right + worst.only_candidate_right
    yield find(
        "fragile_preprocessing",
        f"A harmless change of the input ({change}) makes "
        f"{worst.only_candidate_right} of {right} right answers wrong; the accuracy on "
        f"these {worst.num_examples} {worst.split} examples goes from "
        f"{accuracy_of(worst, worst.only_candidate_right):.1%} to "
        f"{accuracy_of(worst, worst.only_other_right):.1%}.",
        severity=Severity.BLOCK if is_destroyed else Severity.WARN,
        subject=Subject(split=worst.split, model=worst.other),
        measured=_share(worst),
        limit=(
            config.max_destroyed_share if is_destroyed else config.max_flipped_share
        ),
        unit="share of the right answers",
        evidence={
            "lower_bound": _flipped(worst, confidence),
            "flipped_shares": {pair.other: _share(pair) for pair in pairs[:50]},
        },
    )


def _share(pair: PairedResult) -> float:
    right = pair.both_right + pair.only_candidate_right
    return pair.only_candidate_right / right if right else 0.0


def _flipped(pair: PairedResult, confidence: float) -> float:
    """Returns the share of the right answers that surely turn wrong."""
    right = pair.both_right + pair.only_candidate_right
    return lower_bound(pair.only_candidate_right, right, confidence)


def _lost(pair: PairedResult, confidence: float) -> float:
    """Returns the same, without those that are made up for by wrong ones set right."""
    right = pair.both_right + pair.only_candidate_right
    net = max(pair.only_candidate_right - pair.only_other_right, 0)
    return lower_bound(net, right, confidence)
