# SPDX-License-Identifier: Apache-2.0
import numpy as np

from components.judging.tally import Tally

IDS = np.array([0, 1, 1])
RIGHT = np.eye(2)[IDS]
WRONG = 1 - RIGHT


def test_batches_add_up_by_model_split_and_slice():
    tally = Tally()
    for part in ([0], [1, 2], []):
        part = np.array(part, int)
        tally.add(("b", "eval", ""), IDS[part], RIGHT[part])
        tally.add_pair(("b", "eval", ""), IDS[part], WRONG[part], RIGHT[part])
    tally.add(("a", "eval", "x=1"), IDS, WRONG)
    first, second = tally.results()
    assert (first.model, first.slice, first.accuracy) == ("a", "x=1", 0.0)
    assert (second.model, second.slice, second.accuracy) == ("b", "", 1.0)
    assert second.num_examples == 3
    (pair,) = tally.pairs()
    assert (pair.other, pair.only_other_right, pair.num_different) == ("b", 3, 3)
    assert pair.mean_distance == 1.0


def test_models_may_be_left_out():
    tally = Tally()
    tally.add(("a", "eval", ""), IDS, RIGHT)
    tally.add_pair(("a", "eval", ""), IDS, RIGHT, RIGHT)
    assert tally.results(without=("a",)) == ()
    assert tally.pairs(without=("a",)) == ()


def test_nothing_is_nothing():
    assert Tally().results() == ()
    assert Tally().pairs() == ()
