# SPDX-License-Identifier: Apache-2.0
import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.leakage.predictive.power import (
    leave_one_out,
    lower_end,
    partitions_of,
    strongest,
)

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1)


def by_hand(bins, labels, num_classes):
    """Leaves out one example after the other."""
    sizes = collections.Counter(labels)
    most = min(range(num_classes), key=lambda k: (-sizes[k], k))
    hits, recalled, rejected = 0, [0] * num_classes, [0] * num_classes
    for number, (own_bin, label) in enumerate(zip(bins, labels, strict=True)):
        others = collections.Counter(
            labels[other]
            for other in range(len(bins))
            if other != number and bins[other] == own_bin
        )
        if not others:
            hits += label == most
        else:
            hits += all(others[label] > others[k] for k in range(3) if k != label)
        for k in range(num_classes):
            positives = sizes[k] - (label == k)
            negatives = len(bins) - 1 - positives
            accepts = others[k] * negatives > (sum(others.values()) - others[k]) * (
                positives
            )
            recalled[k] += label == k and accepts
            rejected[k] += label != k and not accepts
    return hits, recalled, rejected


@given(ROWS)
def test_leaving_one_out_is_what_it_says(rows):
    bins, labels = map(list, zip(*rows, strict=True))
    hits, recalled, rejected = leave_one_out(np.array(bins), np.array(labels), 3)
    assert (hits, recalled.tolist(), rejected.tolist()) == by_hand(bins, labels, 3)


@given(ROWS)
def test_large_bin_numbers_give_the_same(rows):
    bins, labels = map(np.array, zip(*rows, strict=True))
    small, large = (leave_one_out(b, labels, 3) for b in (bins, bins * 10**9))
    assert small[0] == large[0]
    np.testing.assert_array_equal(small[1], large[1])
    np.testing.assert_array_equal(small[2], large[2])


class TestPartitions:
    def test_equal_values_share_a_bin(self):
        values = np.repeat(np.arange(40.0), 5)
        for bins in partitions_of(values):
            assert all(len(set(bins[values == v])) == 1 for v in values)

    def test_bins_follow_the_order_of_the_values(self):
        values = np.random.default_rng(0).normal(size=300)
        exact, fine, coarse = partitions_of(values)
        assert (len(set(exact)), len(set(fine)), len(set(coarse))) == (300, 60, 20)
        for bins in (exact, fine, coarse):
            assert (np.diff(bins[np.argsort(values)]) >= 0).all()

    def test_missing_values_are_a_bin_of_their_own(self):
        exact, presence = partitions_of(np.array([np.nan, 1.0, 2.0, np.nan]))
        assert exact.tolist() == [0, 1, 2, 0]
        assert presence.tolist() == [1, 0, 0, 1]

    def test_texts_are_not_ordered(self):
        (exact,) = partitions_of(np.arange(100))
        assert len(set(exact)) == 100

    @pytest.mark.parametrize(
        "values", [np.ones(9), np.full(9, np.nan), np.full(9, -1), np.array([2.0])]
    )
    def test_constant_column_has_none(self, values):
        assert partitions_of(values) == []


class TestStrongest:
    def find(self, values, labels, num_classes=2, at_least=0.5):
        return {
            power.class_code: power
            for power in strongest(
                partitions_of(np.asarray(values)),
                np.asarray(labels),
                num_classes,
                at_least=at_least,
                alpha=0.05,
            )
        }

    def test_copy_has_power_one_and_an_exact_interval(self):
        labels = np.arange(100) % 2
        power = self.find(labels.astype(float), labels)[None]
        assert power.value == 1
        assert power.low == pytest.approx(2 * 0.025 ** (1 / 100) - 1)

    def test_unique_values_have_none(self):
        labels = np.random.default_rng(0).integers(0, 2, 500)
        assert self.find(np.arange(500), labels, at_least=0.1) == {}
        assert self.find(np.arange(500.0), labels, at_least=0.3) == {}

    def test_clusters_are_told_whatever_their_distance(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 10, 1000)
        values = np.exp(labels + 0.1 * rng.random(1000))
        assert self.find(values, labels, 10)[None].value > 0.95

    def test_rare_class_is_seen_where_accuracy_sees_nothing(self):
        rng = np.random.default_rng(0)
        labels = (rng.random(20_000) < 0.01).astype(int)
        values = np.where(rng.random(20_000) < 0.01, 1 - labels, labels).astype(float)
        found = self.find(values, labels, at_least=0.8)
        assert set(found) == {1}
        assert 0.9 < found[1].low < found[1].value

    def test_one_of_many_classes_is_told(self):
        labels = np.arange(300) % 10
        found = self.find((labels == 3).astype(float), labels, 10)
        assert set(found) == {3}
        assert (found[3].value, found[3].hits, found[3].count) == (1, 30, 30)


@pytest.mark.parametrize(
    ("hits", "count", "expected"),
    [(0, 10, 0), (0, 0, 0), (10, 10, 0.025**0.1), (1, 1, 0.025)],
)
def test_lower_end_is_exact(hits, count, expected):
    assert lower_end(hits, count, 0.05) == pytest.approx(expected)
