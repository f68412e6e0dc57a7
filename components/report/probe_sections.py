# SPDX-License-Identifier: Apache-2.0
"""The parts of the page that show what the trainer saw on its probe batch."""

import dataclasses

from components.records.training import LayerReading, ProbeReading, TrainingRecord
from components.report import formats, layer_maps, training_charts
from components.report.course import look_notes, readings
from components.report.inputs import ReportInputs
from components.report.page import Figure, Section, Table, absent
from components.report.training_sections import NO_TRAINING, WITH_REMEDIES

MAX_LAYERS = 300
"""Rows in the table of the layers; ResNet50 has 107 layers with weights, EfficientNetB7
more than 500."""

_OPEN_TABLE = 12  # Rows up to which a table is shown unfolded.
_NO_PROBE = "the trainer looked at no probe examples while training."
_MAPS = (
    (
        layer_maps.GRADIENTS,
        "all rows have pale colours, which change slowly from row to row and fade "
        "towards small norms as the training ends.",
        "rows grow dark blue towards the first layers (vanishing), or dark orange "
        "(exploding).",
    ),
    (
        layer_maps.UPDATES,
        "pale colours around 1e-3: a step changes each layer by a thousandth.",
        "dark orange: steps destroy what was learnt (rate too high); dark blue: "
        "hardly anything changes (rate too low, or a layer that takes no part).",
    ),
    (
        layer_maps.IDLE_UNITS,
        "pale rows: nearly all units of each layer answer to some example.",
        "dark rows: units that answer 0 to every example (dead ReLU), or that sit on "
        "the flat end of a sigmoid or tanh, and no longer learn.",
    ),
    (
        layer_maps.BATCH_NORM,
        "dark at most in the first epochs, then pale: the moving statistics, which "
        "inference uses, have caught up with the batches.",
        "rows that stay dark, or darken: in inference mode the layer normalises with "
        "statistics of other data (mode gap).",
    ),
)


def probe_section(inputs: ReportInputs) -> Section:
    """Shows both modes and the predicted classes on the probe, per epoch."""
    section = Section(id="probe", title="The model between epochs")
    training = inputs.training
    last = _last(training) if training else None
    if training is None or last is None:
        return dataclasses.replace(section, absent=_absent(inputs))
    figures = []
    if modes := training_charts.modes(training):
        figures.append(
            Figure(
                modes,
                "both modes end close to one another; inference mode may be ahead "
                "where dropout makes training mode harder.",
                "inference mode stays far behind training mode on the very same "
                "examples, or falls back: the moving statistics of BatchNorm do not "
                "fit the data.",
            )
        )
    if classes := training_charts.predicted_classes(training):
        figures.append(
            Figure(
                (classes,),
                "each band grows about as wide as its class is among the labels, at "
                "the right, and stays so.",
                "one band takes nearly the whole height: whatever the example, the "
                "model gives that answer (collapse). A band that never opens is a "
                "class that is never predicted.",
            )
        )
    intro = [
        "Between epochs the model answers the same "
        f"{formats.counted(last.num_examples, 'example')} that it is fitted to, in "
        "training mode and in inference mode."
    ]
    intro += look_notes(training)
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        figures=tuple(figures),
    )


def layers_section(inputs: ReportInputs) -> Section:
    """Shows gradients, updates, idle units and BatchNorm of each layer, per epoch."""
    section = Section(id="layers", title="Layers while training")
    training = inputs.training
    last = _last(training, with_layers=True) if training else None
    if training is None or last is None:
        return dataclasses.replace(section, absent=_absent(inputs))
    figures = []
    for quantity, healthy, unhealthy in _MAPS:
        if made := layer_maps.layer_map(training, quantity):
            figures.append(Figure((made,), healthy, unhealthy))
    intro = [
        "On the same examples, in training mode. Layers stand in the order of the "
        "model, the first on top. Blue is too little and orange too much; where "
        "nothing was measured the picture is white.",
        *layer_maps.pooling(training),
    ]
    if len(last.layers) > MAX_LAYERS:
        intro.append(
            f"The table has the first {MAX_LAYERS} of {len(last.layers):,} layers; the "
            "training record has all."
        )
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        figures=tuple(figures),
        table=_table(last),
        table_title="All layers, when last looked at",
        table_open=len(last.layers) <= _OPEN_TABLE,
    )


def _last(
    training: TrainingRecord, *, with_layers: bool = False
) -> ProbeReading | None:
    seen = [probe for probe in readings(training) if probe]
    return next((p for p in reversed(seen) if p.layers or not with_layers), None)


def _absent(inputs: ReportInputs) -> str:
    training = inputs.training
    if training is None:
        return absent(inputs, "training", NO_TRAINING)
    if training.format_version < WITH_REMEDIES:
        return absent(
            inputs,
            "training",
            f"the record is of format {training.format_version}, which has no probes; "
            "a new training will have them.",
        )
    return absent(inputs, "training", _NO_PROBE)


def _table(probe: ProbeReading) -> Table:
    return Table(
        (
            "Layer",
            "Gradient norm",
            "Weight norm",
            "Update ratio",
            "Output mean",
            "Output deviation",
            "Dead",
            "Saturated",
            "Not finite",
        ),
        tuple(map(_row, probe.layers[:MAX_LAYERS])),
        texts=(8,),
    )


def _row(layer: LayerReading) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "–" if value is None else formats.number(value, 3)

    def share(value: float | None) -> str:
        return "–" if value is None else formats.share(value)

    return (
        formats.name(layer.layer),
        number(layer.gradient_norm),
        number(layer.weight_norm),
        number(layer.update_ratio),
        number(layer.output_mean),
        number(layer.output_std),
        share(layer.dead_share),
        share(layer.saturated_share),
        ", ".join(map(formats.clean, layer.not_finite)) or "–",
    )
