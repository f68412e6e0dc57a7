# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from recipes import breaking
from recipes import populations as data

PARTS = ("train", "eval", "use")


@pytest.mark.parametrize(
    "make",
    [data.digits, data.wine, data.blobs, data.words, data.stripes_raw, data.patches],
    ids=["digits", "wine", "blobs", "words", "stripes", "patches"],
)
class TestEveryPopulation:
    def test_has_each_class_in_each_part(self, make):
        task = make(0)
        for part in PARTS:
            ids = getattr(task, part).y
            assert set(ids.tolist()) == set(range(task.num_classes))

    def test_is_a_function_of_the_seed(self, make):
        first, again, other = make(1), make(1), make(2)
        np.testing.assert_array_equal(first.train.x, again.train.x)
        assert not np.array_equal(first.train.x, other.train.x)

    def test_has_no_row_in_two_parts(self, make):
        task = make(0)
        seen = [{row.tobytes() for row in getattr(task, part).x} for part in PARTS]
        assert not seen[0] & seen[1]
        assert not (seen[0] | seen[1]) & seen[2]


def test_rare_thins_out_one_class_of_the_training_rows_only():
    whole, thinned = data.moons(0), breaking.rare(data.moons, 20)(0)
    assert np.bincount(thinned.train.y).tolist() == [
        np.bincount(whole.train.y)[0],
        round(np.bincount(whole.train.y)[1] / 20),
    ]
    np.testing.assert_array_equal(thinned.eval.x, whole.eval.x)


def test_a_class_keeps_three_rows_at_least():
    thinned = breaking.rare(data.moons, 1e6)(0)
    assert np.bincount(thinned.train.y)[1] == 3


def test_long_tail_falls_from_the_first_class_to_the_last():
    counts = np.bincount(breaking.long_tail(data.blobs, 8)(0).train.y)
    assert counts.tolist() == [200, 100, 50, 25]


def test_copies_are_training_rows_with_their_labels():
    task = breaking.copied(breaking.few(data.hard, 50), 0.5)(0)
    known = {
        (x.tobytes(), y)
        for x, y in zip(task.train.x, task.train.y.tolist(), strict=True)
    }
    is_copy = [
        (x.tobytes(), y) in known
        for x, y in zip(task.eval.x, task.eval.y.tolist(), strict=True)
    ]
    assert np.mean(is_copy) == 0.5


def test_near_copies_are_close_but_not_equal():
    task = breaking.copied(data.hard, 1.0, 1e-3)(0)
    row = task.eval.x[0]
    distances = np.abs(task.train.x - row).max(axis=1)
    assert 0 < distances.min() < 0.02


def test_a_telling_column_tells_nothing_in_use():
    task = breaking.telling_column(data.hard, lambda y, random: y)(0)
    assert (task.eval.x[:, -1] == task.eval.y).all()
    assert 0.4 < np.mean(task.use.x[:, -1] == task.use.y) < 0.6


def test_noisy_labels_are_other_labels():
    clean, noisy = data.blobs(0), breaking.noisy_labels(data.blobs, 0.3)(0)
    assert np.mean(clean.train.y != noisy.train.y) == pytest.approx(0.3, abs=0.06)
    np.testing.assert_array_equal(clean.eval.y, noisy.eval.y)


def test_raw_after_training_scales_the_training_rows_only():
    raw, task = data.wine_raw(0), data.raw_after_training(data.wine_raw)(0)
    np.testing.assert_array_equal(task.eval.x, raw.eval.x)
    np.testing.assert_allclose(task.train.x.mean(axis=0), 0, atol=1e-4)


def test_sites_are_told_of_each_row():
    task = breaking.two_sites(data.blobs, 0.25)(0)
    assert np.mean(task.eval.site == "B") == pytest.approx(0.25, abs=0.08)
    assert len(task.eval.take(np.arange(7)).site) == 7
