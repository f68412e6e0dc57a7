# SPDX-License-Identifier: Apache-2.0
"""The top of the page: the outcome, its first reason, and the key figures."""

from components import causes
from components.causes import Severity
from components.findings import Verdict
from components.records.evaluation import CANDIDATE, TRAINING_MODE
from components.report import charts, formats
from components.report.inputs import ReportInputs
from components.report.page import Headline, Tile

_NO_CAUSE = "The model was not blessed, but the decision names no cause."
_NOT_JUDGED = "Nothing blocks so far, but no model was judged."
_DATA_PASSED = "No check found anything in the data that blocks a training."
_NOTHING_BLOCKS = "No check found anything that blocks this model."


def headline(inputs: ReportInputs) -> Headline:
    """Says how the run ended and why, the most likely root cause first.

    A model counts as good only if nothing blocks and it was blessed: where the
    two disagree, or one is unknown, the page does not show success. Without a
    model, the word is about the data.
    """
    verdict, blessing, push = inputs.verdict, inputs.blessing, inputs.push
    refused = blessing is not None and not blessing.blessed
    if refused or not verdict.passed:
        tone, word, reason = "bad", "Blocked", _NO_CAUSE
    elif inputs.data and not inputs.has_model:
        tone, word, reason = "good", "Data passed", _DATA_PASSED
    elif inputs.check is not None:
        tone, word, reason = "good", "Passed", _NOTHING_BLOCKS
    elif blessing is None:
        tone, word, reason = "open", "Not judged", _NOT_JUDGED
    elif push is None:
        tone, word, reason = "good", "Blessed", _NOTHING_BLOCKS
    elif push.pushed:
        tone, word, reason = "good", "Promoted", _NOTHING_BLOCKS
    else:
        tone, word, reason = "open", "Blessed, not promoted", _NOTHING_BLOCKS
    # Findings stand in the order of severity: the first warns or blocks, if any do.
    first = verdict.findings[0] if verdict.findings else None
    if first is not None and first.severity is Severity.INFO:
        first = None
    message = formats.clean(first.message) if first else ""
    blocks = first is not None and first.blocks
    return Headline(
        tone=tone,
        word=word,
        reason=message if blocks else reason,
        cause=first.cause if first and blocks else "",
        meaning=causes.CATALOGUE[first.cause].sentence if first else "",
        warning="" if blocks else message,
        remedy=formats.clean(first.remedy) if first else "",
        counts=_counts(verdict),
        push=_push(inputs),
    )


def _counts(verdict: Verdict) -> str:
    words = {Severity.BLOCK: "block", Severity.WARN: "warn", Severity.INFO: "inform"}
    parts = []
    for severity, word in words.items():
        number = sum(finding.severity is severity for finding in verdict.findings)
        if number:
            parts.append(f"{number:,} {word}{'s' if number == 1 else ''}")
    total = formats.counted(len(verdict.findings), "finding")
    return f"{total}: {', '.join(parts)}" if parts else "No findings"


def _push(inputs: ReportInputs) -> str:
    if "push" in inputs.unreadable:
        return f"Whether it was pushed is unknown: {inputs.unreadable['push']}"
    if inputs.push is None:
        return ""
    if inputs.push.pushed:
        where = inputs.push.destination
        return f"In production as version {formats.name(inputs.push.version)}" + (
            f", in {formats.clean(where)}" if where else ""
        )
    # What blocked it stands above in full, and need not be said twice.
    reason, _, _ = formats.clean(inputs.push.reason).partition(": blocked: ")
    reason = reason.rstrip(".")
    return "Not in production" + (f": {reason}" if reason else "")


def tiles(inputs: ReportInputs) -> tuple[Tile, ...]:
    """Returns the key figures; none if no model was evaluated."""
    evaluation = inputs.evaluation
    split = charts.judged_split(evaluation) if evaluation else None
    if evaluation is None or split is None:
        return ()
    tiles = []
    shown = formats.name(split)
    for model, at, name, note in (
        (CANDIDATE, split, "Accuracy in use", f"split {shown}, inference mode"),
        (TRAINING_MODE, split, "In training mode", f"split {shown}, same examples"),
        (CANDIDATE, "train", "On training data", "split train, inference mode"),
    ):
        result = evaluation.result(model, at)
        repeats = name == "On training data" and split == "train"
        if result is not None and not repeats:
            tiles.append(Tile(name, formats.share(result.accuracy), note))
    candidate = evaluation.result(CANDIDATE, split)
    if candidate is not None:
        examples = formats.count(candidate.num_examples)
        note = f"examples, split {shown}"
        if candidate.num_not_finite:
            # These are in no accuracy, so 100 % could otherwise hide a broken model.
            note += f"; {candidate.num_not_finite:,} without finite prediction"
        tiles.append(Tile("Judged on", examples, note))
    return tuple(tiles)
