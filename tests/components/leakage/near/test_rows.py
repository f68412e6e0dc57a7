# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from components.leakage.near.pairs import hamming
from components.leakage.near.rows import RowModel

NAN, INF = float("nan"), float("inf")


def compare(x, y, tolerances):
    model = RowModel(tuple(tolerances))
    similarity, is_near = model.verify(np.array([x]), np.array([y]))
    assert similarity.dtype == np.float32
    return float(similarity[0]), bool(is_near[0])


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1.0, 2.0], (1.0, True)),
        ([1.25, 2.0], (0.5, True)),
        ([1.5, 2.0], (0.0, True)),
        ([1.5, 1.0], (0.0, True)),
        ([np.nextafter(1.5, 2), 2.0], (0.0, False)),
        ([1.0, 3.1], (0.0, False)),
        ([NAN, 2.0], (0.0, False)),
        ([INF, 2.0], (0.0, False)),
    ],
    ids=[
        "equal",
        "half_the_tolerance",
        "at_the_tolerance",
        "at_both_tolerances",
        "just_beyond",
        "second_beyond",
        "nan",
        "infinite",
    ],
)
def test_rows_are_near_up_to_the_tolerance_of_each_feature(y, expected):
    assert compare([1.0, 2.0], y, (0.5, 1.0)) == expected


@pytest.mark.parametrize("value", [NAN, INF, -INF, 0.0])
def test_values_without_a_difference_equal_themselves_only(value):
    assert compare([value], [value], (0.5,)) == (1.0, True)
    assert compare([value], [1.0], (0.5,)) == (0.0, False)
    assert compare([value], [value], (0.0,)) == (1.0, True)


def test_opposite_infinities_are_not_near():
    assert compare([INF], [-INF], (0.5,)) == (0.0, False)


def test_a_feature_without_tolerance_must_be_equal():
    assert compare([1.0], [1.0], (0.0,)) == (1.0, True)
    assert compare([1.0], [np.nextafter(1.0, 2)], (0.0,)) == (0.0, False)
    assert compare([0.0], [-0.0], (0.0,)) == (1.0, True)


@pytest.mark.parametrize("tolerances", [(), (-1.0,), (NAN,), (INF,)])
def test_tolerances_that_mean_nothing_are_refused(tolerances):
    with pytest.raises(ValueError, match="one finite number"):
        RowModel(tolerances)


def test_no_rows_have_no_keys():
    model = RowModel((1.0, 0.0))
    keys, signatures, usable = model.index(np.empty((0, 2)))
    assert keys.shape == (0, model.num_bands)
    assert signatures.shape == (0, model.signature_words)
    assert usable.shape == (0,)
    rows, bands, keys, signatures = model.queries(np.empty((0, 2)))
    assert len(rows) == len(bands) == len(keys) == len(signatures) == 0
    similarity, is_near = model.verify(np.empty((0, 2)), np.empty((0, 2)))
    assert len(similarity) == len(is_near) == 0


@pytest.mark.parametrize("features", [1, 2, 4, 8, 9, 30, 300])
@pytest.mark.parametrize("spread", ["even", "extreme"])
def test_near_rows_share_a_key_within_the_largest_distance(features, spread):
    rng = np.random.default_rng(features)
    tolerances = np.exp(rng.normal(size=features))
    model = RowModel(tuple(tolerances))
    x = rng.normal(size=(4000, features)) * 1000 * tolerances
    share = rng.uniform(-1, 1, x.shape)
    y = x + (np.sign(share) if spread == "extreme" else share) * tolerances
    keys, signatures, usable = model.index(x)
    rows, bands, query_keys, query_signatures = model.queries(y)
    hit = (query_keys == keys[rows, bands]) & (
        hamming(query_signatures, signatures[rows]) <= model.max_distance
    )
    found = np.zeros(len(x), bool)
    np.logical_or.at(found, rows, hit)
    assert usable.all()
    # By the derivation, 1e-3 at worst, with four standard deviations of chance.
    assert found.mean() >= 1 - (1e-3 + 4 * np.sqrt(1e-3 / 4000))


def test_different_rows_hardly_ever_share_a_key():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 30))
    keys, _, _ = RowModel((1e-3,) * 30).index(x)
    assert all(len(np.unique(band)) == len(x) for band in keys.T)


@given(
    npst.arrays(
        np.float64,
        st.tuples(st.integers(1, 20), st.just(10)),
        elements=st.floats(allow_nan=True, allow_infinity=True),
    ),
    st.lists(
        st.one_of(st.just(0.0), st.floats(1e-300, 1e300)), min_size=10, max_size=10
    ),
)
def test_keys_of_a_row_depend_on_nothing_else_and_copies_share_all(rows, tolerances):
    model = RowModel(tuple(tolerances))
    keys, signatures, _ = model.index(rows)
    for i in range(len(rows)):
        one_key, one_signature, _ = model.index(rows[i : i + 1].copy())
        assert (one_key == keys[i]).all()
        assert (one_signature == signatures[i]).all()
    similarity, is_near = model.verify(rows, rows)
    assert is_near.all()
    assert (similarity == 1).all()


@pytest.mark.parametrize("other", [2.0, NAN, INF, -INF])
def test_keys_tell_apart_what_must_be_equal(other):
    exact = RowModel((0.0, 1.0))
    one, two = (exact.index(np.array([[x, 5.0]]))[0] for x in (1.0, other))
    assert (one != two).all()
    if not np.isfinite(other):
        loose = RowModel((1.0, 1.0))
        one, two = (loose.index(np.array([[x, 5.0]]))[0] for x in (0.0, other))
        assert (one != two).all()


def test_zeros_and_nans_of_any_bits_share_their_keys():
    quiet, other = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(
        np.float64
    )
    model = RowModel((0.0, 1.0))
    one = model.index(np.array([[-0.0, quiet]]))[0]
    assert (one == model.index(np.array([[0.0, other]]))[0]).all()


def test_a_model_travels():
    model = RowModel((1.0, 2.0))
    assert pickle.loads(pickle.dumps(model)) == model
