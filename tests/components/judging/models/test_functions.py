# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.errors import InputError
from components.judging.models.functions import FunctionModel
from components.records.evaluation import CANDIDATE

ROWS = np.zeros((4, 3), np.float32)


def thirds(x):
    return np.full((len(x), 3), 1 / 3)


def test_a_function_is_asked_for_what_it_answers():
    model = FunctionModel(thirds, ROWS)
    assert model.spec.num_classes == 3
    assert model.ask(CANDIDATE, ROWS[:2]).shape == (2, 3)
    assert not model.takes_examples(CANDIDATE)
    assert model.drift([ROWS]) == ()


def test_a_function_has_one_mode_and_says_so():
    model = FunctionModel(thirds, ROWS)
    assert model.modes == ()
    assert "one mode only" in model.modes_missing_because
    assert not model.has_no_modes


def test_an_error_of_the_function_is_told_with_its_name():
    def broken(x):
        raise KeyError("colour")

    with pytest.raises(InputError, match="model .*broken: expected.*KeyError.*colour"):
        FunctionModel(broken, ROWS)


def test_answers_that_are_classes_are_refused():
    with pytest.raises(InputError, match="expected probabilities"):
        FunctionModel(lambda x: np.zeros(len(x), int), ROWS)
