# SPDX-License-Identifier: Apache-2.0
import types

import numpy as np
import pytest

from components.errors import InputError
from components.guarded_evaluator.config import EvaluationConfig
from components.judging.slicing import Slicing


@pytest.fixture
def make(make_split):
    def of(train, judged, *features, **config):
        splits = [
            make_split(name, np.zeros((3, 1)), np.zeros(3, int), values)
            for name, values in (("train", train), ("eval", judged))
        ]
        data = types.SimpleNamespace(train=splits[0], eval=splits[1])
        return Slicing(data, EvaluationConfig(slices=features, **config)), data

    return of


def rows(slicing, split, *positions):
    return {
        name: held.tolist()
        for name, held in slicing.rows(split, np.array(positions, int))
    }


def test_without_features_there_is_the_whole_split(make):
    slicing, data = make({}, {})
    assert rows(slicing, data.eval, 0, 1) == {"": [True, True]}
    assert rows(slicing, data.eval) == {"": []}


def test_each_value_is_a_slice_of_the_rows_that_have_it(make):
    values = {"site": ["a", "b", None]}
    slicing, data = make(values, values, "site")
    assert rows(slicing, data.train, 2, 1, 0) == {
        "": [True] * 3,
        "site=a": [False, False, True],
        "site=b": [False, True, False],
    }
    assert rows(slicing, data.eval, 2) == {"": [True]}
    assert slicing.unjudged == ()


def test_a_feature_that_is_no_category_is_listed_with_its_reason(make):
    slicing, data = make({"size": None}, {"size": None}, "size")
    (unjudged,) = slicing.unjudged
    assert (unjudged.slice, unjudged.reason) == ("size", "'size' holds fractions")
    assert list(rows(slicing, data.eval, 0)) == [""]


@pytest.mark.parametrize(("most", "is_judged"), [(3, True), (2, False)])
def test_values_of_both_splits_count_towards_the_most(make, most, is_judged):
    train, judged = {"site": ["a", "b", "a"]}, {"site": ["c", "c", None]}
    slicing, data = make(train, judged, "site", max_slices=most)
    assert (slicing.unjudged == ()) is is_judged
    assert ("site=c" in rows(slicing, data.eval, 0)) is is_judged


def test_an_unknown_feature_raises(make):
    with pytest.raises(InputError, match="there is no 'site'"):
        make({}, {}, "site")
