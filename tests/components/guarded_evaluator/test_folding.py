# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from components import causes
from components.causes import Severity
from components.findings import Subject, find
from components.guarded_evaluator.folding import classes_of, fold

OWN, TRAINER = "GuardedEvaluator: mode_gap", "GuardedTrainer"


def made(cause, found_by=OWN, message="It is so.", severity=None, unit="", **subject):
    return find(
        cause,
        message,
        severity=severity,
        subject=Subject(**subject),
        found_by=found_by,
        unit=unit,
    )


def test_nothing_is_folded_into_nothing():
    assert fold(()) == ()


def test_equal_findings_are_one():
    finding = made("check_failed")
    assert fold([finding, finding]) == (finding,)


def test_the_gap_measured_by_the_evaluator_stays():
    of_trainer = made("mode_gap", TRAINER, "32 rows.", split="train", layer="bn")
    own = made("mode_gap", message="500 rows.", split="eval")
    [folded] = fold([of_trainer, own])
    assert (folded.found_by, folded.message) == (OWN, "500 rows.")
    assert folded.evidence["also_found"] == [
        {"found_by": TRAINER, "severity": "block", "message": "32 rows."}
    ]


def test_the_most_severe_counts_and_says_why():
    of_trainer = made("overfit", TRAINER, "Far apart.")
    own = made("overfit", message="May be chance.", severity=Severity.WARN)
    [folded] = fold([of_trainer, own])
    assert folded.blocks
    assert folded.message == "May be chance. Far apart."


def test_without_the_evaluator_the_most_severe_stays():
    warns = made("no_signal", TRAINER, "A.", Severity.WARN)
    blocks = made("no_signal", "Another", "B.")
    assert [f.message for f in fold([warns, blocks])] == ["B."]


def test_other_facts_about_the_same_split_are_told_with_it():
    few = made("insufficient_evidence", message="Few.", unit="examples", split="eval")
    one = made("insufficient_evidence", message="One.", unit="classes", split="eval")
    [folded] = fold([few, one])
    assert folded.message == "Few. One."


def test_what_is_about_something_else_stays_apart():
    findings = [
        made("collapse", slice="site=a"),
        made("collapse", slice="site=b"),
        made("collapse"),
        made("unscaled_input", "FeatureValidator", feature="x"),
        made("unscaled_input", "FeatureValidator", feature="y"),
        made("check_failed", message="A failed."),
        made("check_failed", message="B failed."),
        made("below_threshold", unit="auc"),
        made("below_threshold", unit="recall"),
    ]
    assert fold(findings) == tuple(findings)


def test_remarks_stay_apart_from_one_another():
    remarks = [
        made("mode_gap", TRAINER, "Recalibrated.", Severity.INFO),
        made("mode_gap", TRAINER, "Small batches.", Severity.INFO),
    ]
    assert fold(remarks) == tuple(remarks)
    assert len(fold([*remarks, made("mode_gap")])) == 1


def test_a_dead_class_of_the_trainer_goes_into_the_list_of_the_evaluator():
    both = made("dead_class", split="eval").model_copy(
        update={"evidence": {"classes": ["c1", "c2"]}}
    )
    known = made("dead_class", TRAINER, split="train", class_name="c2")
    new = made("dead_class", TRAINER, split="train", class_name="c7")
    assert [f.found_by for f in fold([both, known, new])] == [OWN, TRAINER]


def test_classes_are_read_wherever_they_stand():
    assert classes_of(made("dead_class", class_name="a")) == ("a",)
    for key, listed in (
        ("classes", ["a", "b"]),
        ("absent", ["a", "b"]),
        ("counts", {"a": 1, "b": 2}),
    ):
        finding = made("missing_class").model_copy(update={"evidence": {key: listed}})
        assert classes_of(finding) == ("a", "b")
    assert classes_of(made("missing_class")) == ()


findings = st.lists(
    st.builds(
        made,
        st.sampled_from(list(causes.CATALOGUE)),
        st.sampled_from([OWN, TRAINER, "LeakageValidator"]),
        st.sampled_from(["A.", "B."]),
        st.sampled_from(Severity),
        split=st.sampled_from(["train", "eval", None]),
        class_name=st.sampled_from(["c0", None]),
    ),
    max_size=8,
)


@given(findings)
def test_folding_never_lets_through_what_was_blocked(given_findings):
    folded = fold(given_findings)
    blocked = {f.cause for f in given_findings if f.blocks}
    assert {f.cause for f in folded if f.blocks} == blocked
    assert {f.cause for f in folded} == {f.cause for f in given_findings}


@given(findings)
def test_folding_twice_changes_nothing_more(given_findings):
    folded = fold(given_findings)
    assert fold(folded) == folded
