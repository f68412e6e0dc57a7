# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.class_balance.config import ClassBalanceConfig
from components.class_balance.label_counts import LabelCounts, LabelDistribution
from components.class_balance.slices import find_classes_rare_in_slices

CONFIG = ClassBalanceConfig()


def counted(counts, slice=None, split="train"):
    total = sum(counts.values())
    present = {label: count for label, count in counts.items() if count}
    return LabelCounts(split, total, total, present, slice=slice)


def judge(slices, whole=None):
    parts = tuple(counted(counts, name) for name, counts in slices.items())
    if whole is None:
        labels = {label for counts in slices.values() for label in counts}
        whole = {k: sum(c.get(k, 0) for c in slices.values()) for k in labels}
    return find_classes_rare_in_slices(
        LabelDistribution("y", (counted(whole),), slices=parts), CONFIG
    )


def test_slices_like_their_split_are_well():
    assert not judge({"site=a": {0: 50, 1: 50}, "site=b": {0: 500, 1: 500}})


def test_a_class_missing_from_a_slice_warns():
    (finding,) = judge({"site=a": {0: 50, 1: 0}, "site=b": {0: 50, 1: 100}})
    assert (finding.cause, finding.blocks) == ("missing_class", False)
    assert finding.subject.slice == "site=a"
    assert (finding.subject.split, finding.subject.class_name) == ("train", "1")
    assert "0 examples of class 1 among 50, where 25 were expected" in finding.message


@pytest.mark.parametrize(("here", "num_found"), [(10, 0), (9, 1)])
def test_a_class_is_rare_below_a_tenth_of_its_share(here, num_found):
    found = judge({"site=a": {0: 200 - here, 1: here}}, whole={0: 10_000, 1: 10_000})
    assert [finding.cause for finding in found] == ["class_imbalance"] * num_found


def test_a_small_slice_proves_nothing():
    assert not judge({"site=a": {0: 4, 1: 0}, "site=b": {0: 50, 1: 50}})


def test_random_slices_raise_no_alarm():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(50):
        classes = rng.choice(10, size=2000, p=np.arange(1, 11) / 55)
        sites = rng.integers(0, 40, size=2000)
        slices = {
            f"site={site}": {
                k: int(np.sum(classes[sites == site] == k)) for k in range(10)
            }
            for site in range(40)
        }
        found += judge(slices)
    assert not found


def test_the_ten_worst_slices_are_reported():
    slices = {f"site={i}": {0: 40 + i, 1: 0} for i in range(15)}
    found = judge({**slices, "site=rest": {0: 5000, 1: 5000}})
    assert [finding.subject.slice for finding in found] == [
        f"site={i}" for i in range(14, 4, -1)
    ]
    assert found[0].evidence["num_slices_lacking"] == 15


def test_without_slices_nothing_is_found():
    assert not judge({}, whole={0: 5, 1: 5})
    assert not judge({}, whole={})
