# SPDX-License-Identifier: Apache-2.0
import json
import pathlib

import numpy as np
import pytest
from tfx.types import standard_artifacts

from components import artifact_io
from components.artifacts import GuardFindings
from components.findings import Verdict
from components.records import evaluation
from components.records.evaluation import EVALUATION_FILE
from components.records.training import FORMAT_VERSION, TRAINING_RECORD_FILE
from components.report import reading
from components.report.inputs import Push
from components.report.reading import read_data_inputs, read_inputs

NAME = "pictures/0000000000000001.png"


@pytest.fixture
def read(tmp_path, leak, group):
    """Reads one named picture back, written as the given bytes by file name."""

    def read(files, names=(NAME,)):
        artifact = GuardFindings()
        artifact.uri = str(tmp_path / "findings")
        verdict = Verdict.of([leak([group(1, pictures={"eval": list(names)})])])
        artifact_io.write_findings(artifact, verdict)
        for name, data in files.items():
            path = pathlib.Path(artifact.uri, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        inputs = read_data_inputs({"leakage_findings": [artifact]}, "t")
        assert inputs.verdict == verdict
        return inputs.data["leakage_findings"]

    return read


def test_a_run_without_blessing_blocks():
    inputs = read_inputs({}, "t")
    assert [finding.cause for finding in inputs.verdict.blocking] == ["check_failed"]
    assert inputs.push is None
    assert inputs.data == {}


def test_a_pushed_model_that_says_nothing_is_not_pushed(tmp_path):
    pushed_model = standard_artifacts.PushedModel()
    pushed_model.uri = str(tmp_path)
    assert read_inputs({"pushed_model": [pushed_model]}, "t").push == Push(False)


@pytest.fixture
def read_training(tmp_path):
    """Reads a record of a training back, written as the given text."""

    def read_training(text):
        run = standard_artifacts.ModelRun()
        run.uri = str(tmp_path)
        artifact_io.write_text(run.uri, TRAINING_RECORD_FILE, text)
        inputs = read_inputs({"model_run": [run]}, "t")
        return inputs.training, inputs.unreadable.get("training")

    return read_training


def test_a_training_with_losses_that_are_not_finite_is_read(
    read_training, repaired_run, not_a_number_run
):
    for run in (repaired_run, not_a_number_run):
        read, why = read_training(run.training.to_json())
        assert why is None
        # NaN is not equal to itself.
        assert read.to_json() == run.training.to_json()


FORMAT_1 = {
    "format_version": 1,
    "class_names": ["a", "b"],
    "num_parameters": 10,
    "num_train_examples": 90,
    "num_held_out": 10,
    "batch_size": 32,
    "steps_per_epoch": 3,
    "epochs": [
        {
            "loss": 0.5,
            "accuracy": 0.8,
            "held_out_loss": "NaN",
            "held_out_accuracy": None,
            "seconds": 1.0,
        }
    ],
    "best_epoch": 0,
    "stopped_because": "all 1 epochs were trained",
    "batch_norm": [
        {
            "layer": "bn",
            "mean_shift": 0.1,
            "log_variance_ratio": 0.2,
            "initial_share": 0.3,
        }
    ],
    "recalibration": {
        "kept": True,
        "num_examples": 90,
        "num_held_out": 10,
        "loss_before": 1.0,
        "loss_after": 0.5,
        "accuracy_before": 0.4,
        "accuracy_after": 0.9,
    },
    "export_max_difference": 1e-7,
    "findings": [],
    "seed": 0,
    "seconds": 3.0,
    "versions": {"keras": "3.12.0"},
    "devices": ["CPU"],
}


def test_a_record_of_format_1_is_read_as_far_as_it_goes(read_training):
    read, why = read_training(json.dumps(FORMAT_1))
    assert why is None
    assert read.format_version == 1
    assert read.epochs[0].probe is None
    assert read.remedies == ()


@pytest.mark.parametrize("more", [{}, {"a_new_field": 7}], ids=["same", "more-fields"])
def test_a_record_of_a_newer_format_is_refused_with_a_way_out(read_training, more):
    record = {**FORMAT_1, "format_version": FORMAT_VERSION + 1, **more}
    read, why = read_training(json.dumps(record))
    assert read is None
    assert why == (
        "training_record.json is of format 3, but this version reads formats 1 to 2; "
        "make the report with the version that made the record"
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format_version": "x"}'],
    ids=lambda text: text or "empty",
)
def test_what_is_no_record_of_a_training_is_unreadable(read_training, text):
    read, why = read_training(text)
    assert read is None
    assert "ValidationError" in why


@pytest.fixture
def read_evaluation(tmp_path):
    """Reads a record of an evaluation back, written as the given text."""

    def read_evaluation(text):
        artifact = standard_artifacts.ModelEvaluation()
        artifact.uri = str(tmp_path)
        artifact_io.write_text(artifact.uri, EVALUATION_FILE, text)
        inputs = read_inputs({"evaluation": [artifact]}, "t")
        return inputs.evaluation, inputs.unreadable.get("evaluation")

    return read_evaluation


EVALUATION_1 = {
    "format_version": 1,
    "class_names": ["a", "b"],
    "results": [
        {
            "model": "candidate",
            "split": "eval",
            "num_examples": 4,
            "confusion": [[1, 1], [0, 2]],
            "mean_loss": "NaN",
            "output_spread": [0.3, 0.3],
            "num_not_finite": 0,
        }
    ],
    "pairs": [
        {
            "other": "one_by_one",
            "split": "eval",
            "both_right": 3,
            "only_candidate_right": 0,
            "only_other_right": 0,
            "both_wrong": 1,
            "mean_distance": 0.0,
        }
    ],
}


def test_an_evaluation_of_format_1_is_read_as_far_as_it_goes(read_evaluation):
    read, why = read_evaluation(json.dumps(EVALUATION_1))
    assert why is None
    assert read.format_version == 1
    assert read.results[0].calibration == ()
    assert read.slices == ()


def test_an_evaluation_of_a_newer_format_is_refused_with_a_way_out(read_evaluation):
    newer = evaluation.FORMAT_VERSION + 1
    read, why = read_evaluation(json.dumps({"format_version": newer, "new": 7}))
    assert read is None
    assert why.startswith(f"guard_evaluation.json is of format {newer}, but this")


def test_data_without_any_findings_block():
    inputs = read_data_inputs({}, "t")
    assert [finding.cause for finding in inputs.verdict.blocking] == ["check_failed"]


def test_a_picture_is_read_with_its_size(read, picture):
    made = picture(np.zeros((5, 7, 3), np.uint8))
    found = read({NAME: made.png})
    assert found.pictures == {NAME: made}
    assert (made.width, made.height) == (7, 5)
    assert found.missing == {}


@pytest.mark.parametrize(
    ("side", "reason"),
    [(reading.MAX_PICTURE_SIDE, None), (reading.MAX_PICTURE_SIDE + 1, "257 x 1 pix")],
    ids=["exactly-at-the-limit", "just-beyond"],
)
def test_pictures_that_are_too_large_are_not_embedded(read, picture, side, reason):
    found = read({NAME: picture(np.zeros((1, side), np.uint8)).png})
    assert (NAME in found.pictures) is (reason is None)
    assert found.missing.get(NAME, "").startswith(reason or "")


def test_what_is_no_whole_png_is_named_with_the_reason(read, picture):
    made = picture(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))
    files = {
        "pictures/empty.png": b"",
        "pictures/text.png": b"<svg onload='alert(1)'/>",
        "pictures/cut.png": made.png[:-60],
        "pictures/gif.png": b"GIF89a" + made.png,
        "pictures/long.png": made.png + bytes(reading.MAX_PICTURE_BYTES),
    }
    reasons = {}
    for name, data in files.items():
        found = read({name: data}, [name])
        assert found.pictures == {}
        reasons |= found.missing
    assert reasons["pictures/empty.png"] == "zero bytes"
    assert reasons["pictures/text.png"].startswith("no JPEG, PNG")
    assert reasons["pictures/long.png"] == "more than 256 KB"
    assert set(reasons) == set(files)


