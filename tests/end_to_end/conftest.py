# SPDX-License-Identifier: Apache-2.0
import contextlib
import dataclasses
import io
import json
import sys
import warnings
from pathlib import Path

import pytest


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run of the command line came to."""

    code: int
    out: str
    err: str
    output: Path

    @property
    def verdict(self):
        return json.loads(self.out)


@pytest.fixture(scope="session")
def run_guard():
    """Runs `tfx-guard run` in this process, which has imported TFX already."""

    def run(*arguments, output):
        from pipeline import cli

        out, err = io.StringIO(), io.StringIO()
        before = sys.argv
        sys.argv = ["tfx-guard", "run", *arguments, "--output", str(output)]
        try:
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = cli._run_app()
        finally:
            sys.argv = before
        return Run(code, out.getvalue(), err.getvalue(), Path(output))

    return run
