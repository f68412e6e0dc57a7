# SPDX-License-Identifier: Apache-2.0
import pytest
from tfx.types import standard_artifacts

from components import artifact_io
from components.artifacts import ClassWeights, GuardReport
from components.findings import Verdict
from components.records.blessing import BLESSING_FILE
from components.records.evaluation import EVALUATION_FILE
from components.records.training import TRAINING_RECORD_FILE
from components.report.executor import REPORT_FILE, VERDICT_FILE, Executor, read_inputs
from components.report.inputs import Push
from components.report.render import render_report


@pytest.fixture
def place(tmp_path):
    """Returns a function that makes an artifact with one file, or with none."""

    def make(artifact_type, name=None, text=""):
        artifact = artifact_type()
        artifact.uri = str(tmp_path / artifact_type.__name__)
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
    return artifacts


def do(input_dict, report, title="t"):
    Executor().Do(input_dict, {"report": [report]}, {"title": title})
    page = artifact_io.read_text(report.uri, REPORT_FILE)
    return page, Verdict.from_json(artifact_io.read_text(report.uri, VERDICT_FILE))


@pytest.mark.parametrize("kind", ["good_run", "mode_gap_run", "not_a_number_run"])
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


def test_a_run_without_blessing_blocks():
    inputs = read_inputs({}, "t")
    assert [finding.cause for finding in inputs.verdict.blocking] == ["check_failed"]
    assert inputs.push is None


def test_a_pushed_model_that_says_nothing_is_not_pushed(place):
    pushed_model = place(standard_artifacts.PushedModel)
    assert read_inputs({"pushed_model": [pushed_model]}, "t").push == Push(False)
