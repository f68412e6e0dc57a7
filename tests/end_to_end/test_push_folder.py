# SPDX-License-Identifier: Apache-2.0
"""Pushes, kills and rollbacks while a server watches the folder."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components import registry
from components.digest import model_digest

pytestmark = pytest.mark.slow

_NUM_OPERATIONS = 200
_NUM_KILLS = 20
_NUM_MODELS = 12

_WORK = """
import random, sys
from components import registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict
from components.records.passport import Passport

destination, models, log, seed = sys.argv[1:]
choose = random.Random(int(seed))
while True:
    operation = choose.choices(["push", "rollback", "prune"], [6, 2, 1])[0]
    try:
        if operation == "push":
            model = f"{models}/{choose.randrange(12)}"
            passport = Passport(
                model_sha256=model_digest(model), verdict=Verdict(), blessed_at="then"
            )
            registry.publish(model, destination, passport)
        elif operation == "rollback":
            named = choose.random() < 0.5 and registry.versions(destination)
            registry.rollback(destination, choose.choice(named) if named else None)
        else:
            registry.prune(destination, 3)
    except (InputError, FileNotFoundError):
        pass  # Nothing to go back to, or pruned by the other process meanwhile.
    with open(log, "a") as file:
        print(operation, file=file)
"""

_WATCH = """
import pathlib, re, sys
from components.digest import model_digest

# As TensorFlow Serving does: the largest number is loaded, whatever it holds.
destination, stop, blessed = map(pathlib.Path, sys.argv[1:])
blessed = set(blessed.read_text().split())
loaded = {}
while not stop.exists():
    names = [path.name for path in destination.glob("*")]
    versions = [int(name) for name in names if re.fullmatch("[0-9]+", name)]
    if not versions or max(versions) in loaded:
        continue
    newest = destination / str(max(versions))
    try:
        digest = model_digest(newest, ignore={"guard.json"})
        if digest not in blessed:
            print("loaded what nobody has blessed:", newest, digest)
    except Exception as error:
        if newest.exists():  # Else it has just been removed, being an old one.
            print("cannot load:", newest, repr(error))
        continue
    loaded[max(versions)] = digest
print("loaded", len(loaded))
"""


def make_model(folder, text):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(f"graph of {text}")
    for shard in range(8):
        file = folder / "variables" / f"variables.data-{shard:05}"
        file.write_bytes(text.encode() * 20_000)


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(registry.__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def num_operations(log):
    return len(log.read_text().split()) if log.exists() else 0


def test_a_server_never_loads_half_a_model_or_one_that_nobody_blessed(tmp_path):
    destination, stop = tmp_path / "serving", tmp_path / "stop"
    log, blessed = tmp_path / "log", tmp_path / "blessed"
    for number in range(_NUM_MODELS):
        make_model(tmp_path / "models" / str(number), f"model {number}")
    folders = sorted((tmp_path / "models").iterdir())
    blessed.write_text(" ".join(map(model_digest, folders)))
    destination.mkdir()

    choose = random.Random(0)
    watcher = start(_WATCH, destination, stop, blessed)
    workers, num_killed, seed = [], 0, 0
    try:
        while num_operations(log) < _NUM_OPERATIONS or num_killed < _NUM_KILLS:
            while len(workers) < 2:
                seed += 1
                workers.append(
                    start(_WORK, destination, tmp_path / "models", log, seed)
                )
            time.sleep(choose.uniform(0.4, 1.0))
            victim = workers.pop(choose.randrange(2))
            # It works for ever, so it has ended only if something went wrong.
            assert victim.poll() is None, victim.communicate()[1]
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
            num_killed += 1
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
        stop.touch()
        out, err = watcher.communicate(timeout=60)

    *problems, last = out.splitlines()
    assert (problems, err) == ([], "")
    assert int(last.removeprefix("loaded ")) > 20
    newest = registry.versions(destination)[-1]
    registry.verify(destination / str(newest))
