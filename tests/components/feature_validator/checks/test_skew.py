# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn import datasets

from components.feature_validator import core
from components.feature_validator.checks.skew import find_numeric_skew
from components.feature_validator.config import FeatureConfig
from components.findings import Verdict

CONFIG = FeatureConfig()
DATASETS = {
    name: getattr(datasets, f"load_{name}")().data
    for name in ("digits", "breast_cancer", "wine", "iris")
}


def split(matrix, share=0.3, seed=0):
    order = np.random.default_rng(seed).permutation(len(matrix))
    size = round(len(matrix) * share)
    return matrix[order[size:]], matrix[order[:size]]


def standardise(train, other):
    spread = train.std(axis=0)
    return (other - train.mean(axis=0)) / np.where(spread == 0, 1, spread)


def min_max(train, other):
    low, high = train.min(axis=0), train.max(axis=0)
    return (other - low) / np.where(low == high, 1, high - low)


def swap_two(train, other):
    """Swaps the two columns whose means are furthest apart, in their own spread."""
    spread = np.where(train.std(axis=0) == 0, np.inf, train.std(axis=0))
    apart = np.abs(train.mean(axis=0)[:, None] - train.mean(axis=0))
    apart = np.minimum(apart / spread[:, None], apart / spread[None, :])
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    swapped = other.copy()
    swapped[:, [first, second]] = other[:, [second, first]]
    return swapped


FAULTS = {
    "eval-standardised": lambda train, other: (train, standardise(train, other)),
    "train-standardised": lambda train, other: (standardise(train, train), other),
    "eval-min-max": lambda train, other: (train, min_max(train, other)),
    "train-min-max": lambda train, other: (min_max(train, train), other),
    "times-1000": lambda train, other: (train, 1000 * other),
    "inches": lambda train, other: (train, other / 2.54),
    "two-swapped": lambda train, other: (train, swap_two(train, other)),
    "reversed": lambda train, other: (train, other[:, ::-1]),
    "shuffled": lambda train, other: (
        train,
        other[:, np.random.default_rng(2).permutation(other.shape[1])],
    ),
}


@pytest.fixture(scope="session")
def judge(data, table):
    """Judges two matrices; all checks, so that no other cause goes unseen."""

    def judge(train, other, config=CONFIG):
        splits = data(train=table(train), eval=table(other))
        return Verdict.of(core.judge(splits, config))

    return judge


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_block_as_skew_and_nothing_else(judge, name, fault):
    verdict = judge(*FAULTS[fault](*split(DATASETS[name])))
    assert {finding.cause for finding in verdict.blocking} == {"train_eval_skew"}
    assert {finding.subject.split for finding in verdict.blocking} == {"eval"}


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_random_splits_never_block(judge, name, share):
    for seed in range(10):
        verdict = judge(*split(DATASETS[name], share, seed))
        assert verdict.passed, verdict


def test_another_order_names_the_column_it_looks_like(judge):
    train, other = split(DATASETS["wine"])
    first, *_ = judge(train, other[:, [12, *range(1, 12), 0]]).blocking
    assert first.evidence["looks_like"] in {"f0", "f12"}
    assert "is distributed like 'f" in first.message
    assert "same order" in first.remedy


def test_a_scaling_names_its_factor(judge):
    train, other = split(DATASETS["iris"])
    other = other * np.array([1, 1, 0.4536, 1])
    (finding,) = judge(train, other).blocking
    assert finding.subject.feature == "f2"
    assert finding.evidence["factor"] == pytest.approx(0.4536, rel=0.1)
    assert finding.evidence["offset"] == 0


def test_a_standardised_split_is_named(judge):
    train, other = split(DATASETS["breast_cancer"])
    first, *_ = judge(train, standardise(train, other)).blocking
    assert "(standardised in split eval)" in first.message


def test_a_scaled_sparse_feature_is_found(judge):
    rng = np.random.default_rng(0)
    matrix = np.where(rng.random((4000, 5)) < 0.04, rng.gamma(4, 1, (4000, 5)), 0)
    train, other = split(matrix)
    assert judge(train, other).passed
    blocking = judge(train, other * 10).blocking
    assert {finding.subject.feature for finding in blocking} == {
        f"f{i}" for i in range(5)
    }


class TestOneFeature:
    RNG = np.random.default_rng(0)
    TRAIN = RNG.normal(0, 1, (2000, 1))
    EVAL = RNG.normal(0, 1, (1000, 1))

    def severities(self, judge, other):
        found = judge(self.TRAIN, other).findings
        skew = [finding for finding in found if finding.cause == "train_eval_skew"]
        return [finding.severity.value for finding in skew]

    @pytest.mark.parametrize(
        ("shift", "severities"),
        [(0, []), (0.3, []), (0.8, ["warn"]), (2, ["warn"]), (4, ["block"])],
    )
    def test_a_shift_warns_and_blocks_only_if_gross(self, judge, shift, severities):
        assert self.severities(judge, self.EVAL + shift) == severities

    def test_a_small_split_proves_nothing(self, judge):
        assert self.severities(judge, self.EVAL[:8] + 1) == []

    def test_a_value_in_place_of_missing_ones_may_differ_slightly(self, judge):
        train, other = self.TRAIN.copy(), self.EVAL.copy()
        train[:1800], other[:900] = 0.0, 0.02
        verdict = judge(train, other)
        assert verdict.passed

    def test_an_ignored_feature_may_differ(self, judge):
        config = FeatureConfig(ignore=("f0",))
        assert judge(self.TRAIN, self.EVAL + 9, config).passed


def test_a_constant_split_is_compared(judge):
    train, other = split(DATASETS["iris"])
    other = other * np.array([1, 1, 1, 0])
    (finding,) = judge(train, other).blocking
    assert finding.subject.feature == "f3"


@pytest.mark.parametrize("splits", [1, 0])
def test_nothing_to_compare(data, splits):
    columns = {"x": [1.0, 2.0], "t": ["a", "b"], "n": [np.nan, 1.0]}
    others = {"eval": {"x": [np.inf], "t": [5.0]}} if splits else {}
    assert not find_numeric_skew(data(train=columns, **others), CONFIG)
