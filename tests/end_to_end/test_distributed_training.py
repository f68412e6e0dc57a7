# SPDX-License-Identifier: Apache-2.0
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.records.training import TRAINING_RECORD_FILE, TrainingRecord

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("device_training.py")
ROOT = SCRIPT.parents[2]
EPOCHS = 4


def start(folder, *cases, **environment):
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, *cases],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process, fails=False):
    output, _ = process.communicate(timeout=540)
    # A worker may notice that the other is gone before it is killed itself.
    assert bool(process.returncode) == fails, output[-4000:]


def run_workers(folder, *cases, fails=False):
    """Runs two workers on this machine, at ports that are free."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    workers = [
        start(
            folder,
            *cases,
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(2)
    ]
    for worker in workers:
        finish(worker, fails)


class Trained:
    """What a case has left in its folder."""

    def __init__(self, folder, name):
        self.record = TrainingRecord.from_json((folder / f"{name}.json").read_text())
        with np.load(folder / f"{name}.npz") as arrays:
            self.weights = [arrays[key] for key in arrays.files]

    @property
    def losses(self):
        return [(e.loss, e.held_out_loss) for e in self.record.epochs]


def same(one, other):
    return all(map(np.array_equal, one.weights, other.weights))


def near(one, other, atol):
    pairs = zip(one.weights, other.weights, strict=True)
    return all(np.allclose(a, b, atol=atol) for a, b in pairs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(scope="module")
def one_process(folder):
    names = ["one", "mirrored", "bfloat16", "float16", "xla"]
    cases = [f"plain-{name}" for name in names]
    finish(start(folder, *cases, "norm-one", "norm-mirrored"))
    return lambda case: Trained(folder, case)


@pytest.fixture(scope="module")
def workers(folder):
    run_workers(folder, "plain-workers", "norm-workers")
    return lambda case: [Trained(folder, f"{case}.{i}") for i in range(2)]


def test_two_devices_train_as_one_does(one_process):
    one, mirrored = one_process("plain-one"), one_process("plain-mirrored")
    assert one.record.device.strategy == "one device"
    assert mirrored.record.device.strategy == "mirrored"
    assert mirrored.record.device.num_replicas == 2
    assert len(mirrored.losses) == EPOCHS
    # But for the order in which numbers are added up.
    np.testing.assert_allclose(mirrored.losses, one.losses, rtol=1e-3)
    assert near(mirrored, one, atol=5e-3)


def test_two_workers_train_as_one_process_does(one_process, workers):
    one, (chief, other) = one_process("plain-one"), workers("plain-workers")
    assert chief.record.device.strategy == "multi-worker"
    assert chief.record.device.num_replicas == 2
    np.testing.assert_allclose(chief.losses, one.losses, rtol=1e-3)
    assert near(chief, one, atol=5e-3)
    assert same(chief, other)


def test_replicas_keep_the_same_moving_statistics(one_process, workers):
    mirrored, (chief, other) = one_process("norm-mirrored"), workers("norm-workers")
    assert same(chief, other)
    np.testing.assert_allclose(chief.losses, mirrored.losses, rtol=1e-3)
    assert near(chief, mirrored, atol=5e-3)
    # They are half as good as those of whole batches, not worse than that.
    one = one_process("norm-one")
    ends = [case.losses[-1][1] for case in (mirrored, one)]
    assert ends[0] < 1.25 * ends[1]


def test_every_epoch_is_watched_wherever_it_is_trained(one_process, workers):
    for case in (*workers("norm-workers"), one_process("norm-mirrored")):
        readings = [epoch.probe for epoch in case.record.epochs if epoch.probe]
        assert readings
        assert all(reading.layers for reading in readings)
        assert not [f for f in case.record.findings if f.cause == "check_failed"]


def test_only_the_chief_writes(folder, workers):
    written = os.listdir(folder / "plain-workers-logs")
    assert TRAINING_RECORD_FILE in written
    chief, other = workers("plain-workers")
    record = (folder / "plain-workers-logs" / TRAINING_RECORD_FILE).read_text()
    assert TrainingRecord.from_json(record) == chief.record
    assert other.record.epochs[-1].loss == chief.record.epochs[-1].loss


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains(one_process, precision):
    one, mixed = one_process("plain-one"), one_process(f"plain-{precision}")
    assert mixed.record.device.precision == f"mixed_{precision}"
    assert mixed.record.optimizer in ("Adam", "LossScaleOptimizer")
    # bfloat16 has 8 significant bits.
    assert mixed.losses[-1][0] == pytest.approx(one.losses[-1][0], rel=0.1)
    assert all(np.isfinite(w).all() for w in mixed.weights)
    assert not same(mixed, one)


def test_xla_trains_as_no_xla_does(one_process):
    one, compiled = one_process("plain-one"), one_process("plain-xla")
    assert (one.record.device.xla, compiled.record.device.xla) == (False, True)
    np.testing.assert_allclose(compiled.losses, one.losses, rtol=1e-3)
    assert near(compiled, one, atol=5e-3)


def test_killed_workers_go_on_together(folder, workers):
    run_workers(folder, "norm-killed", fails=True)
    assert not (folder / "norm-killed.json").exists()
    run_workers(folder, "norm-resumed")
    chief, other = (Trained(folder, f"norm-resumed.{i}") for i in range(2))
    undisturbed, _ = workers("norm-workers")
    assert chief.record.resumed_at == other.record.resumed_at == (2,)
    assert chief.losses == undisturbed.losses
    assert same(chief, undisturbed)
    assert same(chief, other)
    assert not list(folder.glob("norm-checkpoints*/*"))
