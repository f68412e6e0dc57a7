# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from components.causes import Severity
from components.findings import Verdict
from components.guarded_evaluator.checks import (
    CHECKS,
    check_batch_dependence,
    check_mode_gap,
)
from components.guarded_evaluator.decision import decide
from components.records.evaluation import (
    BATCH_STATISTICS_MODE,
    ONE_BY_ONE,
    TRAINING_MODE,
)
from components.records.training import BatchNormDrift, Recalibration, TrainingRecord

NAN = float("nan")


def mode_better_by(evidence_of, gained, lost=0, count=1000, **settings):
    """Two equal classes, 80 % right; a mode right on `gained` more, `lost` fewer."""
    wrong = count // 10
    confusion = [[count // 2 - wrong, wrong], [wrong, count // 2 - wrong]]
    labels = np.repeat([0, 1], count // 2)
    predicted = np.repeat([0, 1, 0, 1], np.ravel(confusion))
    mode = predicted.copy()
    wrong_rows, right_rows = (
        np.flatnonzero(predicted != labels),
        np.flatnonzero(predicted == labels),
    )
    for rows, number in ((wrong_rows, gained), (right_rows, lost)):
        mode[rows[np.linspace(0, len(rows) - 1, number).astype(int)]] ^= 1
    return evidence_of(confusion, training_mode=mode, **settings)


@pytest.mark.parametrize(
    ("gained", "lost", "severity"),
    [
        (0, 0, None),
        (25, 0, None),  # Exactly half the limit, and sure.
        (26, 0, Severity.WARN),
        (126, 100, None),  # As wide, but not sure.
        (50, 0, Severity.WARN),  # Exactly the limit, and sure.
        (51, 0, Severity.BLOCK),
        (151, 100, Severity.BLOCK),
        (200, 0, Severity.BLOCK),
    ],
)
def test_inference_worse_than_training_mode_is_found(
    make_evidence, gained, lost, severity
):
    found = list(check_mode_gap(mode_better_by(make_evidence, gained, lost)))
    assert [(f.cause, f.severity) for f in found] == [("mode_gap", severity)] * bool(
        severity
    )
    if found:
        assert found[0].measured == (gained - lost) / 1000
        within = severity is Severity.WARN
        assert ("within the limit, and more than chance" in found[0].message) == within


@pytest.mark.parametrize("lost", [51, 400, 800])
def test_dropout_that_makes_training_mode_worse_never_counts(make_evidence, lost):
    evidence = mode_better_by(make_evidence, 0, lost, distance=0.9)
    assert decide(evidence, CHECKS).findings == ()


def test_a_gap_that_may_be_chance_warns(make_evidence):
    [finding] = check_mode_gap(mode_better_by(make_evidence, 4, 1, count=40))
    assert finding.severity is Severity.WARN
    assert "may be chance" in finding.message


def test_three_images_right_in_training_and_wrong_in_use_block(make_evidence):
    # The five cases began with this one: 3 of 3 in training mode, 1 of 3 in use.
    evidence = make_evidence(
        [[1, 0, 0], [1, 0, 0], [1, 0, 0]], training_mode=[0, 1, 2], distance=0.66
    )
    verdict = decide(evidence, CHECKS)
    assert verdict.blocking[0].cause == "mode_gap"
    assert "33.3% in inference mode and 100.0% in training mode" in str(verdict)


@pytest.mark.parametrize(
    ("distance", "severity"),
    [(0.49, Severity.WARN), (0.5, Severity.BLOCK), (NAN, Severity.WARN)],
)
def test_a_few_examples_are_certain_where_most_probability_moves(
    make_evidence, distance, severity
):
    evidence = make_evidence(
        [[1, 0, 0], [1, 0, 0], [1, 0, 0]], training_mode=[0, 1, 2], distance=distance
    )
    assert [f.severity for f in check_mode_gap(evidence)] == [severity]


def test_far_moves_of_few_answers_are_not_certain(make_evidence):
    # Dropout takes confidence from every answer and changes 2 of 30.
    labels = np.arange(30) % 3
    predicted = np.where(np.arange(30) < 26, labels, (labels + 1) % 3)
    mode = np.where(np.arange(30) < 28, labels, (labels + 1) % 3)
    evidence = make_evidence(
        (labels, predicted), num_classes=3, training_mode=mode, distance=0.6
    )
    assert [f.severity for f in check_mode_gap(evidence)] == [Severity.WARN]


def test_large_noise_is_not_certain(make_evidence):
    # Half of the probability moves, to and fro: small batches do that.
    evidence = mode_better_by(make_evidence, 8, 5, count=50, distance=0.6)
    assert [f.severity for f in check_mode_gap(evidence)] == [Severity.WARN]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("training_mode", "eval examples the accuracy"),
        ("batch_statistics", "in batch statistics mode"),
        ("train_training_mode", "train examples the accuracy"),
    ],
)
def test_a_gap_counts_in_each_mode_and_split(make_evidence, where, words):
    confusion = [[300, 200], [200, 300]]
    right = {where: [0] * 500 + [1] * 500}
    [finding] = check_mode_gap(make_evidence(confusion, **right))
    assert finding.blocks
    assert words in finding.message


def test_a_rare_class_lost_in_use_blocks(make_evidence):
    # 1 % positives: accuracy falls by 0.0075, their recall from 0.9 to 0.15.
    mode = [0] * 9900 + [0] * 10 + [1] * 90
    evidence = make_evidence([[9900, 0], [85, 15]], batch_statistics=mode)
    [finding] = check_mode_gap(evidence)
    assert (finding.severity, finding.unit) == (Severity.BLOCK, "mean recall")
    assert finding.measured == pytest.approx(0.375)


def test_the_recall_of_a_few_rare_examples_is_noise(make_evidence):
    evidence = make_evidence([[990, 0], [4, 6]], training_mode=[0] * 993 + [1] * 7)
    assert list(check_mode_gap(evidence)) == []


def test_a_model_without_modes_is_not_let_through(make_evidence, diagonal):
    confusion = diagonal([50, 50], [45, 45])
    assert [
        f.cause for f in decide(make_evidence(confusion, modes=False), CHECKS).blocking
    ] == ["check_failed"]
    accepted = make_evidence(confusion, modes=False, require_modes=False)
    [warning] = decide(accepted, CHECKS).findings
    assert (warning.cause, warning.severity) == ("check_failed", Severity.WARN)


def recorded(evidence, **fields):
    record = evidence.evaluation.model_copy(update=fields)
    return dataclasses.replace(evidence, evaluation=record)


def test_a_model_that_has_but_one_mode_needs_no_other(make_evidence, diagonal):
    evidence = make_evidence(diagonal([50, 50], [45, 45]), modes=False)
    verdict = decide(recorded(evidence, has_no_modes=True), CHECKS)
    assert verdict == Verdict()


def test_a_gap_counts_even_if_it_was_thought_there_is_none(make_evidence):
    evidence = recorded(mode_better_by(make_evidence, 200), has_no_modes=True)
    assert [f.cause for f in check_mode_gap(evidence)] == ["mode_gap"]


def test_why_there_is_no_other_mode_is_told(make_evidence, diagonal):
    evidence = make_evidence(diagonal([50, 50], [45, 45]), modes=False)
    why = "the SavedModel has no training-mode signature."
    [finding] = check_mode_gap(recorded(evidence, modes_missing_because=why))
    assert finding.message == (
        "The model cannot be asked in training mode (the SavedModel has no "
        "training-mode signature), so nothing is known of a gap between training and "
        "use."
    )


@pytest.mark.parametrize("mode", [TRAINING_MODE, BATCH_STATISTICS_MODE])
def test_one_mode_without_results_is_not_judged(make_evidence, without, mode):
    evidence = make_evidence([[90, 10], [10, 90]])
    record = evidence.evaluation
    cut = dataclasses.replace(
        evidence,
        evaluation=record.model_copy(
            update={"results": tuple(r for r in record.results if r.model != mode)}
        ),
    )
    with pytest.raises(LookupError, match=f"no metrics of the {mode} model"):
        list(check_mode_gap(cut))


def test_an_empty_comparison_is_not_judged(make_evidence):
    with pytest.raises(ValueError, match="no example was compared"):
        list(check_mode_gap(make_evidence(np.zeros((2, 2), int))))


@pytest.fixture
def training():
    drift = BatchNormDrift(
        layer="stem/bn", mean_shift=1.5, log_variance_ratio=0.0, initial_share=0.3
    )
    return TrainingRecord(
        class_names=("c0", "c1"),
        num_parameters=1,
        num_train_examples=1000,
        num_held_out=0,
        batch_size=32,
        steps_per_epoch=32,
        epochs=(),
        best_epoch=None,
        stopped_because="it was over",
        batch_norm=(drift,),
        seed=0,
        seconds=1.0,
        versions={},
        devices=(),
    )


def test_the_drifted_layers_are_named(make_evidence, training):
    [finding] = check_mode_gap(mode_better_by(make_evidence, 150, training=training))
    assert finding.subject.layer == "stem/bn"
    assert "stem/bn (mean off by 1.5 sd" in finding.message
    assert Verdict.from_json(Verdict(findings=(finding,)).to_json()).findings


def test_drift_measured_on_the_model_itself_is_told_first(make_evidence, training):
    evidence = mode_better_by(make_evidence, 150, training=training)
    drift = training.batch_norm[0].model_copy(update={"layer": "head/bn"})
    [finding] = check_mode_gap(dataclasses.replace(evidence, batch_norm=(drift,)))
    assert finding.subject.layer == "head/bn"
    assert "stem/bn" not in finding.message


def test_layers_whose_drift_was_repaired_are_not_blamed(make_evidence, training):
    repaired = training.model_copy(
        update={
            "recalibration": Recalibration(
                kept=True,
                num_examples=1,
                num_held_out=1,
                loss_before=1.0,
                loss_after=0.5,
                accuracy_before=0.5,
                accuracy_after=0.9,
            )
        }
    )
    [finding] = check_mode_gap(mode_better_by(make_evidence, 150, training=repaired))
    assert finding.subject.layer is None
    assert "stem/bn" not in finding.message


@pytest.mark.parametrize(
    ("distance", "blocks"),
    [(0.0, False), (0.01, False), (0.0101, True), (0.6, True), (NAN, True)],
)
def test_an_answer_that_changes_with_the_batch_blocks(make_evidence, distance, blocks):
    evidence = make_evidence([[90, 10], [10, 90]], alone=distance)
    found = list(check_batch_dependence(evidence))
    assert [(f.cause, f.blocks) for f in found] == [("batch_dependence", True)] * blocks


def test_a_model_that_was_not_asked_alone_is_not_judged(make_evidence, without):
    evidence = without(make_evidence([[90, 10], [10, 90]]), model=ONE_BY_ONE)
    with pytest.raises(LookupError, match="no example alone"):
        list(check_batch_dependence(evidence))
