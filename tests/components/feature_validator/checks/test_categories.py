# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.feature_validator.checks.categories import (
    find_category_skew,
    largest_difference,
    unseen_excess,
)
from components.feature_validator.config import FeatureConfig
from components.feature_validator.features import FeatureStatistics, Texts

CONFIG = FeatureConfig()
RNG = np.random.default_rng(0)
CITIES = np.array(["Rome", "Oslo", "Lima", "Cairo", "Seoul"])


@pytest.fixture(scope="session")
def judge(data):
    def judge(train, other):
        return find_category_skew(data(train={"x": train}, eval={"x": other}), CONFIG)

    return judge


def test_random_splits_raise_no_alarm(judge):
    found = []
    for size in (20, 200, 2000):
        for _ in range(30):
            found += judge(RNG.choice(CITIES, 4 * size), RNG.choice(CITIES, size))
    assert not found


def test_rare_values_new_in_eval_are_no_skew(judge):
    shares = 1 / np.arange(1.0, 401) ** 1.3
    names = np.array([f"v{i}" for i in range(400)])
    for _ in range(20):
        values = RNG.choice(names, 8000, p=shares / shares.sum())
        assert not judge(values[:6000], values[6000:])


def test_another_spelling_blocks(judge):
    train, other = RNG.choice(CITIES, 400), np.char.upper(RNG.choice(CITIES, 100))
    (finding,) = judge(train, other)
    assert (finding.cause, finding.blocks) == ("train_eval_skew", True)
    assert (finding.subject.split, finding.subject.feature) == ("eval", "x")
    assert "do not occur in split train" in finding.message


def test_a_new_value_warns(judge):
    other = np.array(["Bonn"] * 20 + RNG.choice(CITIES, 80).tolist())
    (finding,) = judge(RNG.choice(CITIES, 400), other)
    assert not finding.blocks
    assert finding.evidence["unseen"] == ["Bonn"]


def test_other_shares_warn(judge):
    (finding,) = judge(["a"] * 700 + ["b"] * 300, ["a"] * 40 + ["b"] * 60)
    assert not finding.blocks
    assert finding.measured == pytest.approx(0.3)


def test_names_and_sentences_are_no_categories(judge):
    assert not judge([f"t{i}" for i in range(300)], [f"e{i}" for i in range(100)])


@pytest.mark.parametrize(
    "texts",
    [
        Texts({"__BYTES_VALUE__": 100}, 1, is_readable=False),
        Texts({"a": 100}, 2),
        None,
    ],
    ids=["bytes", "not-all-counted", "not-texts"],
)
def test_what_is_not_judged(data, texts):
    known = FeatureStatistics("x", "STRING", 100, 100, 100, texts=texts)
    splits = data(train={"x": known}, eval={"x": ["b"] * 100})
    assert not find_category_skew(splits, CONFIG)


def test_measures_of_nothing(feature):
    some, none = feature("x", ["a"] * 9), feature("x", [])
    assert unseen_excess(some, some) == (0, 1)
    assert unseen_excess(some, none) == (0, 1)
    assert largest_difference(some, none) == (0, "", 1)
