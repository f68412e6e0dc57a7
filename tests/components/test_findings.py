# SPDX-License-Identifier: Apache-2.0
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import causes
from components.causes import CATALOGUE, Severity
from components.findings import Finding, Subject, Verdict, failed_check, find

_FINDINGS = st.builds(
    find,
    st.sampled_from(sorted(CATALOGUE)),
    st.text(),
    severity=st.sampled_from([None, *Severity]),
    measured=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    limit=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    subject=st.builds(Subject, split=st.none() | st.text(max_size=3)),
    evidence=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3)),
)


class TestSubject:
    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            (Subject(), "everything"),
            (Subject(split="eval"), "split eval"),
            (Subject(split="eval", class_name="3"), "split eval, class 3"),
            (Subject(slice="site=a", feature="x"), "slice site=a, feature x"),
            (Subject(layer="dense", model="inference"), "layer dense, model inference"),
        ],
    )
    def test_reads_as_text(self, subject, text):
        assert str(subject) == text


class TestFind:
    def test_takes_severity_and_remedy_from_the_catalogue(self):
        finding = find("collapse", "99 of 100", measured=0.99, limit=0.9, unit="share")
        assert finding.severity is CATALOGUE["collapse"].severity
        assert finding.remedy == CATALOGUE["collapse"].remedy
        assert (finding.measured, finding.limit, finding.unit) == (0.99, 0.9, "share")

    def test_lets_the_check_know_better(self):
        finding = find("collapse", "m", severity=Severity.INFO, remedy="Wait.")
        assert (finding.severity, finding.remedy) == (Severity.INFO, "Wait.")

    @pytest.mark.parametrize("severity", Severity)
    def test_only_block_blocks(self, severity):
        blocks = find("collapse", "m", severity=severity).blocks
        assert blocks is (severity is Severity.BLOCK)

    def test_knows_only_the_catalogue(self):
        with pytest.raises(KeyError, match="bad_luck"):
            find("bad_luck", "m")
        with pytest.raises(pydantic.ValidationError, match="bad_luck"):
            Finding(cause="bad_luck", severity="warn", message="m", remedy="r")

    def test_refuses_a_misspelt_field(self):
        with pytest.raises(pydantic.ValidationError, match="limits"):
            find("collapse", "m", limits=0.9)

    def test_cannot_be_changed_afterwards(self):
        with pytest.raises(pydantic.ValidationError, match="frozen"):
            find("collapse", "m").severity = Severity.INFO

    def test_keeps_numbers_unrounded(self):
        third = find("collapse", "m", measured=1 / 3)
        assert Finding.from_json(third.to_json()).measured == 1 / 3


class TestFailedCheck:
    def test_blocks_and_names_check_and_error(self):
        finding = failed_check("class balance", ValueError("no\n  labels"))
        assert finding.blocks
        assert finding.cause == "check_failed"
        assert finding.found_by == "class balance"
        assert finding.message == ("class balance could not run: ValueError: no labels")
        assert finding.evidence == {"exception": "ValueError"}

    def test_bounds_the_message(self):
        assert len(failed_check("c", ValueError("x" * 10_000)).message) < 600

    def test_stands_an_error_without_text(self):
        assert "KeyboardInterrupt" in failed_check("c", KeyboardInterrupt()).message


class TestVerdict:
    def test_of_nothing_passes(self):
        assert Verdict().passed
        assert Verdict.of().passed
        assert Verdict.of([], []) == Verdict()
        assert str(Verdict()) == "passed (0 findings, none of which block)"

    def test_passes_with_warnings(self):
        verdict = Verdict.of([find("low_variance", "m")])
        assert verdict.passed
        assert str(verdict) == "passed (1 findings, none of which block)"

    def test_names_the_root_cause_first(self):
        verdict = Verdict.of(
            [find("low_variance", "w"), find("collapse", "late")],
            [find("missing_class", "early")],
        )
        assert [f.cause for f in verdict.findings] == [
            "missing_class",
            "collapse",
            "low_variance",
        ]
        assert [f.cause for f in verdict.blocking] == ["missing_class", "collapse"]
        assert str(verdict) == "blocked: missing_class (early)"

    def test_keeps_findings_of_one_cause_in_their_order(self):
        findings = [find("dead_class", str(number)) for number in range(5)]
        assert Verdict.of(findings).findings == tuple(findings)

    @given(st.lists(_FINDINGS, max_size=6))
    def test_is_in_order_whole_and_survives_its_round_trip(self, findings):
        verdict = Verdict.of(findings)
        keys = [(f.severity.rank, causes.rank(f.cause)) for f in verdict.findings]
        assert keys == sorted(keys)
        assert len(verdict.findings) == len(findings)
        assert all(finding in verdict.findings for finding in findings)
        assert verdict.passed is not any(finding.blocks for finding in findings)
        assert Verdict.from_json(verdict.to_json()) == verdict

    @given(st.lists(_FINDINGS, max_size=4), st.lists(_FINDINGS, max_size=4))
    def test_is_the_same_however_the_findings_are_grouped(self, some, others):
        assert Verdict.of(some, others) == Verdict.of(some + others)
