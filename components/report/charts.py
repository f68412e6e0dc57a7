# SPDX-License-Identifier: Apache-2.0
"""What the pictures of the report show: records in, numbers and words out.

A chart that would be an empty frame is not made: each function returns None, or
leaves the chart out, where there is nothing finite to draw.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TypeGuard

from components.labels import ClassTable
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
    EvaluationRecord,
    ModelResult,
)
from components.report import formats

MAX_BARS = 20
"""Classes or layers in one bar chart; more than these are hard to read."""
MAX_WHOLE_MATRIX = 30
"""Classes up to which the confusion matrix is shown whole."""
MAX_CONFUSED = 20
"""Classes in the confusion matrix of a problem with more than that."""

NAME_LENGTH = 22
_MODES = {
    CANDIDATE: "inference mode",
    TRAINING_MODE: "training mode",
    BATCH_STATISTICS_MODE: "batch statistics",
    BASELINE: "baseline",
}

Numbers = tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class Series:
    """Numbers that share a name; None and NaN are gaps."""

    name: str
    values: Numbers


@dataclasses.dataclass(frozen=True)
class BarChart:
    """Horizontal bars, one group per label.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      labels: One per group, from top to bottom.
      series: One or two; each has one value per label.
      texts: For one series, what stands at the end of each bar; else empty.
      percent: Whether the axis shows shares, from 0 to 100 %.
      highlight: Index of the one group that the chart is about, or None.
      intervals: For one series, between which ends each value may lie, or None;
        empty if that is not shown.
      alt: What the chart shows, in words.
    """

    id: str
    title: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    alt: str
    texts: tuple[str, ...] = ()
    percent: bool = False
    highlight: int | None = None
    intervals: tuple[tuple[float, float] | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened between two epochs.

    Attributes:
      after: Index (from 0) of the epoch before it; -1 before the first.
      kind: What happened, in a word or two: events of one kind look alike.
    """

    after: int
    kind: str


@dataclasses.dataclass(frozen=True)
class Course:
    """What happened to a training, drawn into each picture over its epochs.

    Attributes:
      num_epochs: All epochs, in the order of time.
      rolled_back: Indices (from 0) of the epochs that did not shape the model,
        which are drawn pale; ascending.
      branches: The same epochs as ways: each begins at the epoch that it branched
        off from, if there is one.
      events: In the order of time.
      kept: Index of the epoch whose weights were kept, or None.
    """

    num_epochs: int
    rolled_back: tuple[int, ...] = ()
    branches: tuple[tuple[int, ...], ...] = ()
    events: tuple[Event, ...] = ()
    kept: int | None = None


@dataclasses.dataclass(frozen=True)
class LineChart:
    """Lines over epochs, counted from 1.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      series: One or two lines; all have one value per epoch.
      course: What happened on the way.
      alt: What the chart shows, in words.
      percent: Whether the axis shows shares, from 0 to 100 %.
      stepped: Whether the number changes from one epoch to the next at once.
    """

    id: str
    title: str
    series: tuple[Series, ...]
    course: Course
    alt: str
    percent: bool = False
    stepped: bool = False


@dataclasses.dataclass(frozen=True)
class StackedChart:
    """Shares of a whole over epochs, as bands one upon the other.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      edges: Indices (from 0) at which the columns begin, and the number of epochs.
      series: Bands from bottom to top; one share per column, None where there is
        none.
      course: What happened on the way.
      alt: What the chart shows, in words.
      reference: Shares to compare with, one per band, shown in a column of their
        own; empty if there are none.
      reference_name: What they are shares of.
    """

    id: str
    title: str
    edges: tuple[int, ...]
    series: tuple[Series, ...]
    course: Course
    alt: str
    reference: Numbers = ()
    reference_name: str = ""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How the numbers of a map become colours.

    Attributes:
      low: Number of the first colour; what is below gets that colour too.
      high: Number of the last colour.
      two_sided: Whether both ends are bad and the middle is good; else only the
        high end is.
      ticks: Numbers and texts beside the colours.
      name: What the colours stand for.
    """

    low: float
    high: float
    two_sided: bool
    ticks: tuple[tuple[float, str], ...]
    name: str


@dataclasses.dataclass(frozen=True)
class EpochMap:
    """A number per layer and epoch, as colours.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      labels: One per row, from top to bottom.
      edges: Indices (from 0) at which the columns begin, and the number of epochs.
      values: One row per label, one number per column; None where nothing was
        measured, NaN or infinite where it was not finite.
      scale: How the numbers become colours.
      course: What happened on the way.
      alt: What the chart shows, in words.
    """

    id: str
    title: str
    labels: tuple[str, ...]
    edges: tuple[int, ...]
    values: tuple[Numbers, ...]
    scale: Scale
    course: Course
    alt: str


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """A matrix of counts; the colour is the share within the row.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      labels: One per row, and the same per column.
      counts: Shape (K, K).
      shares: Shape (K, K), between 0 and 1; None where a row has no examples.
      alt: What the chart shows, in words.
    """

    id: str
    title: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    shares: tuple[Numbers, ...]
    alt: str


@dataclasses.dataclass(frozen=True)
class ReliabilityChart:
    """How often answers of about the same confidence are right.

    Each sequence has one entry per bin; the bins are equally wide and go from 0 to 1.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      accuracies: Share of the answers that is right; None in an empty bin.
      intervals: Between which ends it may lie; None in an empty bin.
      counts: Number of answers.
      alt: What the chart shows, in words.
    """

    id: str
    title: str
    accuracies: Numbers
    intervals: tuple[tuple[float, float] | None, ...]
    counts: tuple[int, ...]
    alt: str


Chart = BarChart | LineChart | HeatMap | StackedChart | EpochMap | ReliabilityChart


def mode_name(model: str) -> str:
    """Returns the name of a model or mode for people."""
    return _MODES.get(model, formats.name(model))


def whole_results(evaluation: EvaluationRecord, split: str) -> list[ModelResult]:
    """Returns what was measured on a whole split, the candidate first."""
    found = [r for r in evaluation.results if r.split == split and not r.slice]
    return sorted(found, key=lambda result: [*_MODES, result.model].index(result.model))


def ordered_splits(evaluation: EvaluationRecord) -> tuple[str, ...]:
    """Returns the splits in which the candidate was measured, `train` first."""
    splits = {
        r.split: None
        for r in evaluation.results
        if r.model == CANDIDATE and not r.slice
    }
    return tuple(sorted(splits, key=lambda split: split != "train"))


def judged_split(evaluation: EvaluationRecord) -> str | None:
    """Returns the split that shows the model in use: `eval`, or the last there is."""
    splits = ordered_splits(evaluation)
    return "eval" if "eval" in splits else (splits[-1] if splits else None)


def has_predictions(result: ModelResult) -> bool:
    """Whether any example was predicted, so that there are shares to speak of."""
    return any(map(any, result.confusion))


def class_counts(result: ModelResult) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the examples per true class and per predicted class."""
    return result.true_counts, result.predicted_counts


