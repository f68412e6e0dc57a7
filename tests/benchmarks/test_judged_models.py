# SPDX-License-Identifier: Apache-2.0
import gzip
import json

import judged_models
import pytest


def _case(blocking=(), causes=("overfit",), left_out=(), **fields):
    return {
        "name": "some",
        "seed": 0,
        "half": "choosing",
        "causes": list(causes),
        "left_out": list(left_out),
        "accuracy": {"use": 0.5},
        "verdict": {"blocking": list(blocking), "messages": [], "warnings": []},
        **fields,
    }


def test_counts_what_is_blocked_named_and_wronged():
    cases = [
        _case(["overfit", "collapse"]),
        _case(["collapse", "overfit"]),
        _case(),
        _case(["mode_gap"], causes=()),
        _case(causes=()),
        _case(causes=(), left_out=["overfit"]),
        _case(left_out=["does no harm"]),
    ]
    assert judged_models.counts(cases) == {
        "blocked": (2, 3),
        "first cause right": (1, 3),
        "falsely blocked": (1, 2),
    }


def test_nothing_is_counted_of_nothing():
    assert set(judged_models.counts([]).values()) == {(0, 0)}


def test_a_refused_model_does_not_get_through():
    refused = _case()
    del refused["verdict"]
    refused["refused"] = "the model answers no probabilities"
    assert judged_models.counts([refused])["blocked"] == (1, 1)
    assert judged_models.counts([refused])["first cause right"] == (1, 1)


def test_the_summary_names_every_problem():
    told = judged_models.summary(
        [_case(), _case(["collapse"]), _case(["mode_gap"], causes=()), _case()]
    )
    assert told.count("missed ") == 2
    assert told.count("wrong name ") == 1
    assert told.count("false block ") == 1


@pytest.mark.parametrize(
    ("hits", "total", "ends"),
    [(0, 0, (0.0, 1.0)), (0, 60, (0.0, 0.0596)), (60, 60, (0.9404, 1.0))],
    ids=["nothing", "none", "all"],
)
def test_intervals_are_exact(hits, total, ends):
    assert judged_models.interval(hits, total) == pytest.approx(ends, abs=1e-4)


def test_packed_results_are_the_same_bytes_again():
    cases = [_case(["overfit"])]
    assert judged_models.packed(cases) == judged_models.packed(cases)
    assert json.loads(gzip.decompress(judged_models.packed(cases))) == cases


@pytest.mark.slow
def test_recipes_are_many_and_each_knows_its_sibling():
    recipes = judged_models.recipes()
    failing = [recipe for recipe in recipes.values() if recipe.causes]
    sound = [recipe for recipe in recipes.values() if not recipe.causes]
    assert len(failing) >= 60
    assert len(sound) >= 60
    for recipe in failing:
        assert recipe.harm
        assert not recipe.like or not recipes[recipe.like].causes
    for half in ("choosing", "confirming"):
        assert sum(recipe.half == half for recipe in failing) >= 30
        assert sum(recipe.half == half for recipe in sound) >= 30
