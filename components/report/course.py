# SPDX-License-Identifier: Apache-2.0
"""What happened to a training besides its epochs: changes, roll-backs, new starts.

Epochs are numbered in the order of time, also those that were rolled back, so that
one number means one epoch everywhere on the page.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from components.records.training import ProbeReading, TrainingRecord
from components.report import formats
from components.report.charts import Course, Event

MAX_COLUMNS = 60
"""Columns of a map or of stacked bands; in a picture of 460 pixels each is still wide
enough to be seen."""

ROLLED_BACK = "rolled back"
REMEDY = "remedy"
RESUMED = "resumed"
NEXT_PHASE = "next phase"
"""Kinds of events."""


def course_of(training: TrainingRecord) -> Course:
    """Returns what every picture over the epochs of a training shows."""
    count = len(training.epochs)
    kept = training.best_epoch
    if kept is None and count:
        kept = count - 1
    undone = rolled_back(training)
    return Course(
        num_epochs=count,
        rolled_back=undone,
        branches=tuple(_branches(training, undone)),
        events=tuple(sorted(_events(training), key=lambda event: event.after)),
        kept=kept if kept is not None and 0 <= kept < count else None,
    )


def rolled_back(training: TrainingRecord) -> tuple[int, ...]:
    """Returns the indices of the epochs that were rolled back, ascending.

    A roll-back undoes whatever lies between the epoch that was gone back to and the
    epoch before the change, also what an earlier roll-back had left there.
    """
    undone = {
        epoch
        for remedy in training.remedies
        if remedy.back_to_epoch is not None
        for epoch in range(remedy.back_to_epoch + 1, remedy.epoch + 1)
    }
    return tuple(sorted(undone & set(range(len(training.epochs)))))


def _branches(
    training: TrainingRecord, undone: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Returns the ways that were left, each from where it branched off."""
    gone_back = {
        remedy.epoch + 1: remedy.back_to_epoch
        for remedy in training.remedies
        if remedy.back_to_epoch is not None
    }
    branch: list[int] = []
    for epoch in undone:
        before = gone_back.get(epoch, epoch - 1)
        if branch and branch[-1] == before:
            branch.append(epoch)
            continue
        if branch:
            yield tuple(branch)
        branch = [before, epoch] if 0 <= before < epoch else [epoch]
    if branch:
        yield tuple(branch)


def _events(training: TrainingRecord) -> Iterator[Event]:
    count = len(training.epochs)
    for remedy in training.remedies:
        if -1 <= remedy.epoch < count:
            back = remedy.back_to_epoch is not None
            yield Event(remedy.epoch, ROLLED_BACK if back else REMEDY)
    for epoch in training.resumed_at:
        if 0 <= epoch <= count:
            yield Event(epoch - 1, RESUMED)
    for epoch in range(1, count):
        before, after = training.epochs[epoch - 1].phase, training.epochs[epoch].phase
        if before != after:
            yield Event(epoch - 1, NEXT_PHASE)


def column_edges(count: int, limit: int = MAX_COLUMNS) -> tuple[int, ...]:
    """Divides epochs into columns of nearly equal width.

    Args:
      count: Number of epochs.
      limit: Most columns.

    Returns:
      The index at which each column begins, and `count`; `(0,)` without epochs.
    """
    columns = min(count, limit)
    return tuple(column * count // columns for column in range(columns)) + (count,)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Columns of a picture of what was seen at the looks at a model.

    The model is not looked at after every epoch. A column reaches back from its look
    to the one before, but not past a roll-back.

    Attributes:
      edges: Indices of the epochs at which the columns begin, and the number of
        epochs.
      looks: Indices of the epochs after which the model was looked at, by column;
        none in a column of which nothing is known.
    """

    edges: tuple[int, ...]
    looks: tuple[tuple[int, ...], ...]


def columns_of(training: TrainingRecord, limit: int = MAX_COLUMNS) -> Columns:
    """Returns the columns for the looks at a model; neighbours share one if need be.

    Args:
      training: The record.
      limit: Most columns with a look.
    """
    looks = [epoch for epoch, probe in enumerate(readings(training)) if probe]
    starts = _starts(training, looks)
    edges: list[int] = [0]
    columns: list[tuple[int, ...]] = []
    bins = column_edges(len(looks), limit)
    for first, end in zip(bins, bins[1:], strict=False):
        if starts[first] > edges[-1]:
            edges.append(starts[first])
            columns.append(())
        edges.append(looks[end - 1] + 1)
        columns.append(tuple(looks[first:end]))
    if edges[-1] < len(training.epochs):
        edges.append(len(training.epochs))
        columns.append(())
    return Columns(tuple(edges), tuple(columns))


def _starts(training: TrainingRecord, looks: Sequence[int]) -> list[int]:
    """Returns the first epoch that each look tells of."""
    begun = {r.epoch + 1 for r in training.remedies if r.back_to_epoch is not None}
    starts = []
    after = 0
    for look in looks:
        starts.append(max((b for b in begun if after <= b <= look), default=after))
        after = look + 1
    return starts


def look_notes(training: TrainingRecord) -> tuple[str, ...]:
    """Says how often the model was looked at, and what shares a column."""
    count = len(training.epochs)
    looks = sum(probe is not None for probe in readings(training))
    told = []
    if looks < count:
        told.append(
            f"The model was looked at after {looks:,} of "
            f"{formats.counted(count, 'epoch')}; a column of colours ends where it was."
        )
    columns = min(looks, MAX_COLUMNS)
    if columns < looks:
        told.append(
            f"A column stands for up to {-(-looks // columns)} looks and shows the "
            "most extreme of them."
        )
    return tuple(told)


def readings(training: TrainingRecord) -> tuple[ProbeReading | None, ...]:
    """Returns the look at the model after each epoch; None where there was none."""
    return tuple(epoch.probe for epoch in training.epochs)
