# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.causes import Severity
from components.guarded_evaluator.checks import check_harmless_changes


def changed(make_evidence, flipped, mended=0, count=1000, others=None, **settings):
    """Two classes, 80 % right; a change flips right answers, and mends wrong ones."""
    wrong = count // 10
    confusion = [[count // 2 - wrong, wrong], [wrong, count // 2 - wrong]]
    labels = np.repeat([0, 1], count // 2)
    predicted = np.repeat([0, 1, 0, 1], np.ravel(confusion))
    answers = predicted.copy()
    answers[np.flatnonzero(predicted == labels)[:flipped]] ^= 1
    answers[np.flatnonzero(predicted != labels)[:mended]] ^= 1
    return make_evidence(
        confusion, perturbed={"jpeg_quality": answers, **(others or {})}, **settings
    )


@pytest.mark.parametrize(
    ("flipped", "severity"),
    [
        (0, None),
        (40, None),  # Exactly the limit: 0.05 of 800.
        (50, None),  # Beyond it, and may be chance.
        (70, Severity.WARN),
        (400, Severity.WARN),  # Exactly half.
        (430, Severity.WARN),  # More than half, and may be less.
        (460, Severity.BLOCK),
        (800, Severity.BLOCK),
    ],
)
def test_right_answers_that_a_harmless_change_flips(make_evidence, flipped, severity):
    found = list(check_harmless_changes(changed(make_evidence, flipped)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    if found:
        assert found[0].cause == "fragile_preprocessing"
        assert found[0].measured == flipped / 800
        assert "(jpeg quality)" in found[0].message
        assert found[0].limit == (0.5 if found[0].blocks else 0.05)


def test_flips_to_and_fro_destroy_no_accuracy(make_evidence):
    [finding] = check_harmless_changes(changed(make_evidence, 500, mended=200))
    assert finding.severity is Severity.WARN


def test_the_worst_change_is_named(make_evidence):
    _, half = np.repeat([0, 1], 500), np.zeros(1000, int)
    evidence = changed(make_evidence, 100, others={"brightness": half})
    [finding] = check_harmless_changes(evidence)
    assert finding.subject.model == "perturbed:brightness"
    assert set(finding.evidence["flipped_shares"]) == {
        "perturbed:brightness",
        "perturbed:jpeg_quality",
    }


def test_many_changes_ask_for_more_evidence(make_evidence):
    labels = np.repeat([0, 1], 500)
    alone = changed(make_evidence, 58)
    among = changed(make_evidence, 58, others={f"noise_{k}": labels for k in range(30)})
    assert len(list(check_harmless_changes(alone))) == 1
    assert list(check_harmless_changes(among)) == []


def test_a_few_examples_do_not_tell(make_evidence):
    assert list(check_harmless_changes(changed(make_evidence, 3, count=40))) == []


@pytest.mark.parametrize("perturbed", [{}, {"shift": []}])
def test_changes_that_were_not_made_are_told(make_evidence, without, perturbed):
    evidence = make_evidence(np.diag([50, 50]), perturbed={})
    [finding] = check_harmless_changes(evidence)
    assert (finding.cause, finding.severity) == ("check_failed", Severity.INFO)
    assert "nothing is known" in finding.message


def test_changes_that_were_not_asked_for_are_not_missed(make_evidence):
    evidence = make_evidence(np.diag([5, 5]), perturbed={}, max_perturbed_examples=0)
    assert list(check_harmless_changes(evidence)) == []


def test_a_model_that_is_never_right_has_nothing_to_lose(make_evidence):
    wrong = np.array([[0, 50], [50, 0]])
    right = np.repeat([0, 1], 50)
    evidence = make_evidence(wrong, perturbed={"shift": right})
    assert list(check_harmless_changes(evidence)) == []
