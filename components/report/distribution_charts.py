# SPDX-License-Identifier: Apache-2.0
"""How the classes are distributed: among labels and predictions, in each split."""

from collections.abc import Sequence

from components.labels import ClassTable
from components.records.evaluation import CANDIDATE, EvaluationRecord
from components.report import charts, formats
from components.report.charts import MAX_BARS, NAME_LENGTH, BarChart, Numbers, Series
from components.report.intervals import share_interval


def distributions(
    evaluation: EvaluationRecord | None, classes: ClassTable | None
) -> tuple[BarChart, ...]:
    """Returns, per split, the share of each class among labels and predictions.

    Without an evaluation, the labels alone: of the training split against each
    other one, or of the training split where no other was counted.
    """
    made = []
    if evaluation is not None:
        for split in charts.ordered_splits(evaluation):
            result = evaluation.result(CANDIDATE, split)
            if result is not None and charts.has_predictions(result):
                true, predicted = map(charts.shares, charts.class_counts(result))
                names = evaluation.class_names
                made.append(_predicted(split, names, true, predicted))
    if made or classes is None:
        return tuple(made)
    return _labels(classes)


def recalls(evaluation: EvaluationRecord, split: str) -> BarChart | None:
    """Returns the share of each class's examples that is recognised.

    All classes that have examples, or those of the least recall if they are many;
    None where there is nothing to show.
    """
    result = evaluation.result(CANDIDATE, split)
    if result is None:
        return None
    measured = {k: r for k, r in enumerate(result.recalls) if r is not None}
    if not measured:
        return None
    every = list(measured)
    shown = [
        every[k] for k in charts.largest([-r for r in measured.values()], MAX_BARS)
    ]
    values = tuple(measured[k] for k in shown)
    names = evaluation.class_names
    worst = min(measured, key=measured.__getitem__)
    title = f"Recall, split {formats.name(split, NAME_LENGTH)}"
    return BarChart(
        id=f"recall-{charts.fragment(split)}",
        title=title,
        labels=tuple(formats.name(names[k], NAME_LENGTH) for k in shown),
        series=(Series("recall", values),),
        texts=tuple(map(formats.share, values)),
        intervals=tuple(
            share_interval(result.confusion[k][k], result.true_counts[k]) for k in shown
        ),
        percent=True,
        alt=f"{title}, of {len(shown)} of {len(names)} classes: least of class "
        f"{formats.name(names[worst])}, {formats.share(measured[worst])}.",
    )


def split_counts(classes: ClassTable) -> dict[str, tuple[int, ...]]:
    """Returns the examples of each class by split, the training split first."""
    return classes.split_counts or {"train": classes.train_counts}


def _labels(classes: ClassTable) -> tuple[BarChart, ...]:
    counted = split_counts(classes)
    drawn = {
        split: charts.shares(counts) for split, counts in counted.items() if any(counts)
    }
    if not drawn:
        return ()
    (first, shares), *others = drawn.items()
    if not others:
        return (_alone(first, classes.class_names, shares),)
    return tuple(
        _compared(classes.class_names, (first, shares), other) for other in others
    )


def _predicted(
    split: str, names: Sequence[str], labels: Numbers, predicted: Numbers
) -> BarChart:
    """Shows all classes, or those where labels and predictions differ most."""
    differences = _differences(labels, predicted)
    furthest = max(range(len(names)), key=differences.__getitem__)
    title = f"Split {formats.name(split, NAME_LENGTH)}"
    return _bars(
        f"distribution-{charts.fragment(split)}",
        title,
        names,
        differences,
        (Series("labels", labels), Series("predictions", predicted)),
        f"Share of each class among labels and predictions, {title.lower()}. They "
        f"differ most for class {formats.name(names[furthest])}: "
        f"{formats.share(labels[furthest])} of the labels, "
        f"{formats.share(predicted[furthest])} of the predictions.",
    )


def _compared(
    names: Sequence[str], train: tuple[str, Numbers], other: tuple[str, Numbers]
) -> BarChart:
    """Shows all classes, or those where the labels of two splits differ most."""
    differences = _differences(train[1], other[1])
    furthest = max(range(len(names)), key=differences.__getitem__)
    first, second = (formats.name(split, NAME_LENGTH) for split, _ in (train, other))
    return _bars(
        f"distribution-{charts.fragment(other[0])}",
        f"Labels of {first} and {second}",
        names,
        differences,
        (Series(first, train[1]), Series(second, other[1])),
        f"Share of each class among the labels of splits {first} and {second}. They "
        f"differ most for class {formats.name(names[furthest])}: "
        f"{formats.share(train[1][furthest])} and "
        f"{formats.share(other[1][furthest])}.",
    )


def _alone(split: str, names: Sequence[str], labels: Numbers) -> BarChart:
    """Shows all classes, or the rarest, which are those worth a look."""
    rarity = [-(share or 0.0) for share in labels]
    rarest = max(range(len(names)), key=rarity.__getitem__)
    title = f"Split {formats.name(split, NAME_LENGTH)}"
    return _bars(
        f"distribution-{charts.fragment(split)}",
        title,
        names,
        rarity,
        (Series("labels", labels),),
        f"Share of each class among the labels, {title.lower()}. The rarest class, "
        f"{formats.name(names[rarest])}, has {formats.share(labels[rarest])}.",
    )


def _bars(
    id: str,
    title: str,
    names: Sequence[str],
    interest: Sequence[float],
    series: tuple[Series, ...],
    alt: str,
) -> BarChart:
    shown = charts.largest(interest, MAX_BARS)
    return BarChart(
        id=id,
        title=title,
        labels=tuple(formats.name(names[k], NAME_LENGTH) for k in shown),
        series=tuple(
            Series(each.name, charts.pick(each.values, shown)) for each in series
        ),
        percent=True,
        alt=alt,
    )


def _differences(one: Numbers, other: Numbers) -> list[float]:
    return [abs((b or 0.0) - (a or 0.0)) for a, b in zip(one, other, strict=True)]
