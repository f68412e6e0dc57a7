# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.records.training import (
    Epoch,
    ProbeReading,
    Remedy,
    TrainingRecord,
)
from components.report import course
from components.report.charts import Event


def remedy(epoch, back_to_epoch=None):
    return Remedy(
        action="lower_learning_rate",
        cause="not_a_number",
        epoch=epoch,
        back_to_epoch=back_to_epoch,
        message="",
    )


@pytest.fixture
def trained(good_run):
    """Returns a record of so many epochs with the given remedies."""

    def trained(count, remedies=(), **changes):
        return good_run.training.model_copy(
            update={
                "epochs": tuple(Epoch(loss=1.0) for _ in range(count)),
                "remedies": tuple(remedies),
                "best_epoch": None,
                **changes,
            }
        )

    return trained


@pytest.mark.parametrize(
    ("remedies", "undone", "branches"),
    [
        ([], (), ()),
        ([remedy(3)], (), ()),
        ([remedy(3, 1)], (2, 3), ((1, 2, 3),)),
        ([remedy(3, 3)], (), ()),
        ([remedy(1, -1)], (0, 1), ((0, 1),)),
        ([remedy(2, 1), remedy(3, 1)], (2, 3), ((1, 2), (1, 3))),
        ([remedy(3, 1), remedy(5, 0)], (1, 2, 3, 4, 5), ((0, 1, 2, 3), (1, 4, 5))),
        ([remedy(0, -1), remedy(1, -1)], (0, 1), ((0,), (1,))),
        ([remedy(99, 6)], (7,), ((6, 7),)),
    ],
    ids=[
        "nothing",
        "changed-without-going-back",
        "gone-back",
        "gone-back-to-the-same",
        "to-the-initial-weights",
        "twice-to-one-epoch",
        "also-past-an-earlier-roll-back",
        "twice-to-the-initial-weights",
        "beyond-the-last-epoch",
    ],
)
def test_epochs_that_were_rolled_back_and_where_they_branched_off(
    trained, remedies, undone, branches
):
    made = course.course_of(trained(8, remedies))
    assert made.rolled_back == undone
    assert made.branches == branches


def test_events_stand_in_the_order_of_time(trained):
    epochs = tuple(Epoch(phase="head" if k < 4 else "fine_tuning") for k in range(8))
    training = trained(8, [remedy(5, 4), remedy(1)], resumed_at=(0, 3), epochs=epochs)
    assert course.course_of(training).events == (
        Event(-1, course.RESUMED),
        Event(1, course.REMEDY),
        Event(2, course.RESUMED),
        Event(3, course.NEXT_PHASE),
        Event(5, course.ROLLED_BACK),
    )


@pytest.mark.parametrize(
    ("count", "best", "kept"),
    [(3, None, 2), (3, 0, 0), (3, 2, 2), (3, 3, None), (0, None, None), (1, None, 0)],
    ids=["last", "first", "last-by-number", "beyond", "no-epochs", "one-epoch"],
)
def test_the_epoch_whose_weights_were_kept(trained, count, best, kept):
    assert course.course_of(trained(count, best_epoch=best)).kept == kept


@given(st.integers(0, 2000), st.integers(1, 100))
def test_columns_cover_all_epochs_in_order_and_are_bounded(count, limit):
    edges = course.column_edges(count, limit)
    assert edges[0] == 0
    assert edges[-1] == count
    assert len(edges) - 1 == min(count, limit)
    widths = [end - start for start, end in zip(edges, edges[1:], strict=False)]
    assert all(widths)
    assert not widths or max(widths) - min(widths) <= 1


@pytest.fixture
def looked_at(trained, probe):
    """Returns a record whose model was looked at after the given epochs."""

    def looked_at(count, looks, remedies=()):
        look = probe(2, layers=())
        epochs = tuple(Epoch(probe=look if k in looks else None) for k in range(count))
        return trained(count, remedies, epochs=epochs)

    return looked_at


@pytest.mark.parametrize(
    ("count", "looks", "remedies", "edges", "columns"),
    [
        (0, (), [], (0,), ()),
        (3, (), [], (0, 3), ((),)),
        (3, (0, 1, 2), [], (0, 1, 2, 3), ((0,), (1,), (2,))),
        (9, (0, 4), [], (0, 1, 5, 9), ((0,), (4,), ())),
        (9, (1, 8), [remedy(4, 1)], (0, 2, 5, 9), ((1,), (), (8,))),
        (9, (1, 8), [remedy(4)], (0, 2, 9), ((1,), (8,))),
        (9, (4, 8), [remedy(4, 1)], (0, 5, 9), ((4,), (8,))),
    ],
    ids=[
        "no-epochs",
        "never",
        "always",
        "seldom",
        "not-past-a-roll-back",
        "past-a-change",
        "at-a-roll-back",
    ],
)
def test_a_column_reaches_back_to_the_look_before(
    looked_at, count, looks, remedies, edges, columns
):
    made = course.columns_of(looked_at(count, looks, remedies))
    assert made.edges == edges
    assert made.looks == columns


@given(st.sets(st.integers(0, 199)), st.sets(st.integers(0, 199)), st.integers(1, 9))
def test_columns_of_looks_cover_all_epochs_and_hold_every_look(looks, backs, limit):
    # Made by hand: a fixture lives longer than one example.
    look = ProbeReading(num_examples=1)
    training = TrainingRecord.model_construct(
        epochs=tuple(Epoch(probe=look if k in looks else None) for k in range(200)),
        remedies=tuple(remedy(epoch, epoch - 1) for epoch in sorted(backs)),
    )
    made = course.columns_of(training, limit)
    assert made.edges[0] == 0
    assert made.edges[-1] == 200
    assert list(made.edges) == sorted(set(made.edges))
    assert len(made.looks) == len(made.edges) - 1
    assert [k for column in made.looks for k in column] == sorted(looks)
    assert sum(map(bool, made.looks)) <= limit


@pytest.mark.parametrize(
    ("count", "looks", "notes"),
    [
        (0, 0, ()),
        (4, 4, ()),
        (4, 3, ("looked at after 3 of 4 epochs",)),
        (course.MAX_COLUMNS, course.MAX_COLUMNS, ()),
        (course.MAX_COLUMNS + 1, course.MAX_COLUMNS + 1, ("up to 2 looks",)),
        (500, 499, ("looked at after 499 of 500", "up to 9 looks")),
    ],
    ids=["none", "always", "not-always", "at-the-limit", "just-beyond", "both"],
)
def test_looks_and_shared_columns_are_told(looked_at, count, looks, notes):
    told = course.look_notes(looked_at(count, set(range(looks))))
    assert len(told) == len(notes)
    assert all(note in text for note, text in zip(notes, told, strict=True))
