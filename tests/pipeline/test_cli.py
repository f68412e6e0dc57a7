# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import pytest

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
