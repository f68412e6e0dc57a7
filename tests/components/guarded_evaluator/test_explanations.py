# SPDX-License-Identifier: Apache-2.0
"""The root cause of a failure stands first, and nothing is blamed without evidence."""

import dataclasses

import numpy as np
import pytest

from components.causes import Severity
from components.findings import Subject, Verdict, find
from components.guarded_evaluator.checks import CHECKS
from components.guarded_evaluator.decision import decide

UNEVEN, EVEN = [900, 100], [500, 500]


def one_answer(counts, answer=0):
    confusion = np.zeros((len(counts), len(counts)), int)
    confusion[:, answer] = counts
    return confusion


def trainer(cause, severity=Severity.WARN, **details):
    return find(
        cause,
        f"The trainer saw {cause}.",
        severity=severity,
        found_by="GuardedTrainer (ARule)",
        **details,
    )


def validator(cause, severity=Severity.WARN, split="train", **details):
    evidence = details.pop("evidence", {})
    return find(
        cause,
        f"The data have {cause}.",
        severity=severity,
        subject=Subject(split=split, **details),
        evidence=evidence,
        found_by="SomeValidator",
    )


def judge(evidence):
    return decide(evidence, CHECKS)


def first(evidence):
    return judge(evidence).blocking[0]


def blocking(evidence):
    return [finding.cause for finding in judge(evidence).blocking]


class TestClassImbalance:
    warning = validator("class_imbalance", class_name="c1")

    def test_explains_a_collapse_onto_the_frequent_class(self, make_evidence):
        evidence = make_evidence(one_answer(UNEVEN), upstream=[self.warning])
        finding = first(evidence)
        assert finding.cause == "class_imbalance"
        assert finding.message == (
            "The data have class_imbalance. This explains the collapse and that "
            "nothing was learnt."
        )
        assert finding.evidence["explains"] == ["collapse", "no_signal"]
        assert finding.evidence["severity_alone"] == "warn"

    @pytest.mark.parametrize(
        ("counts", "first_cause"),
        [([392, 8], "class_imbalance"), ([8, 392], "no_signal")],
    )
    def test_explains_that_nothing_was_learnt_where_a_collapse_is_not_sure(
        self, make_evidence, counts, first_cause
    ):
        # Eight rare examples are too few to call the one answer a collapse.
        confusion = [[392, 0], [8, 0]]
        evidence = make_evidence(confusion, one_answer(counts))
        assert "collapse" not in blocking(evidence)
        assert blocking(evidence)[0] == first_cause

    def test_does_not_explain_a_collapse_onto_the_rare_class(self, make_evidence):
        evidence = make_evidence(one_answer(UNEVEN, 1), upstream=[self.warning])
        assert blocking(evidence) == ["collapse", "no_signal"]
        assert judge(evidence).findings[-1] == self.warning

    def test_is_found_in_the_numbers_where_nobody_looked(self, make_evidence):
        finding = first(make_evidence(one_answer(UNEVEN)))
        assert finding.cause == "class_imbalance"
        assert (finding.measured, finding.limit) == (9, 4)
        assert finding.message == (
            "900 of 1000 examples of split train are of class 'c0', which makes it 9 "
            "times more frequent than the others on average. This explains the "
            "collapse and that nothing was learnt."
        )
        assert finding.subject == Subject(split="train", class_name="c0")

    @pytest.mark.parametrize(
        ("counts", "named"),
        [([500, 500], False), ([790, 210], False), ([800, 200], True)],
    )
    def test_is_named_from_four_times_the_others(self, make_evidence, counts, named):
        evidence = make_evidence(one_answer(EVEN), one_answer(counts))
        assert (first(evidence).cause == "class_imbalance") == named

    def test_does_not_explain_what_the_training_split_does_not_show(
        self, make_evidence
    ):
        evidence = make_evidence(one_answer(UNEVEN), np.diag(UNEVEN))
        assert blocking(evidence)[0] == "overfit"

    def test_does_not_explain_what_another_mode_does_not_show(self, make_evidence):
        evidence = make_evidence(
            one_answer(UNEVEN),
            training_mode=np.repeat([0, 1], UNEVEN),
            upstream=[self.warning],
        )
        verdict = judge(evidence)
        assert verdict.blocking[0].cause == "mode_gap"
        assert "explains the collapse" in verdict.blocking[0].message
        assert self.warning in verdict.findings

    def test_of_the_evaluation_split_explains_nothing(self, make_evidence):
        warning = validator("class_imbalance", split="eval")
        evidence = make_evidence(
            one_answer(UNEVEN), one_answer(EVEN), upstream=[warning]
        )
        assert blocking(evidence)[0] == "collapse"

    def test_explains_rare_classes_that_are_overlooked(self, make_evidence):
        confusion = np.diag([900, 900, 0])
        confusion[2, 0] = 60
        finding = first(make_evidence(confusion))
        assert finding.cause == "class_imbalance"
        assert "60 of 1860 examples of split train are of class 'c2'" in finding.message
        assert "15 times less frequent" in finding.message

    def test_does_not_explain_a_frequent_class_that_is_overlooked(self, make_evidence):
        confusion = np.diag([300, 300, 0])
        confusion[2, 0] = 300
        assert blocking(make_evidence(confusion)) == ["dead_class"]

    def test_is_no_reason_for_outputs_that_do_not_vary_if_there_is_another(
        self, make_evidence
    ):
        unscaled = validator("unscaled_input", feature="x")
        evidence = make_evidence(
            one_answer(UNEVEN), spread=0.0, upstream=[self.warning, unscaled]
        )
        assert blocking(evidence) == [
            "unscaled_input",
            "constant_output",
            "collapse",
            "no_signal",
        ]
        alone = make_evidence(one_answer(UNEVEN), spread=0.0)
        assert blocking(alone)[0] == "class_imbalance"

    def test_in_a_slice_explains_the_slice(self, make_evidence):
        labels = np.r_[np.repeat([0, 1], [190, 10]), np.tile([0, 1], 200)]
        answers = np.r_[np.zeros(200, int), np.tile([0, 1], 200)]
        lacking = validator(
            "class_imbalance", slice="site=a", evidence={"counts": {"c1": 10}}
        )
        elsewhere = validator("class_imbalance", slice="site=b")
        evidence = make_evidence(
            (labels, answers),
            num_classes=2,
            by_slice={"site=a": np.arange(200)},
            slices=("site",),
            upstream=[lacking, elsewhere],
        )
        verdict = judge(evidence)
        assert [f.cause for f in verdict.blocking] == ["class_imbalance", "collapse"]
        assert {f.subject.slice for f in verdict.blocking} == {"site=a"}


