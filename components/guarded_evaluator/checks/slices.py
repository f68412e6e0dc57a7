# SPDX-License-Identifier: Apache-2.0
"""Checks that what holds of the whole split holds of each of its slices."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_evaluator.checks.collapse import (
    check_collapse,
    check_constant_output,
    could_vary,
)
from components.guarded_evaluator.checks.counts import (
    is_all_broken,
    listing,
    standardized_gap,
)
from components.guarded_evaluator.checks.dead_classes import check_dead_classes
from components.guarded_evaluator.checks.generalization import find_drop
from components.guarded_evaluator.checks.modes import find_mode_gap
from components.guarded_evaluator.evidence import Evidence
from components.records.evaluation import BASELINE, CANDIDATE

_MAX_TOLD = 5
"""Slices with the same failure that get a finding each; the others are counted."""


def check_slices(evidence: Evidence) -> Iterator[Finding]:
    """Blocks when the model fails in a slice and not, or not as surely, in the whole.

    A collapse, equal outputs, dead classes, a mode gap, an accuracy far below that of
    the rest, or one below that of the model in production. Of S slices each is held
    to a confidence of 1 - alpha / S (Bonferroni), so that noise in any of them passes
    for evidence as seldom as in one. Holm's steps would hardly gain anything, since
    failures are few, and leave no intervals; slices of several features overlap, which
    does Bonferroni no harm.

    What was asked for by name and cannot be judged blocks; slices that are too small
    are listed.
    """
    config, record = evidence.config, evidence.evaluation
    whole_split = evidence.result(CANDIDATE, config.eval_split)
    yield from _unjudged(evidence)
    sizes = {
        result.slice: result.num_examples
        for result in record.results
        if result.slice and (result.model, result.split) == _judged(evidence)
    }
    small = sorted(s for s, size in sizes.items() if size < config.min_slice_examples)
    if small:
        yield find(
            "insufficient_evidence",
            f"{len(small)} of {len(sizes)} slices of the {whole_split.split} split "
            f"have fewer than {config.min_slice_examples} examples and were not "
            f"judged: {listing(small)}.",
            severity=Severity.INFO,
            remedy="Add examples of these slices to the evaluation split.",
            subject=Subject(split=config.eval_split, slice=_feature_of(small)),
            measured=min(sizes[s] for s in small),
            limit=config.min_slice_examples,
            unit="examples",
            evidence={"slices": small[:100]},
        )
    judged = sorted(set(sizes) - set(small))
    if not judged:
        return
    confidence = 1 - config.alpha / len(judged)
    stricter = config.model_copy(update={"confidence": confidence})
    views = [
        dataclasses.replace(evidence, config=stricter, slice=name) for name in judged
    ]
    whole = set()
    for check in _CHECKS:
        whole |= {found.cause for found in check(evidence) if found.blocks}
    found: dict[tuple[str, Severity], list[Finding]] = {}
    for view in views:
        causes = set(whole)
        for check in (*_CHECKS, _find_weak):
            for finding in check(view):
                # A slice that fails otherwise is not told to be weak as well.
                counts = finding.blocks or finding.cause == "weak_slice"
                if counts and finding.cause not in causes:
                    causes |= {finding.cause, "weak_slice"}
                    found.setdefault((finding.cause, finding.severity), []).append(
                        _in_slice(finding, view.slice)
                    )
    for findings in found.values():
        yield from _cut(findings)


def _find_constant(view: Evidence) -> Iterator[Finding]:
    if could_vary(view.result(CANDIDATE, view.config.eval_split), view.config):
        yield from check_constant_output(view)


def _find_dead(view: Evidence) -> Iterator[Finding]:
    if not is_all_broken(view.result(CANDIDATE, view.config.eval_split)):
        yield from check_dead_classes(view)


def _find_drop(view: Evidence) -> Iterator[Finding]:
    pair, config = view.pair(BASELINE, view.config.eval_split), view.config
    if pair is None or not pair.num_examples or config.max_accuracy_drop is None:
        return
    # Retraining moves answers to and fro; in a slice, only what is large is a failure.
    yield from find_drop(
        pair, max(config.max_accuracy_drop, config.max_slice_gap), view
    )


_CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    find_mode_gap,
    check_collapse,
    _find_constant,
    _find_dead,
    _find_drop,
)


def _find_weak(view: Evidence) -> Iterator[Finding]:
    """Yields the accuracy of a slice, if it is far below that of the rest.

    For the same mix of classes: a slice of hard classes is not weak. Warns where the
    slice is surely below the rest, but perhaps not that far.
    """
    config = view.config
    part = view.result(CANDIDATE, config.eval_split)
    whole = dataclasses.replace(view, slice="").result(CANDIDATE, config.eval_split)
    own = np.array(part.confusion)
    rest = np.array(whole.confusion) - own
    gap = standardized_gap(rest, own, config.confidence)
    if gap is not None and gap.size > config.max_slice_gap and gap.low > 0:
        is_certain = gap.low > config.max_slice_gap
        yield find(
            "weak_slice",
            f"The accuracy is {gap.worse:.1%} on {part.num_examples} examples; on the "
            f"other {int(rest.sum())} {part.split} examples it is {gap.better:.1%} for "
            "the same mix of classes"
            + ("." if is_certain else "; how far below is not certain."),
            severity=Severity.BLOCK if is_certain else Severity.WARN,
            subject=Subject(split=part.split),
            measured=gap.size,
            limit=config.max_slice_gap,
            unit=gap.measure,
            evidence={"lower_bound": gap.low},
        )


def _unjudged(evidence: Evidence) -> Iterator[Finding]:
    """Yields what was asked for by name and not judged, and single values of it."""
    config, record = evidence.config, evidence.evaluation
    told = {unjudged.slice: unjudged.reason for unjudged in record.unjudged_slices}
    for feature in config.slices:
        sizes = [
            result.num_examples
            for result in record.results
            if result.slice.startswith(f"{feature}=")
            and (result.model, result.split) == _judged(evidence)
        ]
        if max(sizes, default=0) >= config.min_slice_examples and feature not in told:
            continue
        reason = told.get(feature, "").strip().rstrip(".")
        if not reason:
            reason = (
                f"none of its {len(sizes)} slices has {config.min_slice_examples} "
                "examples"
                if sizes
                else "nothing was measured by it"
            )
        yield find(
            "check_failed" if not sizes else "insufficient_evidence",
            f"The slices by {feature!r} that `slices` asks for could not be judged: "
            f"{reason}.",
            remedy="Name a feature with few values that each have examples enough, or "
            "take it out of `slices`.",
            subject=Subject(split=config.eval_split, slice=feature),
            measured=max(sizes, default=0),
            limit=config.min_slice_examples,
            unit="examples",
        )
    values = sorted(set(told) - set(config.slices))
    if values:
        yield find(
            "insufficient_evidence",
            f"{len(values)} slices were not judged: {listing(values)} "
            f"({told[values[0]].rstrip('.')}).",
            severity=Severity.INFO,
            remedy="Add examples of these slices to the evaluation split.",
            subject=Subject(split=config.eval_split, slice=_feature_of(values)),
            measured=len(values),
            limit=0,
            unit="slices",
            evidence={"reasons": {value: told[value] for value in values[:100]}},
        )


def _judged(evidence: Evidence) -> tuple[str, str]:
    return CANDIDATE, evidence.config.eval_split


def _feature_of(slices: Sequence[str]) -> str:
    """Returns the features that slices are of, to name what a finding is about."""
    return ", ".join(sorted({name.partition("=")[0] for name in slices})[:8])


def _in_slice(finding: Finding, name: str) -> Finding:
    message = f"In the slice {name}: {finding.message[0].lower()}{finding.message[1:]}"
    subject = finding.subject.model_copy(update={"slice": name})
    return finding.model_copy(update={"message": message, "subject": subject})


def _cut(findings: list[Finding]) -> Iterator[Finding]:
    """Yields the first findings of one cause; more slices are listed in the first."""
    told, more = findings[:_MAX_TOLD], [f.subject.slice or "" for f in findings]
    more = more[_MAX_TOLD:]
    if more:
        first = told[0]
        told[0] = first.model_copy(
            update={
                "message": f"{first.message} The same holds in {len(findings) - 1} "
                f"other slices, among them {listing(more)}.",
                "evidence": {**first.evidence, "more_slices": more[:100]},
            }
        )
    yield from told
