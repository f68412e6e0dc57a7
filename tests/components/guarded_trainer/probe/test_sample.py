# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.guarded_trainer.probe import sample
from components.guarded_trainer.probe.sample import choose_probe

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 3)).astype(np.float32)
Y = RANDOM.integers(0, 3, 300)


def rows(inputs, class_ids):
    return [(*map(float, x), int(k)) for x, k in zip(inputs, class_ids, strict=True)]


def test_same_rows_are_chosen_whatever_their_order_on_disk(data):
    chosen = rows(*choose_probe(data(X, Y), 40, 7))
    order = np.argsort(Y, kind="stable")
    assert rows(*choose_probe(data(X[order], Y[order]), 40, 7)) == chosen
    assert len(chosen) == len(set(chosen)) == 40
    assert set(chosen) <= set(rows(X, Y))


def test_another_seed_chooses_others(data):
    chosen = set(rows(*choose_probe(data(X, Y), 40, 7)))
    assert chosen != set(rows(*choose_probe(data(X, Y), 40, 8)))


def test_classes_have_their_shares_and_rare_ones_a_row(data):
    class_ids = np.repeat([0, 1, 2], [200, 99, 1])
    _, chosen = choose_probe(data(X, class_ids), 30, 0)
    assert np.bincount(chosen).tolist() == [19, 10, 1]
    assert chosen.dtype == np.int64


def test_classes_stand_mixed(data):
    class_ids = np.repeat([0, 1, 2], 100)
    _, chosen = choose_probe(data(X, class_ids), 90, 0)
    assert min(np.bincount(chosen[:30], minlength=3)) > 3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(1, 1, id="one"),
        pytest.param(299, 299, id="all-but-one"),
        pytest.param(300, 300, id="all"),
        pytest.param(1000, 300, id="more-than-there-are"),
    ],
)
def test_size_is_met_where_rows_allow(data, size, expected):
    inputs, class_ids = choose_probe(data(X, Y), size, 0)
    assert len(inputs) == len(class_ids) == expected
    assert set(rows(inputs, class_ids)) <= set(rows(X, Y))


def test_fewer_rows_than_classes_are_chosen_from_all(data):
    class_ids = np.arange(300) % 50
    _, chosen = choose_probe(data(X, class_ids), 10, 0)
    assert len(chosen) == 10
    assert len(set(chosen)) > 1


def test_copies_crowd_out_no_other_rows(data):
    inputs = np.concatenate([np.repeat(X[:1], 500, axis=0), X[1:100]])
    chosen, _ = choose_probe(data(inputs, np.zeros(599, int)), 50, 0)
    assert len(np.unique(chosen, axis=0)) == 50


def test_few_different_rows_are_chosen_as_often_as_they_occur(data):
    inputs = np.repeat(X[:3], [30, 20, 10], axis=0)
    chosen, _ = choose_probe(data(inputs, np.zeros(60, int)), 12, 0)
    counts = [int((chosen == x).all(axis=1).sum()) for x in X[:3]]
    assert counts[0] >= counts[1] >= counts[2] >= 1
    assert sum(counts) == 12


def test_no_rows_are_chosen_of_none(data):
    inputs, class_ids = choose_probe(data(X[:0], Y[:0], counts=[0, 0]), 10, 0)
    assert inputs.shape == (0, 3)
    assert class_ids.shape == (0,)


def test_structures_of_inputs_stay_whole(data):
    inputs = {"a": X, "b": (X[:, 0] > 0, np.array([b"x", b"y"])[Y % 2])}
    found, class_ids = choose_probe(data(inputs, Y), 20, 0)
    assert found["a"].shape == (20, 3)
    for a, b, text, k in zip(found["a"], *found["b"], class_ids, strict=True):
        assert b == (a[0] > 0)
        assert text == [b"x", b"y"][k % 2]


def test_size_of_none_is_refused(data):
    with pytest.raises(ValueError, match="at least 1 row to choose, but 0"):
        choose_probe(data(X, Y), 0, 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12), st.integers(1, 200))
def test_quotas_give_every_row_to_one_class(counts, size):
    quotas = sample._quotas(counts, size)
    assert sum(quotas) == min(size, sum(counts))
    if len(quotas) == len(counts) > 1:
        assert all(q <= n for q, n in zip(quotas, counts, strict=True))
        assert all((q > 0) == (n > 0) for q, n in zip(quotas, counts, strict=True))
