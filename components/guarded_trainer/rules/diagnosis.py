# SPDX-License-Identifier: Apache-2.0
"""What is made of the symptoms when the training has ended: findings.

The outcome comes first. Where the model has learnt what can be learnt, no symptom
blocks it, however odd its training looked. Where it has not, the symptom that best
explains it blocks, and the others warn.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from components.causes import Severity
from components.findings import Finding, Subject, find
from components.guarded_trainer.rules.explanations import Case, explain
from components.guarded_trainer.rules.facts import TrainingFacts
from components.guarded_trainer.rules.history import trace
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.rules.measures import finite
from components.guarded_trainer.rules.outcome import Level, Outcome, judge
from components.guarded_trainer.rules.symptoms import Symptom
from components.records.training import Epoch, Recalibration, Remedy

_FOUND_BY = "GuardedTrainer"
_WARN_ANYWAY = ("Capacity", "Overfit", "NothingTrainable", "ExplodingTensor")
"""Rules that warn even where no harm was done: they foretell some."""
_MENDED = ("mode_gap",)
"""Causes that a recalibration which was kept has mended."""


def diagnose(
    facts: TrainingFacts,
    epochs: Sequence[Epoch],
    *,
    best_epoch: int | None,
    stopped_because: str,
    remedies: Sequence[Remedy] = (),
    recalibration: Recalibration | None = None,
    limits: RuleLimits | None = None,
) -> tuple[Finding, ...]:
    """Judges a training that has ended.

    Args:
      facts: What was known before the first step.
      epochs: The epochs that led to the model, without those rolled back.
      best_epoch: Index in `epochs` of the one whose weights were kept; None for the
        last.
      stopped_because: Why training ended, for the messages.
      remedies: What was done about it on the way.
      recalibration: What became of the BatchNorm recalibration; None where there
        was none.
      limits: The limits; the default ones by default.

    Returns:
      At most one blocking finding about learning and one about a mode gap; then
      everything else the rules saw.
    """
    limits = limits or RuleLimits()
    outcome = judge(facts, epochs, best_epoch, recalibration, limits)
    history = trace(facts, epochs, limits)
    case = Case(facts, epochs, history, outcome, remedies, limits)
    findings = [
        *_mode_gap(case),
        *_learning(case, stopped_because),
    ]
    blamed = {finding.cause for finding in findings}
    repaired = recalibration is not None and recalibration.kept
    harmed = outcome.is_bad or outcome.level is Level.POOR
    for symptom in history.distinct(passing=harmed):
        if symptom.cause in blamed or (repaired and symptom.cause in _MENDED):
            continue
        blamed.add(symptom.cause)
        severity = _severity(symptom, outcome)
        findings.append(_remark(symptom, severity, len(epochs)))
    return tuple(findings)


def _mode_gap(case: Case) -> Iterator[Finding]:
    """Blocks where the kept model is surely worse in inference mode."""
    outcome, probe = case.outcome, case.outcome.probe
    if outcome.mode_gap is None or probe is None:
        return
    layers = sorted(
        (x for x in probe.layers if x.mean_shift is not None),
        key=lambda x: max(x.mean_shift or 0.0, x.log_variance_ratio or 0.0),
        reverse=True,
    )
    named = ", ".join(
        f"{x.layer} (mean off by {x.mean_shift:.2g} sd, variance by a factor of "
        f"{math.exp(min(x.log_variance_ratio or 0.0, 700.0)):.2g})"
        for x in layers[:3]
    )
    yield find(
        "mode_gap",
        f"On the same {probe.num_examples} training examples the accuracy is "
        f"{probe.inference_accuracy:.1%} in inference mode and "
        f"{probe.training_accuracy:.1%} in training mode"
        + (f"; worst BatchNorm layers: {named}." if named else "."),
        subject=Subject(
            split="train",
            model="inference",
            layer=layers[0].layer if layers else None,
        ),
        measured=outcome.mode_gap,
        limit=case.limits.batch_norm.max_mode_gap,
        unit="accuracy",
        evidence={"layers": [layer.model_dump() for layer in layers[:5]]},
        found_by=_FOUND_BY,
    )


def _learning(case: Case, stopped_because: str) -> Iterator[Finding]:
    """Blocks where nothing of use was learnt, with the cause that explains it."""
    outcome = case.outcome
    if outcome.level is Level.UNKNOWN or (
        outcome.level is Level.FAIR and not outcome.by_heart
    ):
        return
    # What was learnt well, if by heart, was trained well: look at the labels.
    symptom = explain(case) if outcome.level is not Level.FAIR else None
    told = _told(case, stopped_because)
    if symptom is not None:
        yield _blocking(symptom, told)
    elif outcome.by_heart:
        yield _outcome_finding("no_signal", told, case)
    elif outcome.level is Level.POOR:
        yield _outcome_finding("underfit", told, case, Severity.WARN)
    else:
        # Of some tasks little can be known, but that little surely is; and a training
        # that was cut short is not to be told from one that needs more time.
        excused = outcome.shows_signal or outcome.falling
        severity = Severity.WARN if excused else Severity.BLOCK
        yield _outcome_finding(_unexplained(case), told, case, severity)


def _unexplained(case: Case) -> str:
    """Returns what to call an outcome of nothing for which there is no symptom."""
    if case.outcome.falling:
        return "underfit"
    for rule in ("ConstantOutput", "OneClassPredictions"):
        if symptom := case.history.lasting(rule):
            return symptom.cause
    return "no_signal"


def _told(case: Case, stopped_because: str) -> str:
    """Returns the outcome in one sentence, without a full stop."""
    outcome, probe = case.outcome, case.outcome.probe
    if outcome.level is Level.LOST:
        return f"No good weights are left after training ({stopped_because})"
    accuracy = None
    if probe is not None:
        accuracy = probe.inference_accuracy
    if accuracy is None and case.epochs:
        accuracy = case.epochs[-1].accuracy
    parts = []
    if finite(accuracy):
        parts.append(f"accuracy is {accuracy:.1%} on fitted rows")
    if finite(outcome.held_out_accuracy):
        parts.append(
            f"{outcome.held_out_accuracy:.1%} on {case.facts.num_held_out} held-out "
            "rows"
        )
    if outcome.baseline is not None:
        parts.append(
            f"where always answering the most frequent class gives "
            f"{outcome.baseline:.1%}"
        )
    text = ", ".join(parts) or "the loss is no better than guessing"
    return f"{text[0].upper()}{text[1:]} ({stopped_because})"


def _blocking(symptom: Symptom, told: str) -> Finding:
    return find(
        symptom.cause,
        f"{symptom.message}. {told}.",
        severity=Severity.BLOCK,
        **_details(symptom),
    )


def _outcome_finding(
    cause: str, told: str, case: Case, severity: Severity | None = None
) -> Finding:
    return find(
        cause,
        f"{told}.",
        severity=severity,
        subject=Subject(split="train"),
        measured=case.outcome.gain,
        limit=(
            case.limits.outcome.poor_gain
            if case.outcome.level is Level.POOR
            else case.limits.outcome.no_gain
        ),
        unit="share of the possible gain over guessing",
        found_by=_FOUND_BY,
    )


def _severity(symptom: Symptom, outcome: Outcome) -> Severity:
    if symptom.rule == "StalledTraining":
        return Severity.INFO
    harmed = outcome.is_bad or outcome.level is Level.POOR
    return Severity.WARN if harmed or symptom.rule in _WARN_ANYWAY else Severity.INFO


def _remark(symptom: Symptom, severity: Severity, num_epochs: int) -> Finding:
    passed = 0 <= symptom.epoch < num_epochs - 1
    when = f" (after epoch {symptom.epoch + 1})" if passed else ""
    return find(
        symptom.cause,
        f"{symptom.message}{when}.",
        severity=severity,
        **_details(symptom),
    )


def _details(symptom: Symptom) -> dict[str, Any]:
    return {
        "subject": Subject(
            split="train", layer=symptom.layer, class_name=symptom.class_name
        ),
        "measured": symptom.measured,
        "limit": symptom.limit,
        "unit": symptom.unit,
        "evidence": {"rule": symptom.rule, "epoch": symptom.epoch},
        "found_by": f"{_FOUND_BY} ({symptom.rule})",
    }
