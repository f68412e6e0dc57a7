# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.shift import (
    find_label_shift,
    label_shift,
    smallest_p_value,
    unexplained_shift,
)

CONFIG = ClassBalanceConfig()
LONG_TAIL = {k: 10_000 // (k + 1) for k in range(20)}
COUNTS = st.lists(st.integers(1, 10**9), min_size=2, max_size=20)


def judge(config=CONFIG, **splits):
    counts = []
    for split, by_class in splits.items():
        total = sum(by_class.values())
        counts.append(LabelCounts(split, total, total, by_class))
    return find_label_shift(LabelDistribution("y", tuple(counts)), config)


def draw(rng, shares, size):
    counts = rng.multinomial(size, shares)
    return {k: int(count) for k, count in enumerate(counts) if count}


class TestFindLabelShift:
    def test_equal_shares_are_well(self):
        assert not judge(train={0: 900, 1: 100}, eval={0: 90, 1: 10})

    @pytest.mark.parametrize(("change", "num_found"), [(150, 0), (151, 1)])
    def test_warns_beyond_the_limit(self, change, num_found):
        config = ClassBalanceConfig(max_label_shift=0.15)
        found = judge(
            config,
            train={0: 500, 1: 500},
            eval={0: 500 - change, 1: 500 + change},
        )
        assert [finding.blocks for finding in found] == [False] * num_found

    def test_a_change_of_order_blocks_and_is_told_in_numbers(self):
        (finding,) = judge(train={"a": 900, "b": 100}, eval={"a": 20, "b": 180})
        assert (finding.cause, finding.blocks) == ("train_eval_skew", True)
        assert finding.subject.split == "eval"
        assert "is 10.0% of split eval, but 90.0% of split train" in finding.message
        assert finding.measured > finding.limit == 0.25
        assert finding.evidence["shares"]["b"] == {"train": 0.1, "eval": 0.9}

    @pytest.mark.parametrize("swapped", [False, True], ids=["eval", "train"])
    @pytest.mark.parametrize(
        "balance",
        [
            lambda count: 300,
            lambda count: min(count, 1000),
            lambda count: max(count, 2000),
            lambda count: int(math.sqrt(count)),
            lambda count: count + 5000,
        ],
        ids=["equal", "capped", "repeated", "square-root", "mixed"],
    )
    def test_a_balanced_split_never_blocks(self, balance, swapped):
        balanced = {k: balance(count) for k, count in LONG_TAIL.items()}
        splits = (LONG_TAIL, balanced)[:: -1 if swapped else 1]
        found = judge(train=splits[0], eval=splits[1])
        assert not any(finding.blocks for finding in found)

    def test_small_splits_prove_nothing(self):
        assert not judge(train={0: 8, 1: 2}, eval={0: 1, 1: 3})

    def test_random_splits_raise_no_alarm(self):
        rng = np.random.default_rng(0)
        found = []
        for num_classes in (2, 10, 100):
            for power in (0, 1.5):
                shares = np.arange(1.0, num_classes + 1) ** -power
                shares /= shares.sum()
                for size in (50, 500, 5000):
                    for _ in range(40):
                        found += judge(
                            train=draw(rng, shares, 4 * size),
                            eval=draw(rng, shares, size),
                        )
        assert not found

    def test_absent_classes_are_left_to_another_check(self):
        assert not judge(train={0: 500, 1: 250, 2: 250}, eval={1: 100, 2: 100})

    def test_each_split_is_compared_with_the_training_split(self):
        found = judge(train={0: 900, 1: 100}, eval={0: 90, 1: 10}, test={0: 10, 1: 90})
        assert [finding.subject.split for finding in found] == ["test"]

    @pytest.mark.parametrize(
        "splits",
        [{}, {"eval": {0: 5}}, {"train": {0: 5}, "eval": {}}, {"train": {0: 5}}],
        ids=["none", "no-train", "empty-eval", "train-only"],
    )
    def test_nothing_to_compare(self, splits):
        assert not judge(**splits)


class TestMeasures:
    @given(COUNTS)
    def test_a_split_against_itself(self, counts):
        counts = np.array(counts, float)
        assert label_shift(counts, counts) == 0
        assert unexplained_shift(counts, counts) == 0
        assert smallest_p_value(counts, counts) > 0.1

    @given(COUNTS, st.randoms(use_true_random=False))
    def test_order_of_the_classes_does_not_matter(self, counts, random):
        other = [random.randint(1, 1000) for _ in counts]
        order = random.sample(range(len(counts)), len(counts))
        first, second = np.array(counts, float), np.array(other, float)
        assert unexplained_shift(first, second) == pytest.approx(
            unexplained_shift(first[order], second[order]), abs=1e-9
        )

    @given(COUNTS, st.randoms(use_true_random=False))
    def test_never_more_than_the_whole_shift(self, counts, random):
        first = np.array(counts, float)
        second = np.array([random.randint(1, 1000) for _ in counts], float)
        whole = label_shift(first, second)
        assert 0 <= unexplained_shift(first, second) <= whole + 1e-9 <= 1 + 1e-9

    def test_an_empty_split_tells_nothing(self):
        assert smallest_p_value(np.array([5.0, 5.0]), np.zeros(2)) == 1
