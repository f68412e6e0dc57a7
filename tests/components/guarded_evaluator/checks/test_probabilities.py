# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from components.causes import Severity
from components.guarded_evaluator.checks import check_calibration, check_probabilities
from components.records.evaluation import NUM_CALIBRATION_BINS, CalibrationBin

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "seems"),
    [
        (-8.5, 12.0, "logits"),
        (-0.02, 1.3, "logits"),
        (-30.0, -0.001, "log-probabilities"),
        (-30.0, 0.0, "log-probabilities"),
        (0.0, 97.5, "scores or percentages"),
        (0.0, 1.0, "independent sigmoid units"),
        (-0.01, 1.01, "independent sigmoid units"),
    ],
)
def test_outputs_that_are_no_probabilities_are_told_by_their_range(
    make_evidence, low, high, seems
):
    evidence = make_evidence(
        np.diag([50, 50]),
        judged_fields={"num_not_probabilities": 1, "output_range": (low, high)},
    )
    [finding] = check_probabilities(evidence)
    assert (finding.cause, finding.blocks) == ("not_probabilities", True)
    assert (finding.measured, finding.limit) == (1, 0)
    assert f"they seem to be {seems}." in finding.message
    assert f"between {low:.4g} and {high:.4g}" in finding.message


def test_a_single_output_is_told_as_one(make_evidence):
    evidence = make_evidence(
        [[50]], judged_fields={"num_not_probabilities": 9, "output_range": (0.1, 0.9)}
    )
    [finding] = check_probabilities(evidence)
    assert "from a single output" in finding.message


def test_an_unknown_range_still_blocks(make_evidence):
    evidence = make_evidence(
        np.diag([9, 9]),
        judged_fields={"num_not_probabilities": 9, "output_range": None},
    )
    [finding] = check_probabilities(evidence)
    assert finding.blocks


def test_probabilities_are_fine(make_evidence):
    assert list(check_probabilities(make_evidence(np.diag([50, 50])))) == []


def test_the_training_split_counts_as_well(make_evidence):
    evidence = make_evidence(np.diag([50, 50]))
    train = evidence.result("candidate", "train")
    bad = train.model_copy(
        update={"num_not_probabilities": 3, "output_range": (-1.0, 2.0)}
    )
    record = evidence.evaluation
    results = tuple(bad if r is train else r for r in record.results)
    object.__setattr__(
        evidence, "evaluation", record.model_copy(update={"results": results})
    )
    [finding] = check_probabilities(evidence)
    assert finding.subject.split == "train"


def certain(make_evidence, confidence, hits=800, count=1000, **fields):
    half = count // 2
    wrong = count - hits
    confusion = [[half - wrong // 2, wrong // 2], [wrong - wrong // 2, 0]]
    confusion[1][1] = count - half - confusion[1][0]
    return make_evidence(confusion, judged_fields={"confidence": confidence, **fields})


@pytest.mark.parametrize(
    ("confidence", "warns"),
    [
        (0.5, False),  # Too modest is no fault here.
        (0.8, False),
        (0.9, False),  # Exactly the limit.
        (0.91, False),  # Beyond it, and may be chance.
        (0.93, True),  # The upper bound of 800 of 1,000 is 0.828.
        (0.99, True),
    ],
)
def test_more_certain_than_right_warns(make_evidence, confidence, warns):
    found = list(check_calibration(certain(make_evidence, confidence)))
    assert [(f.cause, f.severity) for f in found] == (
        [("miscalibrated", Severity.WARN)] * warns
    )
    if found:
        assert found[0].measured == pytest.approx(confidence - 0.8)


def test_a_few_examples_do_not_tell(make_evidence):
    assert list(check_calibration(certain(make_evidence, 0.95, 32, 40))) == []


@pytest.mark.parametrize(
    ("saturated", "wrong", "warns"),
    [(0, 0, False), (400, 20, False), (400, 40, False), (400, 80, True)],
)
def test_saturated_answers_that_are_wrong_warn(make_evidence, saturated, wrong, warns):
    # Modest on the whole, but wrong where it is certain.
    bins = [CalibrationBin()] * NUM_CALIBRATION_BINS
    bins[-1] = CalibrationBin(
        num_examples=saturated, confidence_sum=saturated, num_right=saturated - wrong
    )
    bins[7] = CalibrationBin(
        num_examples=1000 - saturated,
        confidence_sum=0.5 * (1000 - saturated),
        num_right=800 - saturated + wrong,
    )
    evidence = certain(
        make_evidence, 0.7, calibration=tuple(bins), num_saturated=saturated
    )
    found = list(check_calibration(evidence))
    assert len(found) == warns
    if found:
        assert f"of {saturated} answers" in found[0].message
        assert found[0].evidence["num_saturated_wrong"] == wrong


def test_confidence_that_was_not_measured_is_said_to_be_unknown(make_evidence):
    [finding] = check_calibration(certain(make_evidence, 0.8, calibration=()))
    assert (finding.cause, finding.severity) == ("check_failed", Severity.WARN)


def test_what_is_no_probability_has_no_calibration(make_evidence):
    evidence = certain(make_evidence, 0.99, num_not_probabilities=7)
    assert list(check_calibration(evidence)) == []


def test_an_empty_split_is_not_judged(make_evidence):
    with pytest.raises(ValueError, match="no predictions"):
        list(check_calibration(make_evidence(np.zeros((2, 2), int))))
