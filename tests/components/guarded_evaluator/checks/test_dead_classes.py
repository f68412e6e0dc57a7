# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.causes import Severity
from components.guarded_evaluator.checks import check_dead_classes


def test_a_class_never_predicted_is_dead(make_evidence):
    confusion = np.array([[36, 4, 0], [4, 36, 0], [20, 20, 0]])
    evidence = make_evidence(confusion)
    [finding] = check_dead_classes(evidence)
    assert finding.blocks
    assert finding.subject.class_name == "c2"
    assert "'c2' (0 of 40 found, never predicted)" in finding.message


def test_several_dead_classes_are_one_finding(make_evidence):
    confusion = np.zeros((10, 10), int)
    confusion[:, 0], confusion[:, 1] = 10, 10
    [finding] = check_dead_classes(make_evidence(confusion))
    assert finding.message.startswith("8 of 10 classes")
    assert finding.evidence["classes"] == [f"c{k}" for k in range(2, 10)]
    assert finding.subject.class_name is None


@pytest.mark.parametrize(
    ("hits", "count", "severity"),
    [
        (0, 5, Severity.WARN),
        (0, 25, Severity.WARN),
        # 3 classes are 3 tests: 0.8 ** 26 < 0.01 / 3.
        (0, 26, Severity.BLOCK),
        (1, 20, Severity.WARN),
        (4, 100, Severity.BLOCK),
        (9, 100, Severity.BLOCK),
        (10, 100, None),
        (11, 100, None),
    ],
)
def test_a_recall_below_a_tenth_is_dead_if_it_is_sure(
    make_evidence, hits, count, severity
):
    confusion = np.diag([300, 300, hits])
    # Predicted now and then, but for others.
    confusion[0, 2] += count
    confusion[2, 0] += count - hits
    found = list(check_dead_classes(make_evidence(confusion)))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_a_class_without_examples_is_not_called_dead(make_evidence):
    evidence = make_evidence(np.diag([50, 50, 0]))
    assert list(check_dead_classes(evidence)) == []


def test_a_collapse_is_not_told_again_as_dead_classes(make_evidence):
    assert list(check_dead_classes(make_evidence([[30, *[0] * 9]] * 10))) == []


@pytest.mark.parametrize(("count", "severity"), [(11, "warn"), (12, "block")])
def test_a_class_never_predicted_is_dead_if_it_ought_to_have_been(
    make_evidence, count, severity
):
    # A model that answers it half as often misses it with exp(-6) < 0.01 / 3.
    confusion = np.diag([500, 500, 0])
    confusion[2, 0] = count
    [finding] = check_dead_classes(make_evidence(confusion))
    assert finding.severity == severity


@pytest.mark.parametrize(("size", "count"), [(100, 5), (1000, 2)])
@pytest.mark.parametrize("answered", [0.2, 0.9])
def test_many_classes_never_predicted_are_more_than_chance(
    make_evidence, size, count, answered
):
    # None of them has examples enough to be dead by itself.
    labels = np.repeat(np.arange(size), count)
    evidence = make_evidence(
        (labels, labels % int(size * answered)), num_classes=size, modes=False
    )
    [finding] = check_dead_classes(evidence)
    assert finding.blocks == (answered == 0.2)
    assert finding.message.startswith(f"{size - int(size * answered)} of {size} ")


def test_healthy_models_of_many_classes_have_few_examples_of_each(make_evidence):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1000), 3)
    wrong = rng.integers(0, 1000, len(labels))
    predicted = np.where(rng.random(len(labels)) < 0.4, labels, wrong)
    evidence = make_evidence((labels, predicted), num_classes=1000, modes=False)
    assert not any(finding.blocks for finding in check_dead_classes(evidence))