def test_other_formats_are_not_embedded_as_png(read):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "BMP")
    assert read({NAME: file.getvalue()}).missing == {
        NAME: "expected PNG, but it is BMP"
    }


def test_no_name_leads_out_of_the_folder(read, tmp_path, picture):
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(np.zeros((2, 2), np.uint8)).png)
    names = ["../secret.png", str(secret), "pictures/../../secret.png"]
    found = read({}, names)
    assert found.pictures == {}
    assert set(found.missing.values()) == {"this is no name of a thumbnail"}


@pytest.mark.parametrize(("room", "embedded"), [(3, 3), (2, 2), (0, 0)])
def test_all_pictures_of_a_page_together_are_bounded(
    read, picture, monkeypatch, room, embedded
):
    made = picture(np.zeros((8, 8), np.uint8))
    monkeypatch.setattr(reading, "MAX_PAGE_BYTES", room * len(made.png))
    names = [f"pictures/{k}.png" for k in range(3)]
    found = read(dict.fromkeys(names, made.png), names)
    assert list(found.pictures) == names[:embedded]
    assert all("and is full" in reason for reason in found.missing.values())


def test_a_picture_that_is_shown_twice_takes_twice_the_room(read, picture, monkeypatch):
    made = picture(np.zeros((8, 8), np.uint8))
    monkeypatch.setattr(reading, "MAX_PAGE_BYTES", 2 * len(made.png) - 1)
    assert read({NAME: made.png}, [NAME, NAME]).pictures == {}
