# SPDX-License-Identifier: Apache-2.0
"""The architecture holds, and the contracts that say so can fail.

The contracts stand in `pyproject.toml`. A contract that no longer matches any
module is kept for ever, so each is shown a violation here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = {"apache_beam", "keras", "tensorflow", "tfx"}

# What: the file, the line that is added to it, the contract that must break.
VIOLATIONS = {
    "a component imports the pipeline": (
        "components/report/executor.py",
        "import pipeline.cli",
        "The pipeline imports",
    ),
    "a component imports another one": (
        "components/leakage/core.py",
        "from components.class_balance import config",
        "Components share",
    ),
    "the vocabulary imports a component": (
        "components/findings.py",
        "import components.report.view",
        "Components share",
    ),
    "an executor imports its component": (
        "components/leakage/executor.py",
        "from components.leakage import component",
        "A component declares",
    ),
    "a core imports its executor": (
        "components/leakage/core.py",
        "import components.leakage.executor",
        "A component declares",
    ),
    "a core imports a framework": (
        "components/class_balance/core.py",
        "import tensorflow",
        "What decides",
    ),
    "a decision imports a framework through another module": (
        "components/guarded_evaluator/decision.py",
        "from components import artifacts",
        "What decides",
    ),
    "a framework is imported inside a function": (
        "components/report/view.py",
        "def late(): import tfx.types",
        "What decides",
    ),
    "a module is not listed in the contracts": (
        "components/utils.py",
        '"""Helpers."""',
        "Components share",
    ),
}


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of the packages and the contracts, to be spoilt."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("components", "pipeline"):
        shutil.copytree(ROOT / package, tmp_path / package)
    return tmp_path


def test_architecture_holds():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_contracts_find(violation, copy):
    name, line, contract = VIOLATIONS[violation]
    with (copy / name).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint(copy)
    assert done.returncode == 1
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), done.stdout


@pytest.mark.parametrize(
    "module",
    ["components", "components.findings", "components.registry", "pipeline.cli"],
)
def test_module_loads_no_framework(module):
    loaded = subprocess.check_output(
        [sys.executable, "-c", f"import {module}, sys; print(*sys.modules)"],
        cwd=ROOT,
        text=True,
    )
    assert not FRAMEWORKS & set(loaded.split())
