# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.errors import InputError
from components.judging.asking import Asking
from components.judging.models.asked import COPY
from components.records.evaluation import (
    BASELINE,
    BATCH_STATISTICS_MODE,
    CANDIDATE,
    TRAINING_MODE,
)


def same(rows):
    return np.full((len(rows), 3), 1 / 3)


def shifted(by):
    return lambda rows: same(rows) + by


def fails(rows):
    raise RuntimeError("no such kernel")


def fails_later():
    calls = iter([same, fails])
    return lambda rows: next(calls)(rows)


@pytest.fixture(scope="module")
def split(make_split):
    return make_split("eval", np.zeros((600, 3)), np.zeros(600, int))


ALL = np.arange(100)


def test_all_modes_and_the_model_in_production_are_asked(make_model, split):
    model = make_model({CANDIDATE: same, TRAINING_MODE: shifted(0.1)})
    asking = Asking(model, make_model({CANDIDATE: shifted(0.2)}))
    answers = asking.ask(split, ALL)
    assert list(answers) == [CANDIDATE, TRAINING_MODE, BASELINE]
    assert answers[BASELINE].shape == (100, 3)
    assert asking.modes == (TRAINING_MODE,)
    assert asking.left_out == asking.findings == ()
    assert asking.modes_missing_because == ""


@pytest.mark.parametrize("fault", [fails, fails_later()])
def test_a_mode_that_fails_blocks_and_is_left_out_for_good(make_model, split, fault):
    model = make_model(
        {CANDIDATE: same, TRAINING_MODE: fault, BATCH_STATISTICS_MODE: same}
    )
    asking = Asking(model)
    for _ in range(3):
        answers = asking.ask(split, ALL)
    assert list(answers) == [CANDIDATE, BATCH_STATISTICS_MODE]
    assert asking.left_out == (TRAINING_MODE,)
    (finding,) = asking.findings
    assert finding.blocks
    assert "no such kernel" in finding.message
    assert asking.modes_missing_because == ""


def test_where_all_modes_fail_the_reason_is_kept(make_model, split):
    asking = Asking(make_model({CANDIDATE: same, TRAINING_MODE: fails}))
    asking.ask(split, ALL)
    assert "no such kernel" in asking.modes_missing_because


@pytest.mark.parametrize("difference", [0.0, 1e-3])
def test_a_copy_that_differs_by_rounding_lends_its_modes(make_model, split, difference):
    model = make_model(
        {CANDIDATE: same, COPY: shifted(difference), TRAINING_MODE: same},
        rounding=1.1e-3,
    )
    asking = Asking(model)
    for _ in range(4):
        assert list(asking.ask(split, ALL)) == [CANDIDATE, TRAINING_MODE]
    assert asking.findings == ()


@pytest.mark.parametrize("difference", [0.01, np.nan])
def test_a_copy_that_is_another_model_blocks_and_lends_nothing(
    make_model, split, difference
):
    model = make_model(
        {CANDIDATE: same, COPY: shifted(difference), TRAINING_MODE: same}
    )
    asking = Asking(model)
    for _ in range(2):
        assert list(asking.ask(split, ALL)) == [CANDIDATE]
    (finding,) = asking.findings
    assert finding.cause == "export_mismatch"
    assert finding.blocks
    assert asking.left_out == (COPY, TRAINING_MODE)
    assert "not the model that is served" in asking.modes_missing_because


def test_what_is_no_number_in_both_is_no_difference(make_model, split):
    broken = shifted(np.nan)
    model = make_model({CANDIDATE: broken, COPY: broken, TRAINING_MODE: same})
    asking = Asking(model)
    asking.ask(split, ALL)
    assert asking.findings == ()


def test_a_copy_that_fails_lends_nothing(make_model, split):
    model = make_model({CANDIDATE: same, COPY: fails, TRAINING_MODE: same})
    asking = Asking(model)
    assert list(asking.ask(split, ALL)) == [CANDIDATE]
    assert asking.left_out == (COPY, TRAINING_MODE)


def test_a_copy_is_not_asked_for_ever(make_model, split):
    asked = []

    def counted(rows):
        asked.append(len(rows))
        return same(rows)

    asking = Asking(make_model({CANDIDATE: same, COPY: counted, TRAINING_MODE: same}))
    for _ in range(6):
        asking.ask(split, ALL)
    assert sum(asked) == 300


def test_a_model_that_does_not_take_the_data_raises(make_model, split):
    def refuses(rows):
        raise InputError("m: expected others")

    with pytest.raises(InputError, match="expected others"):
        Asking(make_model({CANDIDATE: refuses})).ask(split, ALL)
    with pytest.raises(InputError, match="expected others"):
        Asking(make_model({CANDIDATE: same}), make_model({CANDIDATE: refuses})).ask(
            split, ALL
        )
