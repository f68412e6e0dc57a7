# SPDX-License-Identifier: Apache-2.0
"""What each layer did on the probe, over the epochs, as maps of colours.

A picture of every layer and epoch of a large training would be as large as the
training is long. Where there are more layers or epochs than a picture has room for,
neighbours share a row or a column, which shows the most extreme of them: what is
averaged could hide the one layer, or the one epoch, in which it went wrong.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from components.records.training import LayerReading, TrainingRecord
from components.report import formats
from components.report.charts import (
    NAME_LENGTH,
    Course,
    EpochMap,
    Numbers,
    Scale,
    is_finite,
)
from components.report.course import (
    column_edges,
    columns_of,
    course_of,
    look_notes,
    readings,
)

MAX_ROWS = 30
"""Layers in one map; more cannot be told apart in a picture of 600 pixels."""

_NORMS = Scale(
    # Around 1e-2: about 1 is usual when a training begins, and 1e-4 when it has
    # converged; 1e-7 is the resolution of float32 beside weights of 1.
    low=-8,
    high=4,
    two_sided=True,
    ticks=tuple((k, f"1e{k}" if k else "1") for k in (-8, -4, 0, 4)),
    name="gradient norm",
)
_RATIOS = Scale(
    # Around 1e-3, the usual rule of thumb (Karpathy, CS231n, "Babysitting the
    # learning process").
    low=-7,
    high=1,
    two_sided=True,
    ticks=tuple((k, f"1e{k}" if k else "1") for k in (-7, -5, -3, -1, 1)),
    name="change of the weights in one step, relative to their norm",
)
_SHARES = Scale(
    low=0,
    high=1,
    two_sided=False,
    ticks=tuple((k / 4, f"{25 * k} %") for k in range(5)),
    name="share of the layer's units",
)
_DRIFT = Scale(
    low=0,
    high=2,
    two_sided=False,
    ticks=((0, "0"), (0.5, "0.5"), (1, "1"), (1.5, "1.5"), (2, "2 and more")),
    name="shift of the mean, or log ratio of the variances, whichever is larger",
)


@dataclasses.dataclass(frozen=True)
class _Quantity:
    id: str
    title: str
    scale: Scale
    get: Callable[[LayerReading], float | None]
    broken_by: frozenset[str]
    """What of a layer may not be finite for the number to mean nothing."""
    healthy: float
    """The farther from it, the more extreme."""
    show: Callable[[float], str]


def _log10(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return value
    return math.log10(value) if value > 0 else -1000.0  # Below every scale.


def _idle_share(layer: LayerReading) -> float | None:
    return layer.saturated_share if layer.dead_share is None else layer.dead_share


def _drift(layer: LayerReading) -> float | None:
    sizes = [
        abs(v) for v in (layer.mean_shift, layer.log_variance_ratio) if v is not None
    ]
    return next((v for v in sizes if math.isnan(v)), max(sizes, default=None))


def _power(value: float) -> str:
    if value >= sys.float_info.max_10_exp:  # No float: a weight that exploded.
        return f"1e{value:.0f}"
    return "0" if value <= -1000 else formats.number(10.0**value, 2)


def _number(value: float) -> str:
    return formats.number(value, 3)


GRADIENTS = _Quantity(
    "layers-gradients",
    "Gradient norm",
    _NORMS,
    lambda layer: _log10(layer.gradient_norm),
    frozenset({"gradients", "weights"}),
    -2.0,
    _power,
)
UPDATES = _Quantity(
    "layers-updates",
    "Update ratio",
    _RATIOS,
    lambda layer: _log10(layer.update_ratio),
    frozenset({"weights"}),
    -3.0,
    _power,
)
IDLE_UNITS = _Quantity(
    "layers-idle",
    "Dead or saturated units",
    _SHARES,
    _idle_share,
    frozenset({"outputs"}),
    0.0,
    formats.share,
)
BATCH_NORM = _Quantity(
    "layers-batchnorm",
    "BatchNorm drift",
    _DRIFT,
    _drift,
    frozenset(),
    0.0,
    _number,
)


def layer_map(training: TrainingRecord, quantity: _Quantity) -> EpochMap | None:
    """Returns one quantity of all layers that have it, over the epochs.

    Args:
      training: The record.
      quantity: One of `GRADIENTS`, `UPDATES`, `IDLE_UNITS`, `BATCH_NORM`.

    Returns:
      The map, or None where nothing of it was measured.
    """
    layers = _measured(training, quantity)
    if not layers:
        return None
    course = course_of(training)
    columns = columns_of(training)
    rows = column_edges(len(layers), MAX_ROWS)
    names = tuple(layers)
    labels, values = [], []
    for first, end in zip(rows, rows[1:], strict=False):
        group = names[first:end]
        name = _most_extreme_layer(layers, group, quantity)
        labels.append(name)
        values.append(
            tuple(
                _most_extreme([layers[n][k] for n in group for k in looks], quantity)
                for looks in columns.looks
            )
        )
    shorten = _shortener(names)
    return EpochMap(
        id=quantity.id,
        title=quantity.title,
        labels=tuple(formats.name(shorten(label), NAME_LENGTH) for label in labels),
        edges=columns.edges,
        values=tuple(values),
        scale=quantity.scale,
        course=course,
        alt=_alt(layers, quantity, course),
    )


def pooling(training: TrainingRecord) -> tuple[str, ...]:
    """Says in sentences what shares a row or a column of the maps; empty if nothing."""
    layers = {
        layer.layer for probe in readings(training) if probe for layer in probe.layers
    }
    told = []
    if len(layers) > MAX_ROWS:
        told.append(
            f"Where more than {MAX_ROWS} layers have a number, neighbours share a row, "
            "under the name of the most extreme of them."
        )
    return (*told, *look_notes(training))


def _measured(
    training: TrainingRecord, quantity: _Quantity
) -> dict[str, list[float | None]]:
    """Returns one number per epoch for each layer, in the order of the model."""
    layers: dict[str, list[float | None]] = {}
    count = len(training.epochs)
    for epoch, probe in enumerate(readings(training)):
        for layer in probe.layers if probe else ():
            value = quantity.get(layer)
            if value is not None and quantity.broken_by & set(layer.not_finite):
                value = math.nan
            if value is not None:
                layers.setdefault(layer.layer, [None] * count)[epoch] = value
    return {name: layers[name] for name in _in_order(training) if name in layers}


def _in_order(training: TrainingRecord) -> Iterator[str]:
    names: dict[str, None] = {}
    for probe in readings(training):
        for layer in probe.layers if probe else ():
            names.setdefault(layer.layer)
    return iter(names)


def _distance(value: float | None, quantity: _Quantity) -> float:
    """Returns how extreme a number is; what was not measured is least of all."""
    if value is None:
        return -1.0
    return abs(value - quantity.healthy) if math.isfinite(value) else math.inf


def _most_extreme(values: Sequence[float | None], quantity: _Quantity) -> float | None:
    return max(values, key=lambda value: _distance(value, quantity), default=None)


def _most_extreme_layer(
    layers: Mapping[str, Numbers | list[float | None]],
    group: Sequence[str],
    quantity: _Quantity,
) -> str:
    return max(
        group, key=lambda name: max(_distance(v, quantity) for v in layers[name])
    )


def _shortener(names: Sequence[str]) -> Callable[[str], str]:
    """Returns what takes away the folders that all paths begin with."""
    parts = [name.split("/")[:-1] for name in names]
    shared = 0
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return lambda name: "/".join(name.split("/")[shared:])


def _alt(
    layers: Mapping[str, Sequence[float | None]], quantity: _Quantity, course: Course
) -> str:
    """Says the range at the last epoch that has numbers, and what is not finite."""
    text = (
        f"{quantity.title} of {formats.counted(len(layers), 'layer')} over "
        f"{formats.counted(course.num_epochs, 'epoch')}"
    )
    broken = [
        name
        for name, values in layers.items()
        if any(v is not None and not math.isfinite(v) for v in values)
    ]
    for epoch in reversed(range(course.num_epochs)):
        last = {n: v[epoch] for n, v in layers.items() if is_finite(v[epoch])}
        finite = {name: value for name, value in last.items() if value is not None}
        if finite:
            low, high = (
                min(finite, key=finite.__getitem__),
                max(finite, key=finite.__getitem__),
            )
            text += (
                f"; after epoch {epoch + 1} from {quantity.show(finite[low])} "
                f"({formats.name(low)}) to {quantity.show(finite[high])} "
                f"({formats.name(high)})"
            )
            break
    if broken:
        text += f"; not finite in {formats.counted(len(broken), 'layer')}"
    return f"{text}."
