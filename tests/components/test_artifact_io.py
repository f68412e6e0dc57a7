# SPDX-License-Identifier: Apache-2.0
import os
import re

import pytest
from tfx.types import standard_artifacts

from components import artifact_io
from components.artifacts import ClassWeights, GuardFindings
from components.errors import InputError
from components.findings import Verdict, find
from components.labels import ClassTable

_MODEL, _OTHER_MODEL = standard_artifacts.Model(), standard_artifacts.Model()
_TABLE = ClassTable(
    label_key="y", labels=(0, 1), train_counts=(30, 10), weights=(2 / 3, 2.0)
)


def make(artifact_type, tmp_path):
    made = artifact_type()
    made.uri = str(tmp_path / "not" / "there" / "yet")
    return made


class TestInputs:
    def test_one_artifact_is_returned(self):
        assert artifact_io.single({"model": [_MODEL]}, "model") is _MODEL
        assert artifact_io.optional({"model": [_MODEL]}, "model") is _MODEL

    @pytest.mark.parametrize("inputs", [{}, {"model": []}], ids=["absent", "empty"])
    def test_an_optional_input_may_be_lacking(self, inputs):
        assert artifact_io.optional(inputs, "model") is None

    def test_a_required_input_may_not_be_empty(self):
        with pytest.raises(ValueError, match="0"):
            artifact_io.single({"model": []}, "model")

    @pytest.mark.parametrize("read", [artifact_io.single, artifact_io.optional])
    def test_two_artifacts_are_too_many(self, read):
        with pytest.raises(ValueError, match="2"):
            read({"model": [_MODEL, _OTHER_MODEL]}, "model")


class TestText:
    @pytest.mark.parametrize("text", ["", "line\n", "grüße\n二"])
    def test_is_read_as_it_was_written(self, tmp_path, text):
        uri = str(tmp_path / "a" / "b")
        artifact_io.write_text(uri, "note.txt", text)
        assert artifact_io.read_text(uri, "note.txt") == text

    def test_is_replaced_by_what_is_written_later(self, tmp_path):
        artifact_io.write_text(str(tmp_path), "note.txt", "long text")
        artifact_io.write_text(str(tmp_path), "note.txt", "short")
        assert artifact_io.read_text(str(tmp_path), "note.txt") == "short"

    def test_names_the_file_that_is_not_there(self, tmp_path):
        path = os.path.join(str(tmp_path), "note.txt")
        with pytest.raises(InputError, match=re.escape(path)):
            artifact_io.read_text(str(tmp_path), "note.txt")

    @pytest.mark.parametrize("kind", ["not-utf-8", "folder"])
    def test_names_the_file_that_is_no_text(self, tmp_path, kind):
        path = tmp_path / "note.txt"
        path.mkdir() if kind == "folder" else path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match=re.escape(str(path))) as error:
            artifact_io.read_text(str(tmp_path), "note.txt")
        assert "\n" not in str(error.value)


class TestFindings:
    @pytest.mark.parametrize(
        ("verdict", "passed", "num_blocking"),
        [
            pytest.param(Verdict(), 1, 0, id="none"),
            pytest.param(Verdict.of([find("low_variance", "m")]), 1, 0, id="warning"),
            pytest.param(
                Verdict.of([find("collapse", "m"), find("dead_class", "m")]),
                0,
                2,
                id="blocking",
            ),
        ],
    )
    def test_are_written_with_their_outcome(
        self, tmp_path, verdict, passed, num_blocking
    ):
        findings = make(GuardFindings, tmp_path)
        artifact_io.write_findings(findings, verdict)
        assert artifact_io.read_findings(findings) == verdict
        # Present even where it is 0: `tfx.dsl.Cond` cannot read what is absent.
        assert findings.has_custom_property("passed")
        assert findings.get_int_custom_property("passed") == passed
        assert findings.get_int_custom_property("num_blocking") == num_blocking

    def test_that_are_not_there_are_an_input_error(self, tmp_path):
        with pytest.raises(InputError, match=artifact_io.FINDINGS_FILE):
            artifact_io.read_findings(make(GuardFindings, tmp_path))

    def test_without_the_field_are_not_findings_that_pass(self, tmp_path):
        findings = make(GuardFindings, tmp_path)
        artifact_io.write_text(findings.uri, artifact_io.FINDINGS_FILE, "{}")
        with pytest.raises(InputError, match="findings: is missing"):
            artifact_io.read_findings(findings)

    @pytest.mark.parametrize(("written", "edited"), [(0, 1), (1, 0), (2, 1)])
    def test_that_contradict_the_artifact_are_an_input_error(
        self, tmp_path, written, edited
    ):
        findings = make(GuardFindings, tmp_path)
        leaks = [find("collapse", "m"), find("dead_class", "m")]
        artifact_io.write_findings(findings, Verdict.of(leaks[:written]))
        text = Verdict.of(leaks[:edited]).to_json()
        artifact_io.write_text(findings.uri, artifact_io.FINDINGS_FILE, text)
        with pytest.raises(InputError, match=f"property says {written}"):
            artifact_io.read_findings(findings)

    def test_of_an_artifact_that_tells_nothing_are_read(self, tmp_path):
        verdict = Verdict.of([find("collapse", "m")])
        findings = make(GuardFindings, tmp_path)
        text = verdict.to_json()
        artifact_io.write_text(findings.uri, artifact_io.FINDINGS_FILE, text)
        assert artifact_io.read_findings(findings) == verdict


class TestClassTable:
    def test_is_read_as_it_was_written(self, tmp_path):
        class_weights = make(ClassWeights, tmp_path)
        artifact_io.write_class_table(class_weights, _TABLE)
        assert artifact_io.read_class_table(class_weights) == _TABLE

    def test_that_is_not_there_is_an_input_error(self, tmp_path):
        with pytest.raises(InputError, match=artifact_io.CLASS_WEIGHTS_FILE):
            artifact_io.read_class_table(make(ClassWeights, tmp_path))
