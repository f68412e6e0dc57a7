# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import components


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, and its fingerprint as another process computes it."""
    source = Path(components.__file__).parent
    shutil.copytree(source, tmp_path / "components")
    code = "from components.code_version import code_sha256; print(code_sha256())"

    def fingerprint():
        return subprocess.check_output(
            [sys.executable, "-c", code], cwd=tmp_path, text=True
        )

    return tmp_path / "components", fingerprint


def test_equal_code_has_the_same_fingerprint_wherever_it_lies(copy):
    from components.code_version import code_sha256

    _, fingerprint = copy
    assert fingerprint().strip() == code_sha256()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("guarded_evaluator/checks/modes.py", True),
        ("report/templates/report.css", True),
        ("leakage/README.md", False),
    ],
)
def test_what_can_change_a_verdict_or_a_page_counts(copy, name, counts):
    folder, fingerprint = copy
    before = fingerprint()
    with (folder / name).open("a") as file:
        file.write("\n")
    assert (fingerprint() != before) is counts
