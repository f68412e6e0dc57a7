# SPDX-License-Identifier: Apache-2.0
"""What the pictures of the report show: records in, numbers and words out.

A chart that would be an empty frame is not made: each function returns None, or
leaves the chart out, where there is nothing finite to draw.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
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
from components.records.training import BatchNormDrift, Epoch, TrainingRecord
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


@dataclasses.dataclass(frozen=True)
class LineChart:
    """Lines over epochs, counted from 1.

    Attributes:
      id: Unique on the page.
      title: Heading of the chart.
      series: Lines; all have one value per epoch.
      alt: What the chart shows, in words.
      marked: Index (from 0) of the epoch to mark, or None.
      percent: Whether the axis shows shares, from 0 to 100 %.
    """

    id: str
    title: str
    series: tuple[Series, ...]
    alt: str
    marked: int | None = None
    percent: bool = False


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


Chart = BarChart | LineChart | HeatMap


def mode_name(model: str) -> str:
    """Returns the name of a model or mode for people."""
    return _MODES.get(model, formats.name(model))


def ordered_splits(evaluation: EvaluationRecord) -> tuple[str, ...]:
    """Returns the splits in which the candidate was measured, `train` first."""
    splits = {r.split: None for r in evaluation.results if r.model == CANDIDATE}
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
    true = tuple(sum(row) for row in result.confusion)
    return true, tuple(sum(column) for column in zip(*result.confusion, strict=True))


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
        results = [r for r in evaluation.results if r.split == split]
        if len(results) < 2:  # Nothing to compare with.
            continue
        results.sort(key=lambda r: [*_MODES, r.model].index(r.model))
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


def curves(training: TrainingRecord) -> tuple[LineChart, ...]:
    """Returns loss and accuracy per epoch, on training and on held-out rows."""
    pairs = (
        ("loss", lambda e: e.loss, lambda e: e.held_out_loss),
        ("accuracy", lambda e: e.accuracy, lambda e: e.held_out_accuracy),
    )
    kept = training.best_epoch
    if kept is None:
        kept = len(training.epochs) - 1
    made = []
    for measure, of_train, of_held_out in pairs:
        lines = [
            Series(name, tuple(map(get, training.epochs)))
            for name, get in (("training", of_train), ("held-out", of_held_out))
        ]
        drawn = tuple(line for line in lines if any(map(is_finite, line.values)))
        if not drawn:
            continue
        show = formats.number if measure == "loss" else formats.share
        said = "; ".join(_said(line, show) for line in drawn)
        made.append(
            LineChart(
                id=f"curve-{measure}",
                title=measure.capitalize(),
                series=drawn,
                marked=kept,
                percent=measure == "accuracy",
                alt=f"{measure.capitalize()} over "
                f"{formats.counted(len(training.epochs), 'epoch')}: {said}.",
            )
        )
    return tuple(made)


def _said(line: Series, show: Callable[[float | None], str]) -> str:
    finite = [value for value in line.values if is_finite(value)]
    return f"{line.name} from {show(finite[0])} to {show(finite[-1])}"


def broken_epochs(epochs: Iterable[Epoch]) -> int:
    """Returns the number of epochs with a loss that is NaN or infinite."""
    return sum(
        any(v is not None and not math.isfinite(v) for v in (e.loss, e.held_out_loss))
        for e in epochs
    )


def batch_norm(drifts: Sequence[BatchNormDrift]) -> tuple[BarChart, ...]:
    """Returns the two distances of moving statistics and data, per layer."""
    if not drifts:
        return ()
    worst = [
        _infinite_if_nan(d.mean_shift) + _infinite_if_nan(d.log_variance_ratio)
        for d in drifts
    ]
    shown = [drifts[k] for k in largest(worst, MAX_BARS)]
    labels = tuple(formats.name(d.layer, NAME_LENGTH) for d in shown)
    made = []
    for key, title in (
        ("mean_shift", "Shift of the mean (standard deviations)"),
        ("log_variance_ratio", "Log ratio of the variances"),
    ):
        values = tuple(getattr(d, key) for d in shown)
        texts = tuple(formats.number(value, 3) for value in values)
        extreme = max(range(len(shown)), key=lambda k: _infinite_if_nan(values[k]))
        made.append(
            BarChart(
                id=f"batchnorm-{key.replace('_', '-')}",
                title=title,
                labels=labels,
                series=(Series(title, values),),
                texts=texts,
                alt=f"{title} for {len(shown)} layers; the largest is {texts[extreme]} "
                f"in layer {formats.name(shown[extreme].layer)}.",
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


def _infinite_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else abs(value)


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
