# SPDX-License-Identifier: Apache-2.0
"""The parts of the page that show what the evaluator measured."""

import dataclasses
from collections.abc import Sequence

from components.records.evaluation import CANDIDATE, EvaluationRecord
from components.report import charts, distribution_charts, formats
from components.report.inputs import ReportInputs
from components.report.intervals import share_interval
from components.report.page import Figure, Section, Table, absent

MAX_CLASSES = 1000
"""Rows in the table of the classes."""

_NO_EVALUATION = "this run evaluated no model."
_OPEN_TABLE = 12  # Rows up to which a table is shown unfolded.
_OF_PREDICTIONS = (
    "in each class, the bar of the predictions is about as long as that of the labels, "
    "and no class is far shorter than the others.",
    "one class has nearly all predictions (collapse), or a class that has labels has "
    "no predictions (dead class).",
)
_OF_LABELS = (
    "no class is far shorter than the others, and each has about the same share in "
    "every split.",
    "a class without a bar (it is missing from the split), or bars of one class that "
    "differ (the splits are not drawn from the same data).",
)


def distributions_section(inputs: ReportInputs) -> Section:
    """Shows what is labelled and what is predicted, per split."""
    evaluation = inputs.evaluation
    predicted = evaluation is not None and charts.ordered_splits(evaluation)
    title = "Labels and predictions" if inputs.has_model else "Classes per split"
    section = Section(id="distributions", title=title)
    made = distribution_charts.distributions(evaluation, inputs.classes)
    if not made:
        why = absent(inputs, "evaluation", _nothing_predicted(evaluation))
        return dataclasses.replace(section, absent=why)
    classes = len(evaluation.class_names if evaluation else made[0].labels)
    if not predicted and inputs.classes:
        classes = len(inputs.classes.labels)
    intro = []
    if not predicted and inputs.has_model:
        intro.append(f"Labels only. {absent(inputs, 'evaluation', _NO_EVALUATION)}")
    if classes > charts.MAX_BARS:
        differ = "labels and predictions" if predicted else "the splits"
        two = len(made[0].series) > 1
        which = f"{differ} differ most" if two else "labels are rarest"
        whose = "for which" if two else "whose"
        intro.append(f"The {charts.MAX_BARS} of {classes:,} classes {whose} {which}.")
    if evaluation is not None:
        intro += _spread(evaluation)
        intro += _not_finite(evaluation)
    healthy, unhealthy = _OF_PREDICTIONS if predicted else _OF_LABELS
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        charts=made,
        healthy=healthy,
        unhealthy=unhealthy,
    )


def _spread(evaluation: EvaluationRecord) -> list[str]:
    """Says over how many classes the predictions are spread, for each split."""
    told = []
    for split in charts.ordered_splits(evaluation):
        result = evaluation.result(CANDIDATE, split)
        if result is None or not charts.has_predictions(result):
            continue
        # The same number of the labels is that of a model that is always right.
        ideal = result.model_copy(
            update={"confusion": tuple(zip(*result.confusion, strict=True))}
        )
        told.append(
            f"Split {formats.name(split)}: the predictions are spread over "
            f"{formats.number(result.effective_predicted_classes, 3)} effective "
            f"classes (the exponential of the entropy of their shares), the labels "
            f"over {formats.number(ideal.effective_predicted_classes, 3)}; their "
            f"shares differ by {formats.share(result.class_distance)} (total variation "
            "distance)."
        )
    return told


def _nothing_predicted(evaluation: EvaluationRecord | None) -> str:
    if evaluation is None:
        return _NO_EVALUATION
    return " ".join(_not_finite(evaluation)) or "no split has examples to count."


def _not_finite(evaluation: EvaluationRecord) -> list[str]:
    return [
        f"{formats.counted(r.num_not_finite, 'example')} of split "
        f"{formats.name(r.split)} had NaN or infinity among their "
        "predictions and count in no picture."
        for r in evaluation.results
        if r.model == CANDIDATE and not r.slice and r.num_not_finite
    ]


def confusion_section(inputs: ReportInputs) -> Section:
    """Shows which classes are taken for which."""
    section = Section(id="confusion", title="Confusion matrix")
    evaluation = inputs.evaluation
    split = charts.judged_split(evaluation) if evaluation else None
    chart = charts.confusion(evaluation, split) if evaluation and split else None
    if evaluation is None or split is None or chart is None:
        why = absent(inputs, "evaluation", _nothing_predicted(evaluation))
        return dataclasses.replace(section, absent=why)
    size = len(evaluation.class_names)
    intro = ["Rows are true classes, columns are predicted classes, both in one order."]
    if len(chart.labels) < size:
        intro.append(
            f"The {len(chart.labels)} most confused of {size:,} classes; predictions "
            "that fall outside them are not shown."
        )
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        charts=(chart,),
        healthy="a dark diagonal on a pale ground.",
        unhealthy="a dark column: examples of many classes all get that one answer.",
        table=_most_confused(evaluation, split),
        table_title="Most frequent confusions",
        table_beside=True,
    )


def _most_confused(evaluation: EvaluationRecord, split: str) -> Table | None:
    result = evaluation.result(CANDIDATE, split)
    if result is None:
        return None
    wrong = [
        (n, true, predicted)
        for true, row in enumerate(result.confusion)
        for predicted, n in enumerate(row)
        if n and true != predicted
    ]
    wrong.sort(key=lambda entry: (-entry[0], entry[1:]))
    names = evaluation.class_names
    rows = [
        (
            f"{formats.name(names[true])} → {formats.name(names[predicted])}",
            formats.count(n),
            formats.share(n / sum(result.confusion[true])),
        )
        for n, true, predicted in wrong[:10]
    ]
    header = ("True → predicted", "Examples", "Of the true class")
    return Table(header, tuple(rows)) if rows else None


