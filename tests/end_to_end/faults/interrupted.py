# SPDX-License-Identifier: Apache-2.0
"""Interrupts what changes the push folder at each of its steps, one after the other.

A process of its own, without TensorFlow, so that it can fork: each attempt is a child
that is killed, or finds the disk full or the folder closed, at its next call to the
system. Which calls there are is asked of Python's audit events, so that a step that is
added to the code is interrupted as well.

Usage: `python interrupted.py OPERATION INTERRUPTION FOLDER` prints JSON;
`python interrupted.py push MODEL FOLDER` only pushes.
"""

import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from components import registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict
from components.records.passport import Passport

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_STEPS = {
    "fcntl.flock",
    "open",
    "os.chmod",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.scandir",
    "shutil.copyfile",
}
_ERRORS = {"full": errno.ENOSPC, "denied": errno.EACCES}
_DONE, _FAILED, _REFUSED, _NOT_REACHED = range(4)
"""How a child ends that was not killed; the last if it ended before the step."""


class World:
    """Models named a, b and c, and the folder that they are pushed to."""

    def __init__(self, root, num_shards=1):
        self.root = root
        self.destination = root / "serving"
        self.digests = {}
        for name in "abc":
            folder = root / "models" / name
            if not folder.exists():
                (folder / "variables").mkdir(parents=True)
                (folder / "saved_model.pb").write_text(f"graph of {name}")
                for shard in range(num_shards):
                    path = folder / "variables" / f"variables.data-{shard}"
                    path.write_text(name * 5000)
            self.digests[model_digest(folder)] = name

    def push(self, name):
        folder = self.root / "models" / name
        passport = Passport(
            model_sha256=model_digest(folder), verdict=Verdict(), blessed_at="then"
        )
        registry.publish(folder, self.destination, passport)

    def served(self):
        """Returns the names of the models in each version; all must be whole."""
        return [
            self.digests[registry.verify(self.destination / str(version)).model_sha256]
            for version in registry.versions(self.destination)
        ]

    def oldest_of(self, name):
        versions = registry.versions(self.destination)
        return versions[self.served().index(name)]


def first_push(world):
    world.push("a")


def second_push(world):
    world.push("b")


def rollback(world):
    # Killed behind its last step, it has nothing left to do.
    if world.served()[-1] != "a":
        registry.rollback(world.destination)


def rollback_to_a_withdrawn_model(world):
    registry.rollback(world.destination, to=world.oldest_of("b"))


def prune(world):
    registry.prune(world.destination, keep=1)


def check_pushed(name):
    def check(world):
        assert world.served()[-1] == name, world.served()

    return check


def check_rolled_back(world):
    assert world.served()[-1] == "a", world.served()
    try:
        world.push("b")
    except registry.ModelWithdrawnError:
        return
    raise AssertionError("the withdrawn model was pushed again")


def check_brought_back(world):
    assert world.served()[-1] == "b", world.served()
    world.push("a" if "a" not in withdrawn(world) else "c")
    world.push("b")


def withdrawn(world):
    passports = (
        registry.verify(world.destination / str(version))
        for version in registry.versions(world.destination)
    )
    return {world.digests[p.model_sha256] for p in passports if p.withdrawn_at}


def check_pruned(world):
    assert world.served() == ["c"], world.served()


# What: models pushed before, rolled back before, the operation, models that may be the
# newest after an interruption, what holds when it is run again.
OPERATIONS = {
    "first_push": ("", False, first_push, {"", "a"}, check_pushed("a")),
    "second_push": ("a", False, second_push, {"a", "b"}, check_pushed("b")),
    "rollback": ("ab", False, rollback, {"a", "b"}, check_rolled_back),
    "rollback_to": (
        "ab",
        True,
        rollback_to_a_withdrawn_model,
        {"a", "b"},
        check_brought_back,
    ),
    "prune": ("abc", False, prune, {"c"}, check_pruned),
}


def interrupt_at(step, interruption):
    """Lets this process meet the interruption at one of its steps.

    Returns:
      A function that tells whether it has met it.
    """
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event not in _STEPS:
            return
        seen += 1
        if seen < step:
            return
        if interruption == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        # Writing fails from now on; what is there can be read and removed.
        writes = event in ("os.mkdir", "shutil.copyfile") or (
            event == "open" and arguments[2] & _WRITES
        )
        if interruption == "denied":
            writes = writes or event in ("os.rename", "os.remove", "os.rmdir")
        if writes:
            number = _ERRORS[interruption]
            raise OSError(number, os.strerror(number))

    sys.addaudithook(hook)
    return lambda: seen >= step


def attempt(world, operation, step, interruption):
    """Runs the operation in a child; returns how it ended."""
    child = os.fork()
    if child == 0:
        code = _FAILED
        try:
            was_met = interrupt_at(step, interruption)
            operation(world)
            code = _DONE if was_met() else _NOT_REACHED
        except (InputError, OSError):
            code = _REFUSED  # A clear error.
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run(name, interruption, root):
    """Interrupts an operation at each of its steps; returns how many, and problems."""
    before, rolled_back, operation, allowed, check = OPERATIONS[name]
    template = World(root / "template")
    for model in before:
        template.push(model)
    if rolled_back:
        registry.rollback(template.destination)
    step, problems = 0, []
    while True:
        step += 1
        folder = root / str(step)
        shutil.copytree(template.root, folder)
        world = World(folder)
        ended = attempt(world, operation, step, interruption)
        try:
            served = world.served()
            newest = served[-1] if served else ""
            assert ended != _FAILED
            assert newest in allowed, f"{newest!r} is served"
            operation(world)
            check(world)
        except Exception as error:
            problems.append(f"step {step}: {type(error).__name__}: {error}")
        shutil.rmtree(folder)
        if ended == _NOT_REACHED:
            return {"steps": step - 1, "problems": problems}


if __name__ == "__main__":
    what, which, where = sys.argv[1:]
    if what == "push":
        World(Path(where)).push(which)
    else:
        print(json.dumps(run(what, which, Path(where))))
