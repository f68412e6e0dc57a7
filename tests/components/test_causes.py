# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from components import causes
from components.causes import CATALOGUE, Severity, Stage


@pytest.mark.parametrize("cause", CATALOGUE.values(), ids=CATALOGUE)
class TestCause:
    def test_has_a_stable_name(self, cause):
        assert re.fullmatch("[a-z]+(_[a-z]+)*", cause.id)
        assert CATALOGUE[cause.id] is cause

    def test_says_what_it_is_and_what_to_do_in_sentences(self, cause):
        for text in (cause.sentence, cause.remedy):
            assert text[0].isupper()
            assert text.endswith(".")
            assert "\n" not in text
            assert "  " not in text

    def test_is_looked_for_somewhere(self, cause):
        assert cause.stages
        assert all(isinstance(stage, Stage) for stage in cause.stages)
        assert len(set(cause.stages)) == len(cause.stages)

    def test_blocks_or_warns(self, cause):
        assert cause.severity in {Severity.BLOCK, Severity.WARN}


def test_no_cause_stands_in_the_table_twice():
    assert len(CATALOGUE) == len(causes._TABLE)


def test_what_could_not_be_checked_explains_nothing_and_stands_last():
    assert list(CATALOGUE)[-1] == "check_failed"
    assert CATALOGUE["check_failed"].severity is Severity.BLOCK


def test_ranks_follow_the_table():
    assert sorted(CATALOGUE, key=causes.rank) == list(CATALOGUE)


@pytest.mark.parametrize(
    ("root", "effect"),
    [
        ("missing_class", "collapse"),
        ("class_imbalance", "collapse"),
        ("unscaled_input", "vanishing_gradient"),
        ("learning_rate_too_high", "exploding_gradient"),
        ("learning_rate_too_high", "dead_relu"),
        ("vanishing_gradient", "collapse"),
        ("mode_gap", "collapse"),
        ("duplicate_leakage", "overfit"),
        ("collapse", "below_threshold"),
        ("loss_mismatch", "not_probabilities"),
        ("not_probabilities", "miscalibrated"),
        ("overfit", "weak_slice"),
        ("mode_gap", "weak_slice"),
        ("overfit", "miscalibrated"),
    ],
)
def test_root_causes_stand_above_what_they_bring_about(root, effect):
    assert causes.rank(root) < causes.rank(effect)


def test_an_unknown_cause_has_no_rank():
    with pytest.raises(KeyError):
        causes.rank("bad_luck")


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOGUE["bad_luck"] = CATALOGUE["collapse"]


def test_severities_rank_from_the_most_severe():
    ranks = [
        severity.rank for severity in (Severity.BLOCK, Severity.WARN, Severity.INFO)
    ]
    assert ranks == [0, 1, 2]
