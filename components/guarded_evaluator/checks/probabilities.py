# SPDX-License-Identifier: Apache-2.0
"""Checks that the outputs are probabilities, and honest ones."""

from collections.abc import Iterator

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.counts import hits_of, is_all_broken
from components.guarded_evaluator.evidence import Evidence
from components.guarded_evaluator.intervals import lower_bound, upper_bound
from components.records.evaluation import CANDIDATE, SATURATION, ModelResult

_TOLERANCE = 0.01
"""By which outputs may miss the form of probabilities; as `num_not_probabilities`."""


def check_probabilities(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when outputs are no distribution over the classes.

    Not a matter of chance: a softmax misses a sum of 1 by 0.001 at most, even in half
    precision. The finding says what they seem to be instead, by their range.
    """
    config = evidence.config
    for split in (config.eval_split, config.train_split):
        result = evidence.result(CANDIDATE, split)
        count = result.num_not_probabilities
        if not count:
            continue
        kind, remedy = _kind(result)
        low, high = result.output_range or (float("nan"), float("nan"))
        yield find(
            "not_probabilities",
            f"The outputs for {count} of {result.num_examples} {split} examples are no "
            f"class probabilities: they lie between {low:.4g} and {high:.4g}{kind}.",
            remedy=remedy,
            subject=Subject(split=split, model=CANDIDATE),
            measured=count,
            limit=0,
            unit="examples",
            evidence={"output_range": [low, high]},
        )
        return  # One split says it.


def _kind(result: ModelResult) -> tuple[str, str | None]:
    """Returns what outputs seem to be, and what to change."""
    low, high = result.output_range or (float("nan"), float("nan"))
    softmax = (
        "End the model with a softmax, or put one behind it: "
        "`keras.Sequential([model, keras.layers.Softmax()])`."
    )
    if len(result.confusion) < 2:
        return (
            ", from a single output",
            "Give the model one softmax unit per class, or one sigmoid unit for two "
            "classes.",
        )
    if low < -_TOLERANCE and high <= _TOLERANCE:
        return (
            ", none of them above 0: they seem to be log-probabilities",
            "Serve their exponential: end with a softmax instead of a log-softmax.",
        )
    if low < -_TOLERANCE:
        return (
            ", on both sides of 0: they seem to be logits",
            f"{softmax} Where its loss took them for probabilities, train with "
            "`from_logits=True`.",
        )
    if high > 1 + _TOLERANCE:
        return (
            ", above 1 and not below 0: they seem to be scores or percentages",
            softmax,
        )
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        return (
            ", but their sum is not 1: they seem to be independent sigmoid units",
            "For classes of which one is right, end the model with a softmax and train "
            "with categorical cross-entropy; several labels per example are not judged "
            "here.",
        )
    return "", None


def check_calibration(evidence: Evidence) -> Iterator[Finding]:
    """Warns when the model is far more certain than it is right.

    By the mean highest probability against the accuracy; and, where many answers are
    saturated, by how many of those are wrong. One finding, of the wider gap.
    """
    config = evidence.config
    result = evidence.result(CANDIDATE, config.eval_split)
    if is_all_broken(result) or result.num_not_probabilities:
        return
    if not result.calibration:
        yield find(
            "check_failed",
            f"The confidence of the answers on the {result.split} split was not "
            "measured, so nothing is known of whether it is deserved.",
            severity=Severity.WARN,
            remedy="Evaluate again with this version.",
            subject=Subject(split=result.split, model=CANDIDATE),
        )
        return
    hits, count = hits_of(result)
    # Of a calibrated model, the number of right answers is spread at most as a
    # binomial one of the same mean (Hoeffding 1956): the bound is on the safe side.
    gap = result.mean_confidence - hits / count
    low = result.mean_confidence - upper_bound(hits, count, config.confidence)
    saturated = _wrong_but_saturated(result)
    wrong = lower_bound(saturated, result.num_saturated, config.confidence)
    sure_but_wrong = wrong - (1 - SATURATION)
    if max(low, sure_but_wrong) <= config.max_confidence_gap:
        return
    told = ""
    if sure_but_wrong > config.max_confidence_gap:
        told = (
            f"; of {result.num_saturated} answers with a probability of at least "
            f"{SATURATION}, {saturated} or more are wrong"
        )
    yield find(
        "miscalibrated",
        f"On {result.num_examples} {result.split} examples the mean highest "
        f"probability is {result.mean_confidence:.1%}, but {hits / count:.1%} of the "
        f"answers are right{told}.",
        subject=Subject(split=result.split),
        measured=max(gap, sure_but_wrong) if told else gap,
        limit=config.max_confidence_gap,
        unit="probability",
        evidence={
            "lower_bound": low,
            "expected_calibration_error": result.calibration_error,
            "num_saturated": result.num_saturated,
            "num_saturated_wrong": saturated,
        },
    )


def _wrong_but_saturated(result: ModelResult) -> int:
    """Returns how many saturated answers must be wrong.

    The last bin holds the saturated answers and others; of its wrong ones, at most the
    others are not saturated.
    """
    last = result.calibration[-1]
    wrong = last.num_examples - last.num_right
    return max(0, wrong - (last.num_examples - result.num_saturated))
