# SPDX-License-Identifier: Apache-2.0
"""Faults at the folder that is served from, with neither TensorFlow nor TFX.

Models called a, b and c are pushed, of which b is in production, behind a.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from unittest import mock

import pytest
from fault_rows import Fault

from components import registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict, find
from components.records.passport import PASSPORT_FILE, Passport
from components.registry import staging

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[2]
_GRAPH, _DATA = "saved_model.pb", "variables/variables.data-0"


def _newest(world):
    return world.destination / str(registry.versions(world.destination)[-1])


def _write(name, content="garbage"):
    return lambda world: (_newest(world) / name).write_text(content)


def _unlink(name):
    return lambda world: (_newest(world) / name).unlink()


def _link(world):
    (_newest(world) / _DATA).rename(world.root / "elsewhere")
    (_newest(world) / _DATA).symlink_to(world.root / "elsewhere")


def _empty(world):
    for path in _newest(world).iterdir():
        if path.name != PASSPORT_FILE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _change_passport(**changes):
    def inject(world):
        path = _newest(world) / PASSPORT_FILE
        passport = Passport.from_json(path.read_text())
        path.write_text(passport.model_copy(update=changes).model_dump_json())

    return inject


_BLOCKED = Verdict.of([find("collapse", "Class 1 gets 99 of 100 examples.")])

TAMPERED_VERSIONS = (
    Fault("a pushed file changed", _write(_GRAPH), "expected the blessed model"),
    Fault("a file added to a pushed model", _write("more"), "expected the blessed"),
    Fault("a pushed file removed", _unlink(_DATA), "expected the blessed model"),
    Fault("a pushed file replaced by a link", _link, "symbolic link"),
    Fault("a pushed model emptied", _empty, "holds no files"),
    Fault("passport removed", _unlink(PASSPORT_FILE), "no such file"),
    Fault("passport cut off", _write(PASSPORT_FILE, '{"model_'), "cannot be read"),
    Fault(
        "passport of another model",
        _change_passport(model_sha256="0" * 64),
        "expected the blessed model",
    ),
    Fault(
        "passport of a model that was blocked",
        _change_passport(verdict=_BLOCKED),
        "a model that was blessed, but its verdict is: blocked: collapse",
    ),
)


@contextlib.contextmanager
def _while_copying(world, act, *, before=False):
    """Lets somebody else act while a model is copied."""
    copy = staging._copy

    def copy_and_act(source, target):
        patch.stop()  # What the other one copies is copied as it is.
        if before:
            act(world)
        copy(source, target)
        if not before:
            act(world)

    patch = mock.patch("components.registry.staging._copy", copy_and_act)
    patch.start()
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):
            patch.stop()


def _withdrawn_while_pushed(world):
    def act(world):
        world.push("c")
        registry.rollback(world.destination)

    with _while_copying(world, act), pytest.raises(registry.ModelWithdrawnError):
        world.push("c")
    assert world.served() == ["a", "b", "c", "b"]


def _pushed_while_rolled_back(world):
    with (
        _while_copying(world, lambda world: world.push("c")),
        pytest.raises(InputError, match="another process has made that"),
    ):
        registry.rollback(world.destination)
    assert world.served() == ["a", "b", "c"]


def _rolled_back_twice_at_once(world):
    with (
        _while_copying(world, lambda world: registry.rollback(world.destination)),
        pytest.raises(InputError, match="another process has made that"),
    ):
        registry.rollback(world.destination)
    assert world.served() == ["a", "b", "a"]


def _pruned_while_rolled_back(world):
    def act(world):
        registry.prune(world.destination, keep=1)

    with (
        _while_copying(world, act, before=True),
        pytest.raises(InputError, match="another process has removed it"),
    ):
        registry.rollback(world.destination)
    assert world.served() == ["b"]


def _pruned_while_read(world):
    done, problems, read = threading.Event(), [], []

    def reader():
        while not done.is_set():
            for version in registry.versions(world.destination):
                folder = world.destination / str(version)
                with contextlib.suppress(OSError, InputError):
                    digest = model_digest(folder, ignore={PASSPORT_FILE})
                    (read if digest in world.digests else problems).append(digest)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        for name in "abc" * 10:
            world.push(name)
            registry.prune(world.destination, keep=1)
    finally:
        done.set()
        thread.join()
    assert not problems
    assert read


def _pushed_twice_at_once(world):
    processes = [
        subprocess.Popen(
            [sys.executable, str(_HERE / "interrupted.py"), "push", name, world.root],
            cwd=_REPOSITORY,
            stderr=subprocess.PIPE,
        )
        for name in "cac"
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    served = world.served()
    assert served[:2] == ["a", "b"]
    assert set(served[2:]) == {"a", "c"}


def _destination_moved_and_linked(world):
    moved = world.destination.rename(world.root / "moved")
    world.destination.symlink_to(moved)
    world.push("c")
    assert world.served() == ["a", "b", "c"]
    registry.rollback(world.destination)
    assert world.served()[-1] == "b"


def _full_disks(world):
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"]).returncode:
        pytest.skip("this system lets nobody else mount disks")
    disks = world.root / "disks"
    disks.mkdir()
    found = _ask([*unshare, sys.executable], "full_disk.py", disks)
    assert found["problems"] == []
    assert set(found["served"]) == {0, 1, 2}


def _interrupted(operation, interruption):
    def run(world):
        # In memory where that can be had: each attempt flushes its files to disk.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            arguments = operation, interruption, folder
            found = _ask([sys.executable], "interrupted.py", *arguments)
        assert found["problems"] == []
        assert found["steps"] > 20

    return run


def _ask(command, script, *arguments):
    done = subprocess.run(
        [*command, str(_HERE / script), *map(str, arguments)],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


_OPERATIONS = {
    "first_push": "the first push",
    "second_push": "a push",
    "rollback": "a rollback",
    "rollback_to": "a rollback to a withdrawn model",
    "prune": "the removal of old versions",
}
_INTERRUPTIONS = {
    "killed": ("killed", "every version is whole; run again, it finishes"),
    "full": (
        "stopped by a full disk",
        "a clear error, or done; every version is whole; run again, it finishes",
    ),
    "denied": (
        "stopped by missing permissions",
        "a clear error, or done; every version is whole; run again, it finishes",
    ),
}

INTERRUPTED = tuple(
    Fault(
        f"{what} {how}, at each of its steps",
        _interrupted(operation, interruption),
        outcome=outcome,
    )
    for interruption, (how, outcome) in _INTERRUPTIONS.items()
    for operation, what in _OPERATIONS.items()
)

AT_ONCE = (
    Fault(
        "disks of 39 sizes, from one page on",
        _full_disks,
        outcome="the versions that fit are whole, and nothing else is left",
    ),
    Fault(
        "three processes push at once",
        _pushed_twice_at_once,
        outcome="each gets a version of its own, or finds its model there",
    ),
    Fault(
        "a model withdrawn while it is pushed",
        _withdrawn_while_pushed,
        outcome="the push is refused, as after the withdrawal",
    ),
    Fault(
        "a push while another version is rolled back",
        _pushed_while_rolled_back,
        outcome="the new version stays; the rollback says so and changes nothing",
    ),
    Fault(
        "two rollbacks at once",
        _rolled_back_twice_at_once,
        outcome="one goes back by one; the other says so and changes nothing",
    ),
    Fault(
        "the version to go back to removed meanwhile",
        _pruned_while_rolled_back,
        outcome="a clear error; the newest version is served as before",
    ),
    Fault(
        "old versions removed while they are read",
        _pruned_while_read,
        outcome="a reader gets the whole model or an error",
    ),
    Fault(
        "destination moved, with a link in its place",
        _destination_moved_and_linked,
        outcome="pushes and rollbacks work as before",
    ),
)
