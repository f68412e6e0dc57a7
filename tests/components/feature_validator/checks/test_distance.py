# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.feature_validator.checks import distance
from components.feature_validator.features import Numbers

VALUES = st.lists(st.integers(-20, 20), min_size=1, max_size=60)


@pytest.fixture(scope="session")
def numbers(feature):
    return lambda values: feature("x", np.asarray(values, float)).numbers


class TestDistance:
    @given(VALUES)
    def test_of_a_feature_from_itself_is_none(self, numbers, values):
        known = numbers(values)
        assert distance.distance(known, known) == 0
        assert distance.firm_distance(known, known, 0.0) == 0

    @given(VALUES, VALUES)
    def test_is_symmetric_and_a_share(self, numbers, first, second):
        a, b = numbers(first), numbers(second)
        assert 0 <= distance.distance(a, b) == distance.distance(b, a) <= 1

    @given(VALUES, st.integers(1, 100))
    def test_of_distributions_that_do_not_overlap_is_one(self, numbers, values, gap):
        moved = np.asarray(values) + (max(values) - min(values) + gap)
        assert distance.distance(numbers(values), numbers(moved)) == 1

    @pytest.mark.parametrize("seed", range(20))
    def test_is_within_a_tenth_of_the_exact_one(self, numbers, seed):
        rng = np.random.default_rng(seed)
        first, second = rng.normal(0, 1, 300), rng.normal(0.7, 1.5, 150)
        exact = stats.ks_2samp(first, second).statistic
        assert distance.distance(numbers(first), numbers(second)) == pytest.approx(
            exact, abs=0.1
        )

    @pytest.mark.parametrize("share", [0.3, 0.35, 0.6])
    def test_of_two_values_is_exact(self, numbers, share):
        first = numbers([0] * 500 + [1] * 500)
        second = numbers([0] * round(1000 * share) + [1] * round(1000 * (1 - share)))
        assert distance.distance(first, second) == pytest.approx(abs(0.5 - share))

    def test_all_at_once_are_those_one_by_one(self, numbers):
        rng = np.random.default_rng(0)
        rows = [numbers(rng.normal(i, 1, 50)) for i in range(4)]
        columns = [numbers(rng.poisson(2, 80)) for _ in range(3)]
        matrix = distance.distances(rows, columns)
        assert matrix.tolist() == [
            [distance.distance(row, column) for column in columns] for row in rows
        ]


class TestFirmDistance:
    def test_a_common_value_may_be_off_by_a_little(self, numbers):
        rng = np.random.default_rng(0)
        rest = rng.normal(0, 1, 400)
        first = numbers(np.concatenate([np.full(600, 0.00), rest]))
        second = numbers(np.concatenate([np.full(600, 0.01), rest]))
        assert distance.distance(first, second) > 0.5
        assert distance.firm_distance(first, second, 0.05) < 0.05

    @given(VALUES, VALUES, st.floats(0, 10))
    def test_is_never_more_than_without_slack(self, numbers, first, second, slack):
        a, b = numbers(first), numbers(second)
        firm = distance.firm_distance(a, b, slack)
        assert firm <= distance.firm_distance(a, b, 0.0) + 1e-12

    def test_undoes_a_scaling(self, numbers):
        values = np.random.default_rng(0).integers(0, 17, 500)
        scaled = numbers(values * 1000 + 5)
        slack = 0.05 * scaled.std
        line = 1001.0, 5.0  # An estimate is never exact.
        assert distance.firm_distance(numbers(values), scaled, slack, line) < 0.01


class TestChance:
    @pytest.mark.parametrize("size", [15, 60, 400])
    def test_false_alarms_are_as_rare_as_said(self, numbers, size):
        rng = np.random.default_rng(0)
        alarms = 0
        for _ in range(500):
            first, second = rng.poisson(3, 4 * size), rng.poisson(3, size)
            apart = distance.distance(numbers(first), numbers(second))
            alarms += distance.chance(apart, 4 * size, size) <= 0.05
        assert alarms <= 0.05 * 500

    @pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (0, 0)])
    def test_an_empty_sample_tells_nothing(self, sizes):
        assert distance.chance(1.0, *sizes) == 1
        assert distance.chance_distance(0.01, *sizes) == 1

    def test_distance_and_chance_are_inverse(self):
        apart = distance.chance_distance(0.01, 1000, 200)
        assert distance.chance(apart, 1000, 200) == pytest.approx(0.01)


class TestFit:
    def test_finds_factor_and_offset(self, numbers):
        values = np.random.default_rng(0).lognormal(0, 1, 1000)
        factor, offset = distance.fit(numbers(values), numbers(values * 2.5 - 7))
        assert (factor, offset) == pytest.approx((2.5, -7), rel=1e-4)

    @pytest.mark.parametrize("constant", [0, 1])
    def test_without_spread_there_is_none(self, numbers, constant):
        pair = [numbers([1.0, 2.0, 3.0]), numbers([1.0, 2.0, 3.0])]
        pair[constant] = numbers([4.0])
        assert distance.fit(*pair) is None


def test_nothing_is_known_of_an_empty_feature():
    assert not Numbers(0, 0.0, 0.0, 0.0, 0.0).is_comparable