def confusion(evaluation: EvaluationRecord, split: str) -> HeatMap | None:
    """Returns the candidate's confusion matrix, or its most confused part."""
    result = evaluation.result(CANDIDATE, split)
    if result is None or not has_predictions(result):
        return None
    matrix = result.confusion
    size = len(matrix)
    shown: Sequence[int] = range(size)
    if size > MAX_WHOLE_MATRIX:
        true, predicted = class_counts(result)
        wrong = [true[k] + predicted[k] - 2 * matrix[k][k] for k in range(size)]
        shown = largest(wrong, MAX_CONFUSED)
    accuracy = formats.share(result.accuracy)
    return HeatMap(
        id="confusion-matrix",
        title=f"Split {formats.name(split, NAME_LENGTH)}",
        labels=tuple(
            formats.name(evaluation.class_names[k], NAME_LENGTH) for k in shown
        ),
        counts=tuple(tuple(matrix[row][k] for k in shown) for row in shown),
        shares=tuple(pick(shares(matrix[row]), shown) for row in shown),
        alt=f"Confusion matrix of {len(shown)} of {size} classes: true class by row, "
        f"predicted class by column. {accuracy} of all examples lie on the diagonal.",
    )


def modes(evaluation: EvaluationRecord) -> tuple[BarChart, ...]:
    """Returns accuracy and loss of every model and mode, one pair per split."""
    made = []
    for split in ordered_splits(evaluation):
        results = whole_results(evaluation, split)
        if len(results) < 2:  # Nothing to compare with.
            continue
        for measure, percent in (("accuracy", True), ("loss", False)):
            values = tuple(r.accuracy if percent else r.mean_loss for r in results)
            show = formats.share if percent else formats.number
            texts = tuple(show(value) for value in values)
            names = tuple(mode_name(r.model)[:NAME_LENGTH] for r in results)
            title = f"{measure.capitalize()}, split {formats.name(split, NAME_LENGTH)}"
            said = ", ".join(f"{n} {t}" for n, t in zip(names, texts, strict=True))
            made.append(
                BarChart(
                    id=f"modes-{measure}-{fragment(split)}",
                    title=title,
                    labels=names,
                    series=(Series(measure, values),),
                    texts=texts,
                    percent=percent,
                    highlight=0,
                    alt=f"{title}: {said}.",
                )
            )
    return tuple(made)


def weights(classes: ClassTable) -> BarChart | None:
    """Returns the weight of each class in the loss, or None if all weigh the same."""
    if len(set(classes.weights)) < 2:
        return None
    # On a log scale, half and double are equally far from an ordinary weight.
    unusual = [abs(math.log(w)) if w > 0 else math.inf for w in classes.weights]
    shown = largest(unusual, MAX_BARS)
    values = tuple(classes.weights[k] for k in shown)
    low, high = min(classes.weights), max(classes.weights)
    return BarChart(
        id="weights-by-class",
        title="Weight in the loss",
        labels=tuple(formats.name(classes.class_names[k], NAME_LENGTH) for k in shown),
        series=(Series("weight", values),),
        texts=tuple(formats.number(value, 3) for value in values),
        alt=f"Weight in the loss of {len(shown)} classes, between "
        f"{formats.number(low, 3)} and {formats.number(high, 3)}.",
    )


def is_finite(value: float | None) -> TypeGuard[float]:
    """Whether there is a value that can be drawn."""
    return value is not None and math.isfinite(value)


def shares(counts: Sequence[int]) -> Numbers:
    """Returns each count as a share of their sum; None where that is 0."""
    total = sum(counts)
    return tuple(n / total if total else None for n in counts)


def largest(values: Sequence[float], limit: int) -> tuple[int, ...]:
    """Returns the positions of the `limit` largest values, in their own order."""
    by_size = sorted(range(len(values)), key=lambda k: -values[k])
    return tuple(sorted(by_size[:limit]))


def pick(values: Numbers, positions: Iterable[int]) -> Numbers:
    """Returns the values at the positions."""
    return tuple(values[k] for k in positions)


def fragment(text: str) -> str:
    """Returns a text that can stand in a fragment id, distinct for distinct texts."""
    if text.isascii() and text.replace("_", "").isalnum():
        return text
    return f"x-{text.encode('utf-8', 'surrogatepass').hex()}"
