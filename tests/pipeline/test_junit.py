# SPDX-License-Identifier: Apache-2.0
"""What CI systems read: Jenkins, GitLab, GitHub's reporters and pytest's own form."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.causes import CATALOGUE, Severity
from components.findings import Subject, Verdict, failed_check, find
from pipeline.junit import as_junit
from pipeline.outcome import Outcome

GAP = find(
    "mode_gap",
    "17.5% in inference mode, 97.3% in training mode.",
    subject=Subject(split="eval"),
    measured=0.798,
    limit=0.05,
    unit="accuracy",
)
IMBALANCE = find("class_imbalance", "One class is rare.", measured=0.01)


def told(*findings, **changes):
    verdict = Verdict.of(findings)
    return Outcome(
        **{
            "kind": "check",
            "name": "model.keras",
            "blessed": verdict.passed,
            "verdict": verdict,
            "seconds": 12.34567,
            **changes,
        }
    )


def read(outcome):
    """Parses strictly, and holds the file against the form that all readers expect."""
    text = as_junit(outcome)
    root = ElementTree.fromstring(text.encode("utf-8"))
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    cases = list(suite)
    assert {case.tag for case in cases} <= {"testcase"}
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert all(all(pair) for pair in names)
    for element in (root, suite):
        assert element.get("name")
        assert float(element.get("time")) >= 0
        assert int(element.get("tests")) == len(cases)
        assert int(element.get("errors")) == len(suite.findall("testcase/error"))
        assert int(element.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(element.get("skipped")) == len(suite.findall("testcase/skipped"))
    for case in cases:
        assert float(case.get("time")) >= 0
        # One outcome, and then what was printed.
        tags = [child.tag for child in case]
        outcomes = [tag for tag in tags if tag in ("failure", "error", "skipped")]
        assert len(outcomes) <= 1
        assert tags == outcomes + ["system-out"] * ("system-out" in tags)
    for failure in suite.findall("testcase/failure"):
        assert failure.get("type")
        assert failure.get("message") or failure.text
    return suite


def cases(suite):
    return {case.get("name"): case for case in suite}


def test_a_good_model_shows_each_check_that_it_passed():
    suite = read(told())
    assert suite.get("failures") == suite.get("skipped") == "0"
    for cause in ("collapse", "mode_gap", "overfit", "duplicate_leakage"):
        assert len(cases(suite)[cause]) == 0
    assert cases(suite)["collapse"].get("classname") == "tfx-guard.model"
    assert cases(suite)["duplicate_leakage"].get("classname") == "tfx-guard.data"
    assert suite.get("name") == "tfx-guard model.keras"
    assert suite.get("time") == "12.346"


def test_a_check_does_not_claim_to_have_watched_the_training():
    assert "exploding_gradient" not in cases(read(told()))
    assert "exploding_gradient" in cases(read(told(kind="run")))
    found = find("exploding_gradient", "Gradients explode.")
    assert len(cases(read(told(found)))["exploding_gradient"]) == 1


def test_a_blocking_finding_is_a_failure_with_numbers_and_remedy():
    case = cases(read(told(GAP)))["mode_gap"]
    failure = case.find("failure")
    assert failure.get("type") == "mode_gap"
    assert failure.get("message") == GAP.message
    assert failure.text.splitlines() == [
        f"block: {GAP.message}",
        "subject: split eval",
        "measured: 0.798, limit 0.05 accuracy",
        f"remedy: {GAP.remedy}",
    ]


def test_two_findings_of_one_cause_are_one_failure():
    other = find("mode_gap", "Also on train.", subject=Subject(split="train"))
    suite = read(told(GAP, other))
    assert suite.get("failures") == "1"
    text = cases(suite)["mode_gap"].find("failure").text
    assert GAP.message in text
    assert "Also on train." in text


@pytest.mark.parametrize("severity", [Severity.WARN, Severity.INFO])
def test_what_does_not_block_is_output_of_a_case_that_passed(severity):
    finding = IMBALANCE.model_copy(update={"severity": severity})
    suite = read(told(finding))
    assert suite.get("failures") == "0"
    case = cases(suite)["class_imbalance"]
    assert [child.tag for child in case] == ["system-out"]
    assert case.find("system-out").text.startswith(f"{severity.value}: One class")


def test_a_warning_beside_a_failure_of_the_same_cause_is_kept():
    warning = GAP.model_copy(update={"severity": Severity.WARN, "message": "Maybe."})
    case = cases(read(told(GAP, warning)))["mode_gap"]
    assert [child.tag for child in case] == ["failure", "system-out"]
    assert "Maybe." in case.find("system-out").text


def test_a_check_that_could_not_run_fails_where_it_blocks():
    finding = failed_check("GuardedEvaluator: overfit", ValueError("no <numbers>"))
    suite = read(told(finding))
    failure = cases(suite)["GuardedEvaluator: overfit"].find("failure")
    assert failure.get("type") == "check_failed"
    assert "no <numbers>" in failure.get("message")


def test_a_check_that_could_not_run_is_skipped_where_it_does_not_block():
    finding = failed_check("compare", ValueError("other classes")).model_copy(
        update={"severity": Severity.WARN}
    )
    case = cases(read(told(finding)))["compare"]
    assert [child.tag for child in case] == ["skipped", "system-out"]
    assert "other classes" in case.find("skipped").get("message")


def test_what_nobody_looked_for_is_skipped_and_not_passed():
    reasons = {"group_leakage": "no feature is named", "mode_gap": "no such mode"}
    suite = read(told(not_looked_for=reasons))
    assert suite.get("skipped") == "2"
    skipped = cases(suite)["group_leakage"].find("skipped")
    assert skipped.get("message") == "no feature is named"
    # What was found all the same was looked for.
    case = cases(read(told(GAP, not_looked_for=reasons)))["mode_gap"]
    assert [child.tag for child in case] == ["failure"]


def test_checks_that_were_left_out_are_skipped_once():
    left_out = (
        "training mode: none was saved.",
        "slice site=a: too few examples.",
        "something else",
    )
    suite = read(told(not_run=left_out, not_looked_for={"mode_gap": "none was saved"}))
    names = cases(suite)
    assert "training mode" not in names
    assert names["slice site=a"].find("skipped").get("message") == left_out[1]
    assert "other checks" in names


def test_a_model_refused_without_a_finding_is_a_failure_all_the_same():
    suite = read(told(blessed=False))
    assert suite.get("failures") == "1"
    assert "not blessed" in cases(suite)["blessing"].find("failure").text


def test_numbers_that_are_not_finite_are_words():
    finding = find("not_a_number", "Infinite.", measured=math.inf, limit=0.0)
    failure = cases(read(told(finding)))["not_a_number"].find("failure")
    assert "measured: inf, limit 0.0" in failure.text


# Surrogates cannot be written, and a label may hold them.
_TEXTS = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=20)


@given(_TEXTS, st.sampled_from(Severity), st.sampled_from(sorted(CATALOGUE)))
def test_any_text_of_the_data_can_be_read_back(text, severity, cause):
    text = f"<&\"'>]]>\x00\x1b[31m\ud800\ufffe{text}"
    finding = find(
        cause,
        text,
        severity=severity,
        subject=Subject(class_name=text),
        remedy=text,
        unit=text,
        measured=1.0,
        found_by=text,
    )
    suite = read(told(finding, name=text, not_run=(f"{text}: {text}",)))
    assert "<&\"'>]]>\ufffd\ufffd[31m\ufffd\ufffd" in suite.get("name")


def test_the_file_means_the_same_in_any_encoding():
    text = as_junit(told(find("collapse", "Class 猫 \N{CAT FACE} gets all.")))
    assert text.isascii()
    message = ElementTree.fromstring(text).find(".//failure").get("message")
    assert message == "Class 猫 \N{CAT FACE} gets all."
