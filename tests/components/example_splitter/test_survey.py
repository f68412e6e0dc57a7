# SPDX-License-Identifier: Apache-2.0
import pytest

from components.content.times import read_time
from components.errors import InputError
from components.example_splitter import survey as surveys
from components.example_splitter import units
from components.example_splitter.config import SplitConfig
from components.example_splitter.plan import ClassSplit, TimePlan
from components.example_splitter.survey import (
    Survey,
    Trouble,
    classes_without_eval,
    make_plan,
    rarest,
    require_good,
)

GROUPED = SplitConfig(by="group", group="patient")
TIMED = SplitConfig(by="time", time="day")


def survey_with(kind, detail="", labels=None):
    trouble = Trouble(kind=kind, count=2, first=[("a.gz", 7, detail), ("b.gz", 0, "")])
    return Survey(labels={"x": 3} if labels is None else labels, troubles=(trouble,))


@pytest.mark.parametrize(
    ("survey", "config", "message"),
    [
        (survey_with(units.UNREADABLE, "junk"), GROUPED, "record 7.*is junk.*2 such"),
        (survey_with(units.NO_GROUP, "patiens, x"), GROUPED, "did you mean 'patiens'"),
        (survey_with(units.NO_GROUP), GROUPED, "'patient', .* only no features"),
        (survey_with(units.NO_TIME, "x, y"), TIMED, "a.gz, record 7.*'day'.*x, y"),
        (survey_with(units.ODD_TIME, "now"), TIMED, "ISO 8601 text in 'day'.*now"),
        (survey_with(units.FLOAT_LABEL, "0.5"), GROUPED, "the float 0.5.*regression"),
        (survey_with(units.ODD_LABEL, "??"), GROUPED, "UTF-8.*is ??"),
        (
            survey_with(units.NO_LABEL, "lable, x", {"": 2}),
            GROUPED,
            "'label', but it is in no example; there are lable.*did you mean 'lable'",
        ),
        (Survey(labels={}), GROUPED, "two or more, but there are none"),
    ],
)
def test_what_cannot_be_split_is_an_error(survey, config, message):
    with pytest.raises(InputError, match=message):
        require_good(survey, "label", config)


def test_some_unlabelled_examples_are_no_error():
    require_good(
        survey_with(units.NO_LABEL, "x", {"": 2, "cat": 1}), "label", SplitConfig()
    )


def test_label_of_too_many_values_is_no_class(monkeypatch):
    monkeypatch.setattr(surveys, "MAX_CLASSES", 2)
    require_good(Survey(labels={"a": 1, "b": 1}), "label", SplitConfig())
    with pytest.raises(InputError, match="3 different values, more than 2"):
        require_good(Survey(labels={"a": 1, "b": 1, "c": 1}), "label", SplitConfig())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GROUPED, "groups in 'patient'.*have 2 in all, of 2 classes; split by content"),
        (SplitConfig(), "different contents.*have 2 in all"),
    ],
)
def test_one_unit_per_class_cannot_be_split(config, message):
    classes = (ClassSplit("a", 1, 0), ClassSplit("b", 1, 0))
    with pytest.raises(InputError, match=message):
        make_plan(Survey(labels={"a": 5, "b": 4}, classes=classes), config)


def test_units_are_moved_as_their_class_says():
    inside, outside = b"\1" * 16, b"\2" * 16
    classes = (ClassSplit("a", 9, 2, (inside,), (outside,)), ClassSplit("b", 1, 0))
    plan = make_plan(Survey(labels={"a": 9, "b": 1}, classes=classes), SplitConfig())
    assert plan.is_eval(inside)
    assert not plan.is_eval(outside)
    assert classes_without_eval(classes) == ("b",)


def timed(*values):
    times = tuple((*read_time([value]), 1) for value in values)
    return Survey(labels={"x": len(values)}, times=times)


def test_time_splits_before_the_newest():
    assert make_plan(timed(1, 2, 3, 4, 5), TIMED) == TimePlan(4)


@pytest.mark.parametrize(
    ("survey", "message"),
    [
        (timed(5, 5), "have one, 5; name another"),
        (timed(b"2024-02-03"), "have one, 2024-02-03T00:00:00Z; name"),
        (timed(1, 2.5), "of one kind, but there are float and integer; store"),
    ],
)
def test_times_without_an_order_are_an_error(survey, message):
    with pytest.raises(InputError, match=message):
        make_plan(survey, TIMED)


def test_rarest_label_stands_for_a_unit():
    assert rarest(("a", "b", "c"), {"a": 3, "b": 2, "c": 9}) == "b"
    assert rarest(("b", "a"), {"a": 3, "b": 3}) == "a"
