# SPDX-License-Identifier: Apache-2.0
"""A training that is killed, as `kill -9` does it, and run again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("killed_training.py")
ROOT = SCRIPT.parents[2]


def start(folder, outcome, *where):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(outcome), *map(str, where)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(folder, outcome):
    process = start(folder, outcome, "never")
    assert process.wait(timeout=600) == 0
    process.stdout.close()
    weights = np.load(f"{outcome}.npz")
    record = json.loads(Path(outcome).read_text())
    return record, [weights[name] for name in weights.files]


def kill(folder, outcome, *where):
    process = start(folder, outcome, *where)
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.stdout.close()


def without_clocks(record):
    """Drops what a clock measured, and that the training was taken up."""
    if isinstance(record, dict):
        return {
            key: without_clocks(value)
            for key, value in record.items()
            if key not in ("seconds", "resumed_at")
        }
    if isinstance(record, list):
        return [without_clocks(value) for value in record]
    return record


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    record, weights = finish(folder / "checkpoints", folder / "record.json")
    assert record["resumed_at"] == []
    assert record["remedies"], "the training is to be one that was repaired"
    return record, weights


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param([("epoch", 3)], id="after an epoch"),
        pytest.param([("save", 3)], id="while a checkpoint is written"),
        pytest.param([("save", 1), ("epoch", 1), ("save", 2)], id="three times"),
    ],
)
def test_killed_training_ends_as_if_nothing_had_been(undisturbed, tmp_path, kills):
    folder, outcome = tmp_path / "checkpoints", tmp_path / "record.json"
    for where in kills:
        kill(folder, outcome, *where)
        assert not outcome.exists()
    record, weights = finish(folder, outcome)
    # As texts: NaN is not equal to itself.
    expected, came = without_clocks(undisturbed[0]), without_clocks(record)
    assert json.dumps(came) == json.dumps(expected)
    for a, b in zip(weights, undisturbed[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not folder.exists()
