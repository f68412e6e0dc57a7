# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

import pytest

from components import registry
from components.digest import model_digest
from components.findings import Verdict, find
from components.records.passport import Passport
from pipeline import cli, outcome
from pipeline.outcome import Outcome


def tfx_guard(*arguments, cwd):
    """Runs the command as a user does, in a process of its own."""
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_help_names_the_commands_without_importing_tensorflow(tmp_path):
    code = (
        "import sys; sys.argv = ['tfx-guard', '--help']\n"
        "from pipeline import cli\n"
        "assert cli._run_app() == 0\n"
        "heavy = {'tensorflow', 'tfx', 'keras', 'apache_beam'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for command in ("run", "check", "verify", "rollback", "report"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["run", "--scenario", "batchnrm-gap"],
            "did you mean 'batchnorm-gap'",
            id="unknown-scenario",
        ),
        pytest.param(
            ["run", "--config", "nowhere.yaml"], "no such file", id="missing-config"
        ),
        pytest.param(
            ["run", "--config", "guard.yaml", "--scenario", "digits"],
            "got both",
            id="config-and-scenario",
        ),
        pytest.param(
            ["run", "--config", "guard.yaml"], "did you mean 'label'", id="unknown-key"
        ),
        pytest.param(
            ["run", "--output", "guard.yaml/below"],
            "guard.yaml is a file",
            id="output-below-a-file",
        ),
        pytest.param(["run", "--mended"], "'digits' is sound", id="nothing-to-mend"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_code_2(tmp_path, arguments, message):
    (tmp_path / "guard.yaml").write_text(
        "name: n\ndata: {path: d, lable: y, label: y}\nmodel: {build: m}\n"
    )
    done = tfx_guard(*arguments, cwd=tmp_path)
    assert done.returncode == cli.WRONG_USE
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tfx-guard: ")
    assert message in done.stderr
    assert os.listdir(tmp_path) == ["guard.yaml"]


@pytest.mark.parametrize("arguments", [["run", "--bogus"], ["rn"]])
def test_wrong_arguments_exit_with_2(tmp_path, arguments):
    done = tfx_guard(*arguments, cwd=tmp_path)
    assert done.returncode == cli.WRONG_USE
    assert "Traceback" not in done.stderr


def test_a_fault_of_ours_exits_with_1_and_shows_its_traceback(monkeypatch, capsys):
    def broken():
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "app", broken)
    assert cli._run_app() == cli.FAULT
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "fault of tfx-guard (RuntimeError)" in printed


@pytest.fixture
def serving(tmp_path):
    """A destination with two versions; returns it and their folders."""
    folders = []
    for name in ("first", "second"):
        model = tmp_path / "models" / name
        model.mkdir(parents=True)
        (model / "saved_model.pb").write_text(name)
        passport = Passport(
            model_sha256=model_digest(model), verdict=Verdict(), blessed_at="then"
        )
        folders.append(registry.publish(model, tmp_path / "serving", passport))
    return tmp_path / "serving", *folders


class TestVerify:
    def test_a_model_as_it_was_blessed_is_exit_code_0(self, serving, tmp_path):
        done = tfx_guard("verify", str(serving[1]), cwd=tmp_path)
        assert done.returncode == cli.PROMOTED
        assert done.stdout.startswith("VERIFIED")

    def test_a_changed_model_is_a_verdict_not_a_fault(self, serving, tmp_path):
        (serving[1] / "saved_model.pb").write_text("tampered")
        done = tfx_guard("verify", str(serving[1]), "--format", "json", cwd=tmp_path)
        assert done.returncode == cli.BLOCKED
        answer = json.loads(done.stdout)
        assert not answer["verified"]
        assert "SHA-256" in answer["reason"]

    def test_a_folder_without_passport_is_wrong_use(self, tmp_path):
        done = tfx_guard("verify", str(tmp_path), cwd=tmp_path)
        assert done.returncode == cli.WRONG_USE
        assert done.stderr.count("\n") == 1
        assert "guard.json" in done.stderr


