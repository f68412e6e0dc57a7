# SPDX-License-Identifier: Apache-2.0
import textwrap

import pytest


@pytest.fixture
def write(tmp_path):
    """Writes a user's file; returns its path as text."""

    def write(code, name="model.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return str(path)

    return write
