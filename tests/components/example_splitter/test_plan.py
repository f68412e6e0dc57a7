# SPDX-License-Identifier: Apache-2.0
import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.example_splitter.plan import (
    MAX_MOVES,
    NearestUnits,
    TimePlan,
    UnitPlan,
    border_of,
    newest_for_train,
    place_of,
    split_class,
    units_for_eval,
)

SHARES = st.floats(0.01, 0.99)


def units_of(count, seed=""):
    return [
        hashlib.blake2b(f"{seed}{number}".encode(), digest_size=16).digest()
        for number in range(count)
    ]


def nearest_of(units, share, salt="", parts=1):
    merged = NearestUnits()
    for part in range(parts):
        nearest = NearestUnits()
        for unit in units[part::parts]:
            nearest.add(place_of(unit, salt), unit, border_of(share))
        merged.merge(nearest)
    return merged


def plan_of(units, share, salt="", parts=1):
    split = split_class("a", nearest_of(units, share, salt, parts), share)
    return split, UnitPlan.of([split], share, salt)


class TestUnitsForEval:
    @pytest.mark.parametrize(
        ("num_units", "expected"),
        [(0, 0), (1, 0), (2, 1), (3, 1), (7, 1), (8, 2), (10, 2), (100, 20)],
    )
    def test_share_is_rounded_but_each_split_gets_one(self, num_units, expected):
        assert units_for_eval(num_units, 0.2) == expected

    @given(st.integers(2, 10**6), SHARES)
    def test_neither_split_is_empty(self, num_units, share):
        assert 1 <= units_for_eval(num_units, share) <= num_units - 1


class TestSplitOfAClass:
    @given(st.integers(0, 64), SHARES, st.text(max_size=3))
    def test_share_of_few_units_is_met_exactly(self, count, share, salt):
        units = units_of(count, salt)
        split, plan = plan_of(units, share, salt)
        assert split.num_units == count
        assert split.num_eval == units_for_eval(count, share)
        assert sum(map(plan.is_eval, units)) == split.num_eval

    @pytest.mark.parametrize("count", [65, 500, 1000])
    def test_share_of_a_thousand_units_is_met_exactly(self, count):
        units = units_of(count)
        split, plan = plan_of(units, 0.2)
        assert sum(map(plan.is_eval, units)) == split.num_eval == count // 5

    def test_share_of_many_units_is_met_nearly(self):
        units = units_of(50_000)
        split, plan = plan_of(units, 0.2)
        assert sum(map(plan.is_eval, units)) == split.num_eval
        deviation = math.sqrt(50_000 * 0.2 * 0.8)
        assert abs(split.num_eval - 10_000) < 5 * deviation
        assert len(split.into_eval) + len(split.into_train) <= MAX_MOVES

    @given(st.integers(1, 400), st.integers(2, 7))
    def test_sharding_does_not_count(self, count, parts):
        units = units_of(count)
        whole, _ = plan_of(units, 0.3)
        cut, _ = plan_of(units[::-1], 0.3, parts=parts)
        assert cut == whole

    def test_new_units_move_few_old_ones(self):
        units = units_of(600)
        _, before = plan_of(units[:500], 0.2)
        _, after = plan_of(units, 0.2)
        moved = sum(before.is_eval(unit) != after.is_eval(unit) for unit in units[:500])
        assert moved <= 20

    def test_another_salt_is_another_split(self):
        units = units_of(200)
        _, one = plan_of(units, 0.5, "a")
        _, other = plan_of(units, 0.5, "b")
        agreeing = sum(one.is_eval(unit) == other.is_eval(unit) for unit in units)
        assert 60 < agreeing < 140

    def test_memory_is_bounded(self):
        nearest = nearest_of(units_of(5000), 0.5)
        assert len(nearest.below) == len(nearest.above) == MAX_MOVES


class TestTime:
    def test_share_is_met_where_all_times_differ(self):
        times = [(time, 1) for time in range(10)]
        assert newest_for_train(times, 0.2) == 7

    def test_equal_times_stay_together(self):
        times = [(1, 4), (2, 1), (3, 5)]
        assert newest_for_train(times, 0.2) == 2

    def test_of_two_equally_near_borders_the_later_is_taken(self):
        assert newest_for_train([(1, 6), (2, 2), (3, 1)], 2 / 9) == 2

    @pytest.mark.parametrize("times", [[], [(5, 100)]])
    def test_fewer_than_two_times_cannot_be_split(self, times):
        assert newest_for_train(times, 0.2) is None

    @given(
        st.dictionaries(st.integers(), st.integers(1, 50), min_size=2, max_size=30),
        SHARES,
    )
    def test_evaluation_is_newer_and_neither_is_empty(self, counts, share):
        newest = newest_for_train(list(counts.items()), share)
        plan = TimePlan(newest)
        later = [time for time in counts if plan.is_eval(time)]
        earlier = [time for time in counts if not plan.is_eval(time)]
        assert max(earlier) == newest < min(later)
        # No other border is nearer.
        wanted = share * sum(counts.values())
        distance = abs(sum(counts[time] for time in later) - wanted)
        for border in list(counts):
            newer = sum(count for time, count in counts.items() if time > border)
            if newer:
                assert distance <= abs(newer - wanted)
