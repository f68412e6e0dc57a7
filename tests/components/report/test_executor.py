# SPDX-License-Identifier: Apache-2.0
import pathlib

import pytest
from tfx.types import standard_artifacts

from components import artifact_io
from components.artifacts import ClassWeights, GuardFindings, GuardReport
from components.findings import Verdict
from components.records.blessing import BLESSING_FILE
from components.records.evaluation import EVALUATION_FILE
from components.records.training import TRAINING_RECORD_FILE
from components.report.executor import (
    REPORT_FILE,
    VERDICT_FILE,
    DataExecutor,
    Executor,
)
from components.report.inputs import DATA_FINDINGS
from components.report.render import render_report


@pytest.fixture
def place(tmp_path):
    """Returns a function that makes an artifact with one file, or with none."""

    def make(artifact_type, name=None, text="", folder=None):
        artifact = artifact_type()
        artifact.uri = str(tmp_path / (folder or artifact_type.__name__))
        if name is not None:
            artifact_io.write_text(artifact.uri, name, text)
        return artifact

    return make


@pytest.fixture
def report(place):
    return place(GuardReport)


def artifacts_of(run, place):
    """Writes the records of a run as the components before the report do."""
    records = (
        ("blessing", standard_artifacts.ModelBlessing, BLESSING_FILE, run.blessing),
        (
            "evaluation",
            standard_artifacts.ModelEvaluation,
            EVALUATION_FILE,
            run.evaluation,
        ),
        ("model_run", standard_artifacts.ModelRun, TRAINING_RECORD_FILE, run.training),
        (
            "class_weights",
            ClassWeights,
            artifact_io.CLASS_WEIGHTS_FILE,
            run.classes,
        ),
    )
    artifacts = {
        key: [place(artifact_type, name, record.to_json())]
        for key, artifact_type, name, record in records
        if record is not None
    }
    if run.push is not None:
        pushed_model = place(standard_artifacts.PushedModel)
        pushed_model.set_int_custom_property("pushed", int(run.push.pushed))
        for key, text in (
            ("pushed_version", run.push.version),
            ("pushed_destination", run.push.destination),
            ("reason", run.push.reason),
        ):
            if text:
                pushed_model.set_string_custom_property(key, text)
        artifacts["pushed_model"] = [pushed_model]
    for key, found in run.data.items():
        artifact = place(GuardFindings, folder=key)
        artifact_io.write_findings(artifact, found.verdict)
        for name, picture in found.pictures.items():
            path = pathlib.Path(artifact.uri, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture.png)
        artifacts[key] = [artifact]
    return artifacts


def do(input_dict, report, title="t", executor=Executor):
    executor().Do(input_dict, {"report": [report]}, {"title": title})
    page = artifact_io.read_text(report.uri, REPORT_FILE)
    return page, Verdict.from_json(artifact_io.read_text(report.uri, VERDICT_FILE))


@pytest.mark.parametrize(
    "kind",
    [
        "good_run",
        "mode_gap_run",
        "not_a_number_run",
        "judged_on_leaked_digits",
    ],
)
def test_artifacts_give_the_same_page_as_the_records(kind, request, place, report):
    run = request.getfixturevalue(kind)
    page, verdict = do(artifacts_of(run, place), report, run.title)
    assert page == render_report(run)
    assert verdict == run.verdict


def test_only_the_blessing_is_needed(mode_gap_run, place, report):
    inputs = {"blessing": artifacts_of(mode_gap_run, place)["blessing"]}
    page, verdict = do(inputs, report)
    assert "98.0 % in training mode" in page
    assert "Not measured: this run evaluated no model." in page
    assert verdict == mode_gap_run.verdict


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("evaluation", EVALUATION_FILE),
        ("model_run", TRAINING_RECORD_FILE),
        ("class_weights", artifact_io.CLASS_WEIGHTS_FILE),
    ],
)
def test_a_garbled_record_costs_its_part_of_the_page_only(
    good_run, place, report, key, name
):
    inputs = artifacts_of(good_run, place)
    artifact_io.write_text(inputs[key][0].uri, name, '{"format_version": 1, ')
    page, verdict = do(inputs, report)
    assert "Promoted" in page
    assert "Could not be read: ValidationError" in page
    assert verdict.passed


@pytest.mark.parametrize("text", [None, "", "{}"], ids=["absent", "empty", "garbled"])
def test_a_blessing_that_cannot_be_read_blocks(place, report, text):
    name = None if text is None else BLESSING_FILE
    blessing = place(standard_artifacts.ModelBlessing, name, text or "")
    page, verdict = do({"blessing": [blessing]}, report)
    assert [finding.cause for finding in verdict.blocking] == ["check_failed"]
    assert "The decision on the model could not be read: " in page
    assert "Blocked" in page


def test_the_report_on_the_data_is_that_of_the_records(leaked_digits, place, report):
    inputs = artifacts_of(leaked_digits, place)
    page, verdict = do(inputs, report, leaked_digits.title, DataExecutor)
    assert page == render_report(leaked_digits)
    assert page.count("<img") == 8
    assert verdict == leaked_digits.verdict


@pytest.mark.parametrize("key", DATA_FINDINGS)
def test_each_data_guard_alone_makes_a_report(leaked_digits, place, report, key):
    inputs = {key: artifacts_of(leaked_digits, place)[key]}
    page, verdict = do(inputs, report, executor=DataExecutor)
    assert verdict == leaked_digits.data[key].verdict
    assert "Not measured: this run counted no classes." in page


def test_a_picture_that_is_gone_is_said_on_the_page(leaked_digits, place, report):
    inputs = artifacts_of(leaked_digits, place)
    name = "pictures/0000000000000001.png"
    pathlib.Path(inputs["leakage_findings"][0].uri, name).unlink()
    page, verdict = do(inputs, report, executor=DataExecutor)
    assert page.count(f"No picture: {name}: there is no such file") == 2
    assert page.count("<img") == 6
    assert verdict == leaked_digits.verdict


@pytest.mark.parametrize("text", [None, "", '{"findings": 3}'])
def test_findings_that_cannot_be_read_block(leaked_digits, place, report, text):
    inputs = artifacts_of(leaked_digits, place)
    name = None if text is None else artifact_io.FINDINGS_FILE
    inputs["leakage_findings"] = [place(GuardFindings, name, text or "", "broken")]
    page, verdict = do(inputs, report, executor=DataExecutor)
    assert verdict.blocking[-1].cause == "check_failed"
    assert "leakage_findings could not be read: " in verdict.blocking[-1].message
    assert "Could not be read: " in page
    assert "train_eval_skew" in page


def test_data_findings_that_cannot_be_read_change_no_decision(good_run, place, report):
    inputs = artifacts_of(good_run, place)
    inputs["feature_findings"] = [place(GuardFindings)]
    page, verdict = do(inputs, report)
    assert "Promoted" in page
    assert "feature_findings could not be read: InputError" in page
    assert verdict == good_run.verdict