@pytest.fixture
def elsewhere(tmp_path):
    """Files as they lie about where a model was trained elsewhere."""
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    for name in ("saved", "versions/17"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").write_bytes(b"model")
    for name in ("train.csv", "eval.csv"):
        (tmp_path / name).write_text(f"a,label\n1,{name}\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.h5").write_bytes(b"hdf5")
    (tmp_path / "model.pkl").write_bytes(b"pickle")
    (tmp_path / "cut.keras").write_bytes(b"PK")
    (tmp_path / "guard.yaml").write_text("evaluation: {min_acuracy: 0.9}\n")
    return tmp_path


class TestCheck:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"--model": "nowhere"}, "--model nowhere: expected a SavedModel folder"),
            ({"--model": "folder"}, "it holds no saved_model.pb; save the model with"),
            ({"--model": "versions"}, "one version, such as versions/17"),
            ({"--model": "model.h5"}, "HDF5 files may run any code"),
            ({"--model": "model.pkl"}, "a pickle may run any code"),
            ({"--model": "train.csv"}, "it ends in '.csv'"),
            ({"--model": "cut.keras"}, "it is no archive"),
            ({"--train": "nowhere"}, "--train nowhere: expected a file or folder"),
            ({"--eval": "empty.csv"}, "--eval empty.csv: expected examples, but the"),
            ({"--eval": "folder"}, "the folder is empty"),
            ({"--eval": "./train.csv"}, "--train is the same; set examples apart"),
            ({"--config": "none.yaml"}, "there is no such file"),
            ({"--config": "guard.yaml"}, "did you mean 'min_accuracy'"),
            ({"--keras": "model.keras"}, "leave --keras out"),
            ({"--model": "saved", "--keras": "saved"}, "but it is a folder"),
            ({"--signature": "serve"}, "leave --signature out"),
            ({"--baseline": "nowhere"}, "--baseline nowhere: expected the model"),
            ({"--report": "folder"}, "it is a folder; name a file in it"),
            ({"--junit": "no/junit.xml"}, "is not there; make it first"),
            ({"--label": ""}, "data.label"),
        ],
        ids=lambda value: value if isinstance(value, str) else " ".join(value),
    )
    def test_what_cannot_be_judged_is_one_clear_line(
        self, elsewhere, monkeypatch, capsys, changes, message
    ):
        arguments = {
            "--model": "model.keras",
            "--train": "train.csv",
            "--eval": "eval.csv",
            **changes,
        }
        monkeypatch.chdir(elsewhere)
        monkeypatch.setattr(
            sys,
            "argv",
            ["tfx-guard", "check", *(t for p in arguments.items() for t in p)],
        )
        before = set(os.listdir())
        assert cli._run_app() == cli.WRONG_USE
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert message in printed.err
        assert set(os.listdir()) == before

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--model", "model.keras"],
            ["--batch-size", "0"],
            ["--pixels", "0..2"],
            ["--format", "yaml"],
        ],
        ids=["nothing", "no-data", "empty-batches", "unknown-range", "unknown-format"],
    )
    def test_wrong_arguments_exit_with_2(self, elsewhere, arguments, monkeypatch):
        if arguments[:1] not in ([], ["--model"]):
            paths = ("--model", "model.keras", "--train", "train.csv")
            arguments = [*paths, "--eval", "eval.csv", *arguments]
        monkeypatch.chdir(elsewhere)
        monkeypatch.setattr(sys, "argv", ["tfx-guard", "check", *arguments])
        assert cli._run_app() == cli.WRONG_USE

    def test_wrong_use_is_answered_without_importing_tensorflow(self, elsewhere):
        code = (
            "import sys; sys.argv = 'tfx-guard check --model model.keras --train "
            "train.csv --eval nowhere.csv'.split()\n"
            "from pipeline import cli\n"
            "assert cli._run_app() == 2\n"
            "heavy = {'tensorflow', 'tfx', 'keras', 'apache_beam'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "--eval nowhere.csv" in done.stderr


@pytest.fixture
def finished(tmp_path):
    """The output folder of a run that was blocked."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / outcome.REPORT_FILE).write_text("<html>")
    told = Outcome(
        kind="run",
        name="digits",
        blessed=False,
        verdict=Verdict.of([find("mode_gap", "Worse in inference mode.")]),
        report="/where/it/was/report.html",
    )
    outcome.save(told, folder)
    return folder


class TestReport:
    def test_the_verdict_is_told_again_with_its_exit_code(self, finished, tmp_path):
        done = tfx_guard("report", "run", cwd=tmp_path)
        assert done.returncode == cli.BLOCKED
        assert "BLOCKED  digits: mode_gap" in done.stdout
        # Where the folder is now.
        assert f"report  {finished / 'report.html'}" in done.stdout

    def test_a_promoted_run_is_exit_code_0_and_json(self, finished, tmp_path):
        good = outcome.load(finished).model_copy(
            update={"blessed": True, "verdict": Verdict()}
        )
        outcome.save(good, finished)
        done = tfx_guard("report", "run", "--format", "json", cwd=tmp_path)
        assert done.returncode == cli.PROMOTED
        answer = json.loads(done.stdout)
        assert answer["blessed"] is True
        assert answer["report"] == str(finished / "report.html")

    def test_junit_is_written_to_standard_output_alone(self, finished, tmp_path):
        done = tfx_guard("report", "run", "--format", "junit", cwd=tmp_path)
        assert done.returncode == cli.BLOCKED
        root = ElementTree.fromstring(done.stdout)
        assert root.get("failures") == "1"

    def test_a_folder_without_a_run_is_wrong_use(self, finished, tmp_path):
        done = tfx_guard("report", ".", cwd=tmp_path)
        assert done.returncode == cli.WRONG_USE
        assert done.stderr.count("\n") == 1
        assert "outcome.json" in done.stderr

    def test_a_report_that_was_removed_is_wrong_use(self, finished, tmp_path):
        (finished / "report.html").unlink()
        done = tfx_guard("report", "run", cwd=tmp_path)
        assert done.returncode == cli.WRONG_USE
        assert "run the pipeline again" in done.stderr


class TestRollback:
    def test_the_model_before_is_served_again(self, serving, tmp_path):
        destination, first, second = serving
        done = tfx_guard("rollback", str(destination), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"version {second.name} was withdrawn" in done.stdout
        newest = destination / str(registry.versions(destination)[-1])
        assert (newest / "saved_model.pb").read_text() == "first"
        assert tfx_guard("verify", str(second), cwd=tmp_path).returncode == cli.BLOCKED

    def test_nothing_to_go_back_to_is_wrong_use(self, tmp_path):
        done = tfx_guard("rollback", str(tmp_path / "serving"), cwd=tmp_path)
        assert done.returncode == cli.WRONG_USE
        assert "there is none" in done.stderr
