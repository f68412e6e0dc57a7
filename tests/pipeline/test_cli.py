# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys

import pytest

from components import registry
from components.digest import model_digest
from components.findings import Verdict
from components.records.passport import Passport
from pipeline import cli


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
    assert "run" in done.stdout


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
