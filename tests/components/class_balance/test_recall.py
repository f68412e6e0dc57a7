# SPDX-License-Identifier: Apache-2.0
import pytest
from scipy import stats

from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.recall import (
    find_unknowable_recalls,
    narrowest_recall_interval,
)

CONFIG = ClassBalanceConfig()


def judge(counts, *, split="eval", uncounted=0):
    total = sum(counts.values()) + uncounted
    labels = LabelDistribution("y", (LabelCounts(split, total, total, counts),))
    return find_unknowable_recalls(labels, CONFIG)


@pytest.mark.parametrize("num_examples", [1, 5, 6, 100])
def test_no_result_has_a_narrower_exact_interval(num_examples):
    widths = []
    for hits in range(num_examples + 1):
        interval = stats.binomtest(hits, num_examples).proportion_ci(0.95, "exact")
        widths.append(interval.high - interval.low)
    assert narrowest_recall_interval(num_examples) == pytest.approx(min(widths))


def test_without_examples_nothing_is_known():
    assert narrowest_recall_interval(0) == 1


@pytest.mark.parametrize(("fewest", "num_found"), [(6, 0), (5, 1)])
def test_six_examples_tell_a_perfect_class_from_a_coin(fewest, num_found):
    found = judge({"a": 60, "b": fewest})
    assert [finding.blocks for finding in found] == [False] * num_found


def test_names_the_class_its_interval_and_the_others():
    (finding,) = judge({0: 50, 1: 4, 2: 3})
    assert finding.cause == "insufficient_evidence"
    assert finding.message.startswith("Split eval has 3 examples of class 2: even")
    assert finding.evidence["counts"] == {"2": 3, "1": 4}
    assert finding.measured > finding.limit == 0.5


@pytest.mark.parametrize(
    ("counts", "options"),
    [
        ({"a": 1}, {"split": "train"}),
        ({"a": 1}, {"uncounted": 3}),
        ({}, {}),
    ],
    ids=["training-split", "not-counted", "empty"],
)
def test_what_is_not_judged(counts, options):
    assert not judge(counts, **options)