class TestMissingClass:
    def test_explains_the_dead_class_of_that_name(self, make_evidence):
        confusion = np.diag([300, 300, 0])
        confusion[2, 0] = 300
        missing = validator("missing_class", Severity.BLOCK, class_name="c2")
        other = validator("missing_class", Severity.BLOCK, class_name="c1")
        assert first(make_evidence(confusion, upstream=[missing])).evidence[
            "explains"
        ] == ["dead_class"]
        # What explains nothing stands behind, and still blocks.
        assert blocking(make_evidence(confusion, upstream=[other])) == [
            "dead_class",
            "missing_class",
        ]

    def test_explains_a_collapse_onto_another_class(self, make_evidence):
        missing = validator(
            "missing_class", Severity.BLOCK, evidence={"absent": ["c1", "c2"]}
        )
        evidence = make_evidence(one_answer([300, 0, 0]), one_answer([100] * 3))
        assert first(dataclasses.replace(evidence, upstream=(missing,)))
        collapsed = make_evidence(one_answer([100] * 3), upstream=[missing])
        assert blocking(collapsed)[0] == "missing_class"

    def test_is_found_in_the_numbers_where_nobody_looked(self, make_evidence):
        judged, train = np.diag([300, 300, 0]), np.diag([300, 300, 0])
        judged[2, 0] = 100
        finding = first(make_evidence(judged, train))
        assert finding.cause == "missing_class"
        assert finding.message == (
            "Class 'c2' occurs in none of the 600 examples of split train that were "
            "looked at. This explains the classes that are overlooked."
        )


