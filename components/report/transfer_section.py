# SPDX-License-Identifier: Apache-2.0
"""The part of the page that shows what transfer learning did."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from components.records.training import Epoch, TrainingRecord, TransferRecord
from components.report import charts, formats, training_charts
from components.report.charts import is_finite
from components.report.course import rolled_back
from components.report.inputs import ReportInputs
from components.report.page import Section, Table

_MAX_PHASES = 50  # Rows of the table; a training has two or three phases.


def transfer_section(inputs: ReportInputs) -> Section | None:
    """Shows phases, scores before and after, and how far layers moved.

    Returns:
      None for a training without a pretrained base, which lacks nothing.
    """
    training = inputs.training
    if training is None or training.transfer is None:
        return None
    transfer = training.transfer
    intro = list(_told(transfer, training.num_held_out))
    if len(transfer.moved) > charts.MAX_BARS:
        intro.append(
            f"The {charts.MAX_BARS} of {len(transfer.moved):,} layers that moved most."
        )
    return Section(
        id="transfer",
        title="Transfer learning",
        intro=tuple(intro),
        charts=training_charts.moved_layers(transfer.moved),
        healthy="short bars: fine-tuning adjusts what the base had learnt, most of it "
        "near the head.",
        unhealthy="long bars, up to 1 and more: the weights were replaced rather than "
        "adjusted, and what the base had learnt is forgotten.",
        table=_phases(training),
        table_title="Phases",
    )


def _told(transfer: TransferRecord, num_held_out: int) -> Iterator[str]:
    yield (
        f"Base: {formats.name(transfer.backbone)}, weights: "
        f"{formats.name(transfer.weights)}. Fine-tuning trained "
        f"{transfer.unfrozen_layers:,} of its "
        f"{formats.counted(transfer.num_base_layers, 'layer')}."
    )
    if transfer.head_held_out_accuracy is None:
        return
    rows = formats.counted(num_held_out, "held-out row")
    told = (
        f"With the base frozen, accuracy on {rows} was "
        f"{formats.share(transfer.head_held_out_accuracy)}"
    )
    if transfer.tuned_held_out_accuracy is not None:
        told += (
            f", and after fine-tuning {formats.share(transfer.tuned_held_out_accuracy)}"
        )
    if transfer.tuning_kept is not None:
        told += (
            "; the fine-tuned weights were kept"
            if transfer.tuning_kept
            else "; training went back to the weights before fine-tuning"
        )
    yield f"{told}."


def _phases(training: TrainingRecord) -> Table | None:
    undone = set(rolled_back(training))
    numbered = [
        (number, epoch)
        for number, epoch in enumerate(training.epochs, start=1)
        if number - 1 not in undone
    ]
    rows = []
    for phase, group in groupby(numbered, key=lambda entry: entry[1].phase):
        entries = list(group)
        first, last = entries[0][0], entries[-1][0]
        epochs = [epoch for _, epoch in entries]
        rows.append(
            (
                formats.name(phase.replace("_", " ")),
                f"{first} to {last}" if last > first else str(first),
                _range([e.learning_rate for e in epochs]),
                formats.share(_at_last(epochs, "accuracy")),
                formats.share(_at_last(epochs, "held_out_accuracy")),
            )
        )
    header = (
        "Phase",
        "Epochs",
        "Learning rate",
        "Training accuracy at its end",
        "Held-out accuracy at its end",
    )
    return Table(header, tuple(rows[:_MAX_PHASES])) if rows else None


def _at_last(epochs: Sequence[Epoch], measure: str) -> float | None:
    value: float | None = getattr(epochs[-1], measure)
    return value


def _range(rates: Sequence[float | None]) -> str:
    finite = [rate for rate in rates if is_finite(rate)]
    if not finite:
        return formats.NOT_MEASURED
    low, high = (formats.number(rate, 3) for rate in (min(finite), max(finite)))
    return low if low == high else f"{high} to {low}"
