# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.guarded_evaluator.slicing import (
    NotCategory,
    Survey,
    merge,
    survey,
    text_of,
    unjudged,
)

BROKEN = NotCategory("feature 'site' holds fractions, which are no categories")


def test_values_are_gathered_over_batches():
    parts = [survey({"site", "x"}, {"site": v}) for v in (["a", None], ["b", "a"])]
    assert merge(parts, 2) == Survey(
        frozenset({"site", "x"}), {"site": frozenset("ab")}, {}
    )


@pytest.mark.parametrize(("limit", "kept"), [(3, True), (2, False)])
def test_a_feature_with_too_many_values_is_no_category(limit, kept):
    found = merge([survey({"site"}, {"site": list("abc")})], limit)
    assert ("site" in found.values) is kept
    left_out = unjudged(found, ["site"])
    assert [u.slice for u in left_out] == ["site"] * (not kept)
    if not kept:
        assert left_out[0].reason == "it has more than 2 values, so it is no category"


@given(
    st.lists(
        st.one_of(st.lists(st.sampled_from("abcd"), max_size=4), st.just(BROKEN)),
        max_size=6,
    ),
    st.randoms(),
)
def test_any_sharding_tells_the_same(batches, random):
    parts = [survey({"site"}, {"site": values}) for values in batches]
    whole = merge(parts, 3)
    shuffled = random.sample(parts, len(parts))
    cut = random.randint(0, len(parts))
    assert merge([merge(shuffled[:cut], 3), merge(shuffled[cut:], 3)], 3) == whole


def test_an_unknown_feature_is_refused_with_the_nearest_name():
    found = merge([survey({"site", "age"}, {})], 9)
    with pytest.raises(
        InputError, match="no 'sitee' among age, site; did you mean 'si"
    ):
        unjudged(found, ["sitee"])
    with pytest.raises(InputError, match="no 'colour' among age, site; correct the na"):
        unjudged(found, ["colour"])
    assert unjudged(found, ["site"]) == ()


def test_without_examples_nothing_is_unknown():
    assert merge([], 9) == Survey()
    assert unjudged(Survey(), ["site"]) == ()


@pytest.mark.parametrize(
    ("values", "text"),
    [(None, None), ([], None), ([b"a"], "a"), (["ü".encode()], "ü"), ([-3], "-3")],
)
def test_texts_and_integers_are_categories(values, text):
    assert text_of(values, "site") == text


@pytest.mark.parametrize(
    ("values", "reason"),
    [([1.0], "fractions"), ([b"a", b"b"], "2 values in one"), ([b"\xff"], "no text")],
)
def test_other_values_are_not(values, reason):
    with pytest.raises(NotCategory, match=reason):
        text_of(values, "site")