def modes_section(inputs: ReportInputs) -> Section:
    """Shows what the mode changes on the same examples."""
    section = Section(id="modes", title="Inference against training mode")
    evaluation = inputs.evaluation
    if evaluation is None or not evaluation.results:
        why = absent(inputs, "evaluation", _NO_EVALUATION)
        return dataclasses.replace(section, absent=why)
    made = charts.modes(evaluation)
    rows = []
    for split in charts.ordered_splits(evaluation):
        for result in charts.whole_results(evaluation, split):
            pair = evaluation.pair(result.model, split)
            compared = (
                (
                    formats.count(pair.only_other_right),
                    formats.count(pair.only_candidate_right),
                    formats.number(pair.mean_distance, 3),
                )
                if pair
                else ("–", "–", "–")
            )
            rows.append(
                (
                    f"{formats.name(split)} · {charts.mode_name(result.model)}",
                    formats.count(result.num_examples),
                    formats.share(result.accuracy),
                    formats.number(result.mean_loss),
                    *compared,
                )
            )
    intro = ["The same weights on the same examples, in every mode that was measured."]
    if not made:
        intro = [
            "Not measured: only one mode was evaluated, so there is no gap to see."
        ]
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        charts=made,
        healthy="the bars of one split are about equally long; training mode, with "
        "its dropout, may do a little worse.",
        unhealthy="inference mode does far worse than the other modes: the moving "
        "statistics of BatchNorm do not fit the data.",
        table=Table(
            (
                "Split and mode",
                "Examples",
                "Accuracy",
                "Mean loss (nats)",
                "Right only in this mode",
                "Right only in inference mode",
                "Distance of probabilities",
            ),
            tuple(rows),
        ),
        table_title="All modes",
    )


def classes_section(inputs: ReportInputs) -> Section:
    """Shows what each class has and weighs."""
    section = Section(id="classes", title="Classes and weights")
    table = _class_table(inputs)
    if table is None:
        why = absent(inputs, "classes", "this run counted no classes.")
        return dataclasses.replace(section, absent=why)
    classes = inputs.classes
    chart = charts.weights(classes) if classes else None
    if classes is None:
        why = "how often each class occurs in training."
        intro = [absent(inputs, "classes", why)]
    elif chart is None:
        intro = ["Every class weighs the same in the loss."]
    else:
        intro = [
            f"Weighting: {formats.clean(classes.weighting)}. The mean weight over the "
            "training examples is 1."
        ]
        if len(chart.labels) < len(classes.labels):
            intro.append(
                f"The picture has the {len(chart.labels)} of {len(classes.labels):,} "
                "classes whose weights are furthest from 1."
            )
    whole = len(table.rows) < MAX_CLASSES
    return dataclasses.replace(
        section,
        intro=tuple(intro),
        figures=_recalls(inputs.evaluation),
        charts=(chart,) if chart else (),
        healthy="rare classes weigh more, by a small factor.",
        unhealthy="a weight many times the others: single examples of that class then "
        "drive the training.",
        table=table,
        table_title="All classes" if whole else f"The first {MAX_CLASSES:,} classes",
        table_open=len(table.rows) <= _OPEN_TABLE,
    )


def _recalls(evaluation: EvaluationRecord | None) -> tuple[Figure, ...]:
    """Shows how many examples of each class are recognised, if a model was judged."""
    split = charts.judged_split(evaluation) if evaluation else None
    chart = (
        distribution_charts.recalls(evaluation, split) if evaluation and split else None
    )
    if chart is None:
        return ()
    return (
        Figure(
            (chart,),
            healthy="the bars are about equally long, as far as their intervals tell.",
            unhealthy="a class with a short bar is hardly ever recognised; a wide "
            "interval says that it has too few examples to tell.",
        ),
    )


def _class_table(inputs: ReportInputs) -> Table | None:
    """Lists per class its examples, what became of them, and its weight."""
    evaluation, classes = inputs.evaluation, inputs.classes
    columns: list[tuple[str, Sequence[str]]] = []
    names: Sequence[str] = ()
    if classes is not None:
        names = classes.class_names
        counted = {"Train": classes.train_counts}
        if evaluation is None and classes.split_counts:
            counted = dict(classes.split_counts)
        for title, counts in counted.items():
            columns.append((formats.name(title), list(map(formats.count, counts))))
        columns.append(("Weight", [formats.number(w, 3) for w in classes.weights]))
    split = charts.judged_split(evaluation) if evaluation else None
    result = evaluation.result(CANDIDATE, split) if evaluation and split else None
    if evaluation is not None and result is not None and split is not None:
        # Two records of different classes cannot share rows.
        if names and tuple(names) != evaluation.class_names:
            result = None
        names = names or evaluation.class_names
    if result is not None and split is not None and charts.has_predictions(result):
        true, predicted = charts.class_counts(result)
        right = [row[k] for k, row in enumerate(result.confusion)]
        columns += [
            (f"In {formats.name(split)}", list(map(formats.count, true))),
            ("Predicted", list(map(formats.count, predicted))),
            ("Recall", list(map(_ratio, right, true))),
            (
                "95 % interval",
                list(map(formats.interval, map(share_interval, right, true))),
            ),
            ("Precision", list(map(_ratio, right, predicted))),
        ]
    if not columns or not names:
        return None
    return Table(
        ("Class", *(title for title, _ in columns)),
        tuple(
            (formats.name(names[k]), *(values[k] for _, values in columns))
            for k in range(min(len(names), MAX_CLASSES))
        ),
    )


def _ratio(part: int, whole: int) -> str:
    return formats.share(part / whole) if whole else "–"