class TestTraining:
    @pytest.mark.parametrize(
        "cause",
        [
            "dead_relu",
            "poor_initialization",
            "saturated_activation",
            "learning_rate_too_high",
            "learning_rate_too_low",
            "vanishing_gradient",
            "underfit",
        ],
    )
    def test_a_warning_of_the_trainer_explains_the_collapse(self, make_evidence, cause):
        evidence = make_evidence(one_answer(EVEN), upstream=[trainer(cause)])
        assert blocking(evidence)[0] == cause
        assert len(blocking(evidence)) == 3

    def test_the_first_in_the_catalogue_is_raised_and_the_others_warn(
        self, make_evidence
    ):
        given = [trainer("dead_relu"), trainer("poor_initialization")]
        verdict = judge(make_evidence(one_answer(EVEN), upstream=given))
        assert verdict.blocking[0].cause == "poor_initialization"
        assert given[0] in verdict.findings

    def test_nothing_is_raised_beside_what_blocks_and_explains(self, make_evidence):
        given = [
            trainer("learning_rate_too_high"),
            trainer("vanishing_gradient", Severity.BLOCK),
        ]
        verdict = judge(make_evidence(one_answer(EVEN), upstream=given))
        assert verdict.blocking[0].cause == "vanishing_gradient"
        assert given[0] in verdict.findings

    def test_remarks_explain_nothing(self, make_evidence):
        remark = trainer("dead_relu", Severity.INFO)
        assert blocking(make_evidence(one_answer(EVEN), upstream=[remark])) == [
            "collapse",
            "no_signal",
        ]

    def test_what_was_learnt_well_was_trained_well(self, make_evidence):
        evidence = make_evidence(
            one_answer(EVEN), np.diag(EVEN), upstream=[trainer("dead_relu")]
        )
        assert blocking(evidence) == ["overfit", "collapse", "no_signal"]

    def test_a_healthy_model_is_not_blocked_by_a_warning(self, make_evidence):
        given = [
            trainer("dead_relu"),
            validator("class_imbalance"),
            validator("unscaled_input", feature="x"),
        ]
        verdict = judge(make_evidence(np.diag(EVEN), upstream=given))
        assert verdict == Verdict.of(given)


class TestUnscaledInput:
    warning = validator("unscaled_input", feature="income")

    def test_explains_outputs_that_are_equal(self, make_evidence):
        evidence = make_evidence(one_answer(EVEN), spread=0.0, upstream=[self.warning])
        assert blocking(evidence)[0] == "unscaled_input"

    def test_does_not_where_the_trainer_knows_that_a_layer_scales_it(
        self, make_evidence
    ):
        evidence = make_evidence(
            one_answer(EVEN), upstream=[self.warning, trainer("dead_relu")]
        )
        assert blocking(evidence)[0] == "dead_relu"
        both = make_evidence(
            one_answer(EVEN), upstream=[self.warning, trainer("unscaled_input")]
        )
        assert blocking(both)[0] == "unscaled_input"


