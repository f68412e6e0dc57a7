# SPDX-License-Identifier: Apache-2.0
"""What the pictures of a training show: a record in, numbers and words out.

As in `charts`, nothing is returned where there is nothing finite to draw.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

from components.records.training import (
    BatchNormDrift,
    Epoch,
    Forgetting,
    ProbeReading,
    TrainingRecord,
)
from components.report import formats
from components.report.charts import (
    MAX_BARS,
    NAME_LENGTH,
    BarChart,
    LineChart,
    Numbers,
    Series,
    StackedChart,
    is_finite,
    largest,
)
from components.report.course import columns_of, course_of, readings

MAX_BANDS = 7
"""Classes among stacked bands, as many as there are colours that everybody can tell
apart; the others share one more band."""
_BAND_NAME_LENGTH = 16

_Get = Callable[[Epoch], float | None]


def curves(training: TrainingRecord) -> tuple[LineChart, ...]:
    """Returns loss and accuracy per epoch, on training and on held-out rows."""
    return _line_charts(
        training,
        "curve",
        {
            "loss": (
                ("training", lambda e: e.loss),
                ("held-out", lambda e: e.held_out_loss),
            ),
            "accuracy": (
                ("training", lambda e: e.accuracy),
                ("held-out", lambda e: e.held_out_accuracy),
            ),
        },
    )


def learning_rate(training: TrainingRecord) -> tuple[LineChart, ...]:
    """Returns the learning rate per epoch, unless it is the same in all."""
    if len({e.learning_rate for e in training.epochs}) < 2:
        return ()
    lines: dict[str, tuple[tuple[str, _Get], ...]] = {
        "learning rate": (("rate", lambda e: e.learning_rate),)
    }
    return tuple(
        dataclasses.replace(chart, stepped=True)
        for chart in _line_charts(training, "curve", lines)
    )


def modes(training: TrainingRecord) -> tuple[LineChart, ...]:
    """Returns accuracy and loss on the probe in both modes, per epoch."""

    def of(get: Callable[[ProbeReading], float | None]) -> _Get:
        return lambda epoch: get(epoch.probe) if epoch.probe else None

    return _line_charts(
        training,
        "probe",
        {
            "accuracy": (
                ("training mode", of(lambda p: p.training_accuracy)),
                ("inference mode", of(lambda p: p.inference_accuracy)),
            ),
            "loss": (
                ("training mode", of(lambda p: p.training_loss)),
                ("inference mode", of(lambda p: p.inference_loss)),
            ),
        },
    )


def _line_charts(
    training: TrainingRecord,
    prefix: str,
    charts: dict[str, tuple[tuple[str, _Get], ...]],
) -> tuple[LineChart, ...]:
    course = course_of(training)
    undone = set(course.rolled_back)
    made = []
    for measure, lines in charts.items():
        drawn = tuple(
            series
            for series in (
                Series(name, tuple(map(get, training.epochs))) for name, get in lines
            )
            if any(map(is_finite, series.values))
        )
        if not drawn:
            continue
        show = formats.share if measure == "accuracy" else formats.number
        said = "; ".join(_said(line, show, undone) for line in drawn)
        title = measure.capitalize()
        made.append(
            LineChart(
                id=f"{prefix}-{measure.replace(' ', '-')}",
                title=title,
                series=drawn,
                course=course,
                percent=measure == "accuracy",
                alt=f"{title} over {formats.counted(len(training.epochs), 'epoch')}: "
                f"{said}.",
            )
        )
    return tuple(made)


def _said(line: Series, show: Callable[[float | None], str], undone: set[int]) -> str:
    finite = [value for value in line.values if is_finite(value)]
    # What was rolled back did not shape the model; but it may be all there is.
    lasting = [
        value
        for epoch, value in enumerate(line.values)
        if is_finite(value) and epoch not in undone
    ] or finite
    return f"{line.name} from {show(lasting[0])} to {show(lasting[-1])}"


def broken_epochs(epochs: Iterable[Epoch]) -> int:
    """Returns the number of epochs with a loss that is NaN or infinite."""
    return sum(
        any(v is not None and not math.isfinite(v) for v in (e.loss, e.held_out_loss))
        for e in epochs
    )


def predicted_classes(training: TrainingRecord) -> StackedChart | None:
    """Returns the share of the probe that is given each class, over the epochs.

    Where a column stands for several epochs it shows the most one-sided of them, so
    that no collapse is averaged away.
    """
    size = len(training.class_names)
    probes = [
        probe if probe and len(probe.predicted_shares) == size else None
        for probe in readings(training)
    ]
    seen = [probe for probe in probes if probe]
    if not seen or not size:
        return None
    drawn = columns_of(training)
    columns = [
        max(
            (p.predicted_shares for p in map(probes.__getitem__, looks) if p),
            key=max,
            default=None,
        )
        for looks in drawn.looks
    ]
    truth = seen[-1].true_shares
    truth = truth if len(truth) == size else ()
    bands = _bands(training.class_names, columns)
    last = seen[-1].predicted_shares
    top = max(range(size), key=last.__getitem__)
    return StackedChart(
        id="probe-classes",
        title="Predicted classes",
        edges=drawn.edges,
        series=tuple(
            Series(
                name,
                tuple(_sum(c, members) if c is not None else None for c in columns),
            )
            for name, members in bands
        ),
        course=course_of(training),
        reference=tuple(_sum(truth, members) for _, members in bands) if truth else (),
        reference_name="labels",
        alt="Share of the probe that is predicted as each class, over "
        f"{formats.counted(len(probes), 'epoch')}. At last "
        f"{formats.name(training.class_names[top], NAME_LENGTH)} has the largest: "
        f"{formats.share(last[top])}"
        + (f", and {formats.share(truth[top])} of the labels." if truth else "."),
    )


def _bands(
    names: Sequence[str], columns: Sequence[tuple[float, ...] | None]
) -> list[tuple[str, tuple[int, ...]]]:
    """Returns name and classes of each band: the largest ever, and all the others."""
    size = len(names)
    peaks = [max(c[k] for c in columns if c is not None) for k in range(size)]
    shown = largest(peaks, MAX_BANDS)
    bands: list[tuple[str, tuple[int, ...]]] = [
        (formats.name(names[k], _BAND_NAME_LENGTH), (k,)) for k in shown
    ]
    rest = tuple(sorted(set(range(size)) - set(shown)))
    if rest:
        noun = "other class" if len(rest) == 1 else "other classes"
        bands.append((f"{len(rest):,} {noun}", rest))
    return bands


def _sum(shares: Sequence[float], members: Iterable[int]) -> float:
    return math.fsum(shares[k] for k in members)


def batch_norm(drifts: Sequence[BatchNormDrift]) -> tuple[BarChart, ...]:
    """Returns the two distances of moving statistics and data, per layer."""
    if not drifts:
        return ()
    worst = [
        _infinite_if_nan(d.mean_shift) + _infinite_if_nan(d.log_variance_ratio)
        for d in drifts
    ]
    shown = [drifts[k] for k in largest(worst, MAX_BARS)]
    layers = [drift.layer for drift in shown]
    return tuple(
        _layer_bars(
            f"batchnorm-{key.replace('_', '-')}",
            title,
            layers,
            tuple(getattr(drift, key) for drift in shown),
        )
        for key, title in (
            ("mean_shift", "Shift of the mean (standard deviations)"),
            ("log_variance_ratio", "Log ratio of the variances"),
        )
    )


def moved_layers(moved: Sequence[Forgetting]) -> tuple[BarChart, ...]:
    """Returns how far fine-tuning moved the layers of the base."""
    if not moved:
        return ()
    distances = [_infinite_if_nan(layer.distance) for layer in moved]
    shown = [moved[k] for k in largest(distances, MAX_BARS)]
    return (
        _layer_bars(
            "transfer-moved",
            "Distance moved (share of the weights' norm)",
            [entry.layer for entry in shown],
            tuple(entry.distance for entry in shown),
        ),
    )


def _layer_bars(
    chart_id: str, title: str, layers: Sequence[str], values: Numbers
) -> BarChart:
    texts = tuple(formats.number(value, 3) for value in values)
    sizes = [0.0 if v is None else _infinite_if_nan(v) for v in values]
    extreme = max(range(len(sizes)), key=sizes.__getitem__)
    return BarChart(
        id=chart_id,
        title=title,
        labels=tuple(formats.name(layer, NAME_LENGTH) for layer in layers),
        series=(Series(title, values),),
        texts=texts,
        alt=f"{title} for {formats.counted(len(layers), 'layer')}; the largest is "
        f"{texts[extreme]} in layer {formats.name(layers[extreme])}.",
    )


def _infinite_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else abs(value)
