# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial import cKDTree
from sklearn import datasets

from components.leakage.near.tolerances import (
    MAX_CHANCE_SHARE,
    chance_limit,
    choose,
    has_steps,
)


def near_share(references, queries, tolerances):
    """Share of the queries that have a near-duplicate but no duplicate."""
    varies = np.array(tolerances) > 0
    scale = np.array(tolerances)[varies]
    tree = cKDTree(references[:, varies] / scale)
    distances, _ = tree.query(queries[:, varies] / scale, k=1, p=np.inf)
    return ((distances > 0) & (distances <= 1)).mean()


def cut(rows, rng, share=0.8):
    rows = rng.permutation(rows).astype(np.float32).astype(np.float64)
    size = int(len(rows) * share)
    return rows[:size], rows[size:]


def chosen(references, rng, relative=1e-3):
    sample = rng.permutation(np.unique(references, axis=0))
    return choose(sample, len(sample), relative)


def one_feature(rng, n):
    return np.exp(rng.normal(size=(n, 1)))


def two_moons(rng, n):
    seed = int(rng.integers(2**31))
    return datasets.make_moons(n, noise=0.05, random_state=seed)[0]


def curve_in_ten_dimensions(rng, n):
    z = rng.normal(size=(n, 1))
    return np.concatenate([np.sin(z * k) for k in range(1, 11)], axis=1)


def flags_and_a_number(rng, n):
    return np.column_stack([rng.random((n, 5)) < 0.5, rng.normal(size=n)])


def mostly_zero(rng, n):
    values = np.exp(2 * rng.normal(size=(n, 3)))
    return np.where(rng.random((n, 3)) < 0.8, 0, values)


HONEST = [
    one_feature,
    two_moons,
    curve_in_ten_dimensions,
    flags_and_a_number,
    mostly_zero,
]


def test_few_dimensions_do_not_raise_false_alarms():
    seeds, blocked = 20, []
    for draw in HONEST:
        for n in (60, 500):
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                references, queries = cut(draw(rng, n), rng)
                tolerances = chosen(references, rng)
                if near_share(references, queries, tolerances) > 0.01:
                    blocked.append((draw.__name__, n, seed))
    assert len(blocked) <= 0.01 * len(HONEST) * 2 * seeds, blocked


@pytest.mark.parametrize("draw", [one_feature, mostly_zero])
def test_without_the_limit_of_chance_they_would(draw):
    rng = np.random.default_rng(0)
    references, queries = cut(draw(rng, 500), rng)
    tolerances = tuple(1e-3 * references.std(axis=0))
    assert near_share(references, queries, tolerances) > 0.05


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_real_data_have_no_near_duplicates_until_they_are_planted(name):
    rows = getattr(datasets, f"load_{name}")().data
    for seed in range(10):
        rng = np.random.default_rng(seed)
        references, queries = cut(rows, rng, share=rng.choice([0.5, 0.67, 0.9]))
        tolerances = chosen(references, rng)
        assert near_share(references, queries, tolerances) == 0
        noise = rng.uniform(-5e-4, 5e-4, queries.shape) * references.std(axis=0)
        planted = rng.permutation(references)[: len(queries)] + noise[: len(references)]
        assert near_share(references, planted, tolerances) == 1


@pytest.mark.parametrize("copies", [2, 5, 10, 30])
def test_near_copies_within_the_reference_split_do_not_pass_for_chance(copies):
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(2000 // copies, 10)), copies, axis=0)
    rows = rows + rng.uniform(-3e-4, 3e-4, rows.shape)
    references, queries = cut(rows, rng)
    tolerances = chosen(references, rng)
    assert near_share(references, queries, tolerances) > 0.75


def test_the_tolerance_is_a_share_of_the_deviation():
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(500, 10)) * np.arange(10)
    tolerances = choose(sample, 500, 1e-3)
    assert tolerances == pytest.approx(1e-3 * sample.std(axis=0), rel=1e-12)
    assert tolerances[0] == 0


def test_a_tolerance_that_is_given_stays():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(500, 1))
    assert choose(one, 500, 1e-3, [0.25]) == (0.25,)
    shrunk, given = choose(np.repeat(one, 2, axis=1), 500, 1e-3, [None, 0.0])
    assert 0 < shrunk < 1e-4
    assert given == 0


def test_values_that_are_missing_or_infinite_do_not_count():
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(500, 10))
    sample[::7, 3], sample[::11, 4] = np.nan, np.inf
    tolerances = choose(sample, 500, 1e-3)
    for i in (3, 4):
        finite = sample[np.isfinite(sample[:, i]), i]
        assert tolerances[i] == pytest.approx(1e-3 * finite.std(), rel=1e-12)
    assert choose(np.full((9, 2), np.nan), 9, 1e-3) == (0, 0)


def test_a_relative_tolerance_of_zero_asks_for_equality():
    assert choose(np.random.default_rng(0).normal(size=(99, 2)), 99, 0) == (0, 0)


@pytest.mark.parametrize("m", [0, 1, 2, 5])
def test_a_few_rows_tell_nothing_about_chance(m):
    rows = np.random.default_rng(0).normal(size=(m, 1))
    assert chance_limit(rows, m) == 1
    assert len(choose(rows, m, 1e-3)) == 1


@pytest.mark.parametrize("features", [1, 2, 3])
def test_the_limit_is_cautious_but_near_the_true_one(features):
    references = 10**6
    limits = [
        chance_limit(
            1000 * np.random.default_rng(i).normal(size=(1000, features)), references
        )
        for i in range(5)
    ]
    # Two independent normal numbers are within r with density 1 / (2 sqrt(pi)) at 0.
    within_one = (2 * 1e-3 / (2 * np.sqrt(np.pi))) ** features
    true = (MAX_CHANCE_SHARE / references / within_one) ** (1 / features)
    assert true / 20 < np.median(limits) < true


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], True),
        ([3.0, 3.0], True),
        ([0.0, 5.0], True),
        ([0.0, 1.0], False),
        ([0.0, 1.1], True),
        ([0.0, 4.0, 6.0, 10.0, np.nan, np.inf], True),
        ([0.0, 4.0, 5.0, 10.0], False),
        ([0.0, 20.0, 27.3], False),
    ],
    ids=[
        "none",
        "constant",
        "two_values",
        "at_the_tolerance",
        "just_beyond",
        "multiples_of_two",
        "multiples_of_one",
        "no_common_step",
    ],
)
def test_steps_are_multiples_of_more_than_the_tolerance(values, expected):
    assert has_steps(np.array(values)) == expected


def test_standardized_measurements_still_have_steps():
    rng = np.random.default_rng(0)
    measured = np.round(rng.normal(5.8, 0.8, 150), 1)
    standardized = ((measured - 5.84) / 0.83).astype(np.float32).astype(np.float64)
    assert has_steps(standardized / 1e-3)
    assert not has_steps(rng.normal(size=150) / 1e-3)