class TestData:
    def test_a_few_constant_features_explain_nothing(self, make_evidence):
        warning = validator("low_variance", feature="x")
        evidence = make_evidence(one_answer(EVEN), upstream=[warning])
        assert blocking(evidence)[0] == "collapse"

    def test_pictures_that_are_all_alike_explain_a_collapse(self, make_evidence):
        warning = validator("low_variance").model_copy(
            update={"unit": "share of the grey range"}
        )
        evidence = make_evidence(one_answer(EVEN), upstream=[warning])
        assert blocking(evidence)[0] == "low_variance"

    @pytest.mark.parametrize(("best", "named"), [(0.7, True), (0.8, False), (1, False)])
    def test_contradicting_labels_explain_half_of_the_errors(
        self, make_evidence, best, named
    ):
        warning = validator(
            "conflicting_labels", evidence={"highest_possible_accuracy": float(best)}
        )
        guessing = [[250, 250], [250, 250]]
        evidence = make_evidence(guessing, upstream=[warning])
        assert blocking(evidence) == ["conflicting_labels"] * named + ["no_signal"]

    @pytest.mark.parametrize(
        ("severity", "named"), [(Severity.BLOCK, True), (Severity.WARN, False)]
    )
    def test_splits_that_differ_explain_what_only_one_shows(
        self, make_evidence, severity, named
    ):
        skew = validator("train_eval_skew", severity, split="eval")
        worse = [[300, 200], [200, 300]]
        evidence = make_evidence(worse, np.diag(EVEN), upstream=[skew])
        assert blocking(evidence) == ["train_eval_skew"] * named + ["overfit"]

    @pytest.mark.parametrize(
        ("found_by", "named"),
        [("FeatureValidator", True), ("ClassBalanceValidator", False)],
    )
    def test_features_that_shift_explain_it_though_they_only_warn(
        self, make_evidence, found_by, named
    ):
        skew = validator("train_eval_skew", split="eval", feature="x")
        skew = skew.model_copy(update={"found_by": found_by})
        worse = [[300, 200], [200, 300]]
        evidence = make_evidence(worse, np.diag(EVEN), upstream=[skew])
        assert blocking(evidence) == ["train_eval_skew"] * named + ["overfit"]

    def test_leakage_that_hides_a_gap_stands_before_it(self, make_evidence):
        leak = validator("duplicate_leakage", Severity.BLOCK, split="eval")
        worse = [[350, 150], [150, 350]]
        evidence = make_evidence(worse, np.diag(EVEN), upstream=[leak])
        assert blocking(evidence) == ["duplicate_leakage", "overfit"]

    def test_rows_in_the_order_of_the_label_explain_a_collapse(self, make_evidence):
        warning = validator("label_leakage")
        assert first(make_evidence(one_answer(EVEN), upstream=[warning])).cause == (
            "label_leakage"
        )
        feature = validator("label_leakage", feature="x")
        assert blocking(make_evidence(one_answer(EVEN), upstream=[feature])) == [
            "collapse",
            "no_signal",
        ]

    def test_leakage_makes_no_model_worse_and_stands_behind(self, make_evidence):
        # The five cases: a model asked about the very images it has trained on.
        few = validator("class_imbalance", Severity.BLOCK)
        leak = validator("duplicate_leakage", Severity.BLOCK, split="eval")
        evidence = make_evidence(
            [[1, 0, 0], [1, 0, 0], [1, 0, 0]],
            training_mode=[0, 1, 2],
            distance=0.66,
            upstream=[leak, few],
        )
        assert blocking(evidence) == [
            "mode_gap",
            "insufficient_evidence",
            "duplicate_leakage",
            "class_imbalance",
        ]

    def test_what_could_not_be_checked_stands_behind_it(self, make_evidence):
        leak = validator("duplicate_leakage", Severity.BLOCK, split="eval")
        failed = find("check_failed", "It could not run.")
        evidence = make_evidence(one_answer(EVEN), upstream=[failed, leak])
        assert blocking(evidence)[-2:] == ["duplicate_leakage", "check_failed"]

    def test_leakage_alone_stays_where_it_is(self, make_evidence):
        leak = validator("duplicate_leakage", Severity.BLOCK, split="eval")
        verdict = judge(make_evidence(np.diag(EVEN), upstream=[leak]))
        assert verdict.findings == (leak,)


class TestNotANumber:
    @pytest.fixture
    def broken(self, make_evidence):
        """A model whose weights are NaN."""
        nothing = np.zeros((2, 2), int)
        evidence = make_evidence(
            nothing, nothing, num_not_finite=90, modes=False, require_modes=False
        )
        train = evidence.result("candidate", "train")
        broken = train.model_copy(update={"num_examples": 90, "num_not_finite": 90})
        record = evidence.evaluation
        results = tuple(broken if r is train else r for r in record.results)
        return dataclasses.replace(
            evidence, evaluation=record.model_copy(update={"results": results})
        )

    @pytest.mark.parametrize(
        "warning",
        [
            validator("unscaled_input", feature="income"),
            trainer("learning_rate_too_high"),
            validator("not_a_number", Severity.BLOCK, feature="income"),
        ],
        ids=lambda warning: warning.cause,
    )
    def test_of_every_answer_is_explained(self, broken, warning):
        verdict = judge(dataclasses.replace(broken, upstream=(warning,)))
        first, second = (f for f in verdict.blocking if f.cause != "check_failed")
        assert first.found_by == warning.found_by
        assert second.cause == "not_a_number"

    def test_is_told_once(self, broken):
        causes = [f.cause for f in judge(broken).findings]
        assert causes.count("not_a_number") == 1

    def test_of_some_answers_is_no_matter_of_training(self, make_evidence):
        warning = validator("unscaled_input", feature="income")
        evidence = make_evidence(np.diag(EVEN), num_not_finite=3, upstream=[warning])
        assert blocking(evidence) == ["not_a_number"]


