# SPDX-License-Identifier: Apache-2.0

import pytest

from components.labels import ClassTable
from components.records.evaluation import CANDIDATE, EvaluationRecord, ModelResult
from components.report import charts


def record(confusion, split="eval"):
    return EvaluationRecord(
        class_names=tuple(f"c{k}" for k in range(len(confusion))),
        results=(
            ModelResult(
                model=CANDIDATE,
                split=split,
                num_examples=sum(map(sum, confusion)),
                confusion=confusion,
                mean_loss=0.5,
                output_spread=(0.1,) * len(confusion),
            ),
        ),
    )


def diagonal(size):
    return tuple(tuple(7 * (k == row) for k in range(size)) for row in range(size))


def test_train_comes_first_and_eval_is_the_judged_split():
    results = (
        *record(diagonal(2), "validation").results,
        *record(diagonal(2), "eval").results,
        *record(diagonal(2), "train").results,
    )
    evaluation = EvaluationRecord(class_names=("a", "b"), results=results)
    assert charts.ordered_splits(evaluation) == ("train", "validation", "eval")
    assert charts.judged_split(evaluation) == "eval"
    assert charts.judged_split(record(diagonal(2), "train")) == "train"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(2, 2), (charts.MAX_WHOLE_MATRIX, 30), (charts.MAX_WHOLE_MATRIX + 1, 20)],
    ids=["two", "exactly-at-the-limit", "just-beyond"],
)
def test_confusion_of_many_classes_shows_some(size, shown):
    heat_map = charts.confusion(record(diagonal(size)), "eval")
    assert heat_map is not None
    assert len(heat_map.labels) == len(heat_map.counts) == shown
    assert f"{shown} of {size} classes" in heat_map.alt


def test_confusion_of_many_classes_shows_the_confused():
    matrix = [list(row) for row in diagonal(50)]
    matrix[41][8] = 5
    heat_map = charts.confusion(record(tuple(map(tuple, matrix))), "eval")
    assert heat_map is not None
    assert {"c41", "c8"} <= set(heat_map.labels)
    row, column = heat_map.labels.index("c41"), heat_map.labels.index("c8")
    assert heat_map.counts[row][column] == 5
    assert heat_map.shares[row][column] == 5 / 12


def test_confusion_of_a_class_without_examples_has_no_shares():
    heat_map = charts.confusion(record(((3, 1), (0, 0))), "eval")
    assert heat_map is not None
    assert heat_map.shares == ((0.75, 0.25), (None, None))


def test_confusion_of_nothing_is_not_drawn():
    assert charts.confusion(record(((0, 0), (0, 0))), "eval") is None
    assert charts.confusion(record(diagonal(2)), "no such split") is None


def test_modes_need_two_to_compare(mode_gap_run, many_classes):
    assert charts.modes(many_classes.evaluation) == ()
    made = charts.modes(mode_gap_run.evaluation)
    assert [chart.id for chart in made] == [
        "modes-accuracy-train",
        "modes-loss-train",
        "modes-accuracy-eval",
        "modes-loss-eval",
    ]
    assert made[2].labels == ("inference mode", "training mode", "batch statistics")
    assert made[2].series[0].values == pytest.approx((1 / 3, 0.98, 0.98))


def test_modes_without_finite_numbers_say_so(not_a_number_run):
    for chart in charts.modes(not_a_number_run.evaluation):
        assert set(chart.texts) == {"not a number"}


@pytest.mark.parametrize(
    ("weights", "drawn"),
    [((1.0, 1.0), False), ((0.5, 1.5), True), ((0.0, 1.0), True)],
    ids=["equal", "unequal", "class-absent"],
)
def test_weights_are_drawn_where_they_differ(weights, drawn):
    table = ClassTable(
        label_key="y", labels=(0, 1), train_counts=(3, 1), weights=weights
    )
    assert (charts.weights(table) is not None) is drawn
