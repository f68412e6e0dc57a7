# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn.datasets import load_iris

from components.leakage.predictive.copies import clumps, find_copy


class TestClumps:
    def test_few_values_are_numbered(self):
        assert clumps(np.array([5.0, -1.0, 5.0]), 2).tolist() == [1, 0, 1]
        assert clumps(np.array([3, -1, 4]), 3).tolist() == [1, 0, 2]

    def test_missing_is_a_value(self):
        codes = clumps(np.array([np.nan, 1.0, np.nan, 1.0]), 2)
        assert codes.tolist() == [1, 0, 1, 0]

    def test_narrow_clumps_count_as_one_value(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 4, 500)
        values = labels + rng.uniform(0, 0.05, 500)
        np.testing.assert_array_equal(clumps(values, 4), labels)
        values[:10] = np.nan
        assert clumps(values, 4) is None
        assert set(clumps(values, 5)[:10]) == {4}

    @pytest.mark.parametrize(("width", "clumped"), [(0.99, True), (1.01, False)])
    def test_gap_must_be_ten_times_as_wide(self, width, clumped):
        values = np.array([0.0, width, width + 10, width + 10])
        assert (clumps(values, 2) is not None) is clumped

    @pytest.mark.parametrize(
        "values",
        [
            np.ones(5),
            np.arange(5),
            np.arange(5.0),
            np.array([0.0, 1.0, np.inf]),
            np.full(3, np.nan),
        ],
    )
    def test_other_columns_have_none(self, values):
        assert clumps(values, 2) is None

    def test_measurements_are_not_clumped(self):
        data, target = load_iris(return_X_y=True)
        for pair in ((0, 1), (0, 2), (1, 2)):
            for column in data[np.isin(target, pair)].T:
                assert clumps(column, 2) is None


class TestFindCopy:
    LABELS = np.arange(150) % 3

    def find(self, values, labels=LABELS, num_classes=3, num_columns=100):
        values = np.asarray(values)
        return find_copy(values, labels, num_classes, num_columns=num_columns)

    def test_exact_copy_agrees_wholly(self):
        copy = self.find(7.0 - self.LABELS)
        assert (copy.kappa, copy.hits, copy.count) == (1, 150, 150)
        assert copy.low == pytest.approx(0.025 ** (1 / 150))

    def test_one_hot_entry_tells_its_class(self):
        assert self.find((self.LABELS == 2).astype(float)).class_code == 2

    def test_wrong_copies_lessen_the_agreement(self):
        values = self.LABELS.astype(float)
        values[:3] = values[2::-1]
        copy = self.find(values)
        assert copy.hits == 148
        assert 0.95 < copy.kappa < 1

    def test_coarser_label_tells_no_class(self):
        labels = np.arange(200) % 4
        assert find_copy(labels // 2, labels, 4, num_columns=1) is None

    def test_column_that_does_not_follow_from_the_label_is_none(self):
        values = np.random.default_rng(0).integers(0, 2, 150).astype(float)
        assert self.find(values) is None
        assert self.find(np.zeros(150)) is None

    def test_match_by_chance_among_many_columns_is_none(self):
        labels = np.array([0] * 9 + [1])
        values = labels.astype(float)
        assert find_copy(values, labels, 2, num_columns=1) is None
        labels, values = np.tile(labels, 3), np.tile(values, 3)
        assert find_copy(values, labels, 2, num_columns=1) is not None
        assert find_copy(values, labels, 2, num_columns=100) is None

    def test_one_example_per_class_is_no_copy(self):
        labels = np.arange(50)
        values = (np.arange(50) % 2).astype(float)
        copy = find_copy(values, labels, 50, num_columns=1)
        assert copy is None or copy.kappa < 0.5