class TestWithoutAnythingButNumbers:
    """A model trained elsewhere, whose data nobody has looked at."""

    def test_guessing_on_both_splits_is_no_signal(self, make_evidence):
        guessing = [[250, 250], [250, 250]]
        verdict = judge(make_evidence(guessing))
        assert [f.cause for f in verdict.findings] == ["no_signal", "underfit"]

    def test_good_on_train_and_bad_on_eval_is_overfit(self, make_evidence):
        evidence = make_evidence([[250, 250], [250, 250]], np.diag(EVEN))
        verdict = judge(evidence)
        assert [f.cause for f in verdict.findings] == ["overfit", "no_signal"]
        assert verdict.blocking[0].evidence["explains"] == ["no_signal"]

    def test_a_collapse_on_balanced_classes_has_no_known_reason(self, make_evidence):
        assert blocking(make_evidence(one_answer(EVEN))) == ["collapse", "no_signal"]

    def test_an_overfit_that_only_warns_is_the_reason_of_a_collapse(
        self, make_evidence
    ):
        evidence = make_evidence(
            one_answer([16, 14]), np.diag([300, 300]), confidence=0.999
        )
        found = judge(evidence)
        assert found.blocking[0].cause == "overfit"

    def test_answers_that_are_right_by_other_names_are_a_skew(self, make_evidence):
        exchanged = np.roll(np.diag([200, 200, 200, 200]), 1, axis=1)
        finding = first(make_evidence(exchanged, np.diag([200] * 4)))
        assert finding.cause == "train_eval_skew"
        assert "answers 'c1' for 'c0'" in finding.message
        assert finding.evidence["answers_for"]["c1"] == "c0"

    def test_two_of_many_classes_exchanged_are_a_skew(self, make_evidence):
        judged = np.diag([50] * 6)
        judged[[1, 4]] = judged[[4, 1]]
        finding = first(make_evidence(judged, np.diag([50] * 6)))
        assert finding.cause == "train_eval_skew"
        assert set(finding.evidence["answers_for"]) == {"c1", "c4"}

    def test_confusion_that_no_names_mend_is_overfit(self, make_evidence):
        rng = np.random.default_rng(0)
        guessed = rng.multinomial(100, np.full(6, 1 / 6), 6)
        assert blocking(make_evidence(guessed, np.diag([100] * 6)))[0] == "overfit"

    def test_where_nothing_was_learnt_it_is_chance_which_classes_are_dead(
        self, make_evidence
    ):
        # As the answers of an untrained network.
        answers = np.zeros((4, 4), int)
        answers[:, 1], answers[:, 2] = 60, 40
        verdict = judge(make_evidence(answers))
        assert [f.cause for f in verdict.blocking] == ["no_signal", "dead_class"]
        assert verdict.blocking[1].is_secondary

    def test_where_little_was_learnt_most_classes_are_dead(self, make_evidence):
        answers = np.zeros((4, 4), int)
        answers[:, 1], answers[:, 2] = [60, 90, 30, 60], [40, 10, 70, 40]
        assert blocking(make_evidence(answers)) == ["underfit", "dead_class"]

    def test_a_gap_that_only_one_slice_has_is_that_of_the_slice(self, make_evidence):
        labels = np.arange(600) % 2
        site = np.arange(600) // 2 % 3 == 0
        evidence = make_evidence(
            (labels, np.where(site, 1 - labels, labels)),
            np.diag(EVEN),
            num_classes=2,
            by_slice={"site=a": np.flatnonzero(site), "site=b": np.flatnonzero(~site)},
            slices=("site",),
        )
        verdict = judge(evidence)
        assert verdict.blocking[0].subject.slice == "site=a"
        assert verdict.blocking[-1].cause == "overfit"
