# SPDX-License-Identifier: Apache-2.0
import pytest

from components.labels import ClassTable
from components.records.evaluation import CANDIDATE, EvaluationRecord, ModelResult
from components.report.charts import MAX_BARS
from components.report.distribution_charts import (
    distributions,
    recalls,
    split_counts,
)


def record(confusion, *splits):
    return EvaluationRecord(
        class_names=tuple(f"c{k}" for k in range(len(confusion))),
        results=tuple(
            ModelResult(
                model=CANDIDATE,
                split=split,
                num_examples=sum(map(sum, confusion)),
                confusion=confusion,
                mean_loss=0.5,
                output_spread=(0.1,) * len(confusion),
            )
            for split in splits or ("eval",)
        ),
    )


def table(train_counts, split_counts=None):
    return ClassTable(
        label_key="y",
        labels=tuple(f"c{k}" for k in range(len(train_counts))),
        train_counts=train_counts,
        weights=(1.0,) * len(train_counts),
        split_counts=split_counts or {},
    )


def test_counts_labels_by_row_and_predictions_by_column():
    (chart,) = distributions(record(((6, 2), (2, 0))), None)
    labels, predictions = chart.series
    assert labels.values == (0.8, 0.2)
    assert predictions.values == (0.8, 0.2)
    (chart,) = distributions(record(((6, 0), (4, 0))), None)
    assert chart.series[1].values == (1.0, 0.0)
    assert "class c0: 60.0\u202f% of the labels, 100\u202f% of the pred" in chart.alt


def test_without_evaluation_is_that_of_the_training_labels():
    (chart,) = distributions(None, table((3, 1)))
    assert [series.values for series in chart.series] == [(0.75, 0.25)]
    assert "The rarest class, c1, has 25.0\u202f%." in chart.alt


def test_the_labels_of_each_split_stand_beside_those_of_the_training_split():
    counts = {"train": (3, 1), "eval": (4, 0), "test": (1, 1)}
    charts = distributions(None, table((3, 1), counts))
    assert [chart.title for chart in charts] == [
        "Labels of train and eval",
        "Labels of train and test",
    ]
    train, eval_ = charts[0].series
    assert (train.name, train.values) == ("train", (0.75, 0.25))
    assert (eval_.name, eval_.values) == ("eval", (1.0, 0.0))
    assert "class c0: 75.0\u202f% and 100\u202f%." in charts[0].alt


def test_a_split_without_labels_is_not_drawn():
    charts = distributions(None, table((3, 1), {"train": (3, 1), "eval": (0, 0)}))
    assert [chart.title for chart in charts] == ["Split train"]


def test_of_many_classes_those_that_differ_most_are_drawn():
    size = MAX_BARS + 1
    counts = {"train": (10,) * size, "eval": (10,) * (size - 1) + (90,)}
    (chart,) = distributions(None, table((10,) * size, counts))
    assert len(chart.labels) == MAX_BARS
    assert chart.labels[-1] == f"c{size - 1}"


@pytest.mark.parametrize(
    ("evaluation", "classes"),
    [
        (None, None),
        (record(((0, 0), (0, 0))), None),
        (EvaluationRecord(class_names=("a",), results=()), None),
        (None, table((0, 0))),
        (None, table((0, 0), {"train": (0, 0), "eval": (0, 0)})),
    ],
    ids=["absent", "no-examples", "no-results", "no-labels", "no-labels-by-split"],
)
def test_nothing_is_not_drawn(evaluation, classes):
    assert distributions(evaluation, classes) == ()


def test_where_only_the_training_split_was_counted_it_stands_alone():
    assert split_counts(table((3, 1))) == {"train": (3, 1)}


def test_ids_are_distinct_whatever_the_splits_are_called():
    splits = ("eval", "ev al", "ev-al", "éval", "c3a9", "é", "<eval>")
    charts = distributions(record(((7, 0), (0, 7)), *splits), None)
    ids = [chart.id for chart in charts]
    assert len(set(ids)) == len(splits)
    assert all(name.replace("-", "").isalnum() and name.isascii() for name in ids)


def test_recalls_have_intervals_and_leave_out_classes_without_examples():
    chart = recalls(record(((6, 2, 0), (0, 0, 0), (3, 0, 1))), "eval")
    assert chart.labels == ("c0", "c2")
    assert chart.series[0].values == (0.75, 0.25)
    for (low, high), recall in zip(chart.intervals, (0.75, 0.25), strict=True):
        assert low < recall < high
    assert "least of class c2, 25.0\u202f%" in chart.alt


def test_of_many_classes_the_least_recognised_are_drawn():
    size = MAX_BARS + 1
    confusion = [[0] * size for _ in range(size)]
    for k in range(size):
        confusion[k][k], confusion[k][0] = 9, confusion[k][0] + 1
    confusion[0][0] = 10
    chart = recalls(record(tuple(map(tuple, confusion))), "eval")
    assert len(chart.labels) == MAX_BARS
    assert "c0" not in chart.labels


def test_recalls_of_nothing_are_not_drawn():
    assert recalls(record(((0, 0), (0, 0))), "eval") is None
    assert recalls(record(((1, 0), (0, 1))), "no such split") is None
