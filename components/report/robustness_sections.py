# SPDX-License-Identifier: Apache-2.0
"""The parts of the page on what should not change an answer: company and trifles."""

from collections.abc import Iterator

from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    ONE_BY_ONE,
    PERTURBED_PREFIX,
    TRAINING_MODE,
    EvaluationRecord,
    PairedResult,
)
from components.report import charts, formats
from components.report.charts import BarChart, Series
from components.report.inputs import ReportInputs
from components.report.intervals import share_interval
from components.report.page import Section, Table

_OTHER_PARTS = frozenset((TRAINING_MODE, BATCH_STATISTICS_MODE, BASELINE))
_COUNTS_DIFFERENT = 2  # Format of the record from which it counts other answers.


def companions_section(inputs: ReportInputs) -> Section | None:
    """Shows whether an answer depends on what else is in the batch.

    Returns:
      None where it was not measured: the page then says nothing.
    """
    evaluation = inputs.evaluation
    pairs = list(_companions(evaluation)) if evaluation else []
    if evaluation is None or not pairs:
        return None
    rows = [
        (
            f"{formats.name(pair.split)} · {_asked(pair.other)}",
            formats.count(pair.num_examples),
            _different(evaluation, pair),
            formats.count(pair.only_candidate_right),
            formats.count(pair.only_other_right),
            formats.number(pair.mean_distance, 3),
        )
        for pair in pairs
    ]
    return Section(
        id="companions",
        title="Batch companions",
        intro=(
            "The same model on the same examples, in other company. A model in "
            "inference mode answers the same, but for rounding.",
        ),
        table=Table(
            (
                "Split, and how it was asked",
                "Examples",
                "Other answers",
                "Right only in the batch",
                "Right only this way",
                "Distance of probabilities",
            ),
            tuple(rows),
        ),
        table_title="In the batch against other company",
    )


def changes_section(inputs: ReportInputs) -> Section | None:
    """Shows how many right answers harmless changes of the input make wrong.

    Returns:
      None where it was not measured: the page then says nothing.
    """
    evaluation = inputs.evaluation
    pairs = list(_changes(evaluation)) if evaluation else []
    if evaluation is None or not pairs:
        return None
    return Section(
        id="changes",
        title="Harmless changes",
        intro=(
            "The same examples, changed in a way that no person would mind: how many "
            "of the right answers become wrong, with the 95 % interval.",
        ),
        charts=_charts(pairs),
        healthy="short bars: a few answers near the border between two classes turn.",
        unhealthy="long bars: the model holds on to details that the next camera, "
        "library or rounding changes.",
        table=Table(
            (
                "Split and change",
                "Examples",
                "Right before",
                "Turned wrong",
                "Turned right",
                "Other answers",
                "Distance of probabilities",
            ),
            tuple(_row(evaluation, pair) for pair in pairs),
        ),
        table_title="All changes",
        table_open=len(pairs) <= charts.MAX_BARS,
    )


def _companions(evaluation: EvaluationRecord) -> Iterator[PairedResult]:
    """Yields comparisons with the same model, asked in another way."""
    models = {result.model for result in evaluation.results}
    for pair in evaluation.pairs:
        is_other = pair.other in models or pair.other in _OTHER_PARTS
        if not is_other and not pair.slice and not _is_change(pair):
            yield pair


def _changes(evaluation: EvaluationRecord) -> Iterator[PairedResult]:
    for pair in evaluation.pairs:
        if _is_change(pair) and not pair.slice and pair.num_examples:
            yield pair


def _is_change(pair: PairedResult) -> bool:
    return pair.other.startswith(PERTURBED_PREFIX)


def _asked(other: str) -> str:
    if other == ONE_BY_ONE:
        return "one by one"
    return formats.name(other.replace("_", " "))


def _change(pair: PairedResult) -> str:
    return formats.name(pair.other.removeprefix(PERTURBED_PREFIX).replace("_", " "))


def _different(evaluation: EvaluationRecord, pair: PairedResult) -> str:
    if evaluation.format_version < _COUNTS_DIFFERENT:
        return "–"
    return formats.count(pair.num_different)


def _row(evaluation: EvaluationRecord, pair: PairedResult) -> tuple[str, ...]:
    right = pair.both_right + pair.only_candidate_right
    turned = formats.count(pair.only_candidate_right)
    if right:
        turned += f" ({formats.share(pair.only_candidate_right / right)})"
    return (
        f"{formats.name(pair.split)} · {_change(pair)}",
        formats.count(pair.num_examples),
        formats.count(right),
        turned,
        formats.count(pair.only_other_right),
        _different(evaluation, pair),
        formats.number(pair.mean_distance, 3),
    )


def _charts(pairs: list[PairedResult]) -> tuple[BarChart, ...]:
    """Returns one picture per split; the changes that turn most if there are many."""
    made = []
    for split in dict.fromkeys(pair.split for pair in pairs):
        right = {
            pair: pair.both_right + pair.only_candidate_right
            for pair in pairs
            if pair.split == split and pair.both_right + pair.only_candidate_right
        }
        if not right:
            continue
        every = list(right)
        shares = [pair.only_candidate_right / right[pair] for pair in every]
        shown = [every[k] for k in charts.largest(shares, charts.MAX_BARS)]
        values = tuple(pair.only_candidate_right / right[pair] for pair in shown)
        worst = max(zip(values, shown, strict=True), key=lambda entry: entry[0])
        title = f"Turned wrong, split {formats.name(split, charts.NAME_LENGTH)}"
        made.append(
            BarChart(
                id=f"changes-{charts.fragment(split)}",
                title=title,
                labels=tuple(_change(pair)[: charts.NAME_LENGTH] for pair in shown),
                series=(Series("turned wrong", values),),
                texts=tuple(map(formats.share, values)),
                intervals=tuple(
                    share_interval(pair.only_candidate_right, right[pair])
                    for pair in shown
                ),
                percent=True,
                alt=f"{title}: share of the right answers, most of them by "
                f"{_change(worst[1])}, {formats.share(worst[0])}.",
            )
        )
    return tuple(made)
