# SPDX-License-Identifier: Apache-2.0
import errno
import fcntl
import logging
import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import pytest

from components import registry
from components.errors import InputError
from components.registry import locking
from components.registry.locking import LOCK_FILE, locked

_HOLD = """
import pathlib, sys
from components.registry.locking import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        cwd=Path(registry.__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_one_waits_until_the_other_has_ended(tmp_path):
    inside = []

    def enter(name):
        with locked(tmp_path):
            inside.append(name)
            assert len(inside) == 1
            inside.remove(name)

    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(200)))


def test_a_lock_that_is_held_for_too_long_is_named(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(locking, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(InputError, match=f"has held {LOCK_FILE}"), locked(tmp_path):
        pass


def test_a_kill_releases_it(tmp_path, holder):
    holder.kill()
    with locked(tmp_path):
        pass


def test_an_error_releases_it(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_a_process_that_was_forked_off_meanwhile_does_not_keep_it(tmp_path):
    with locked(tmp_path):
        sleeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with locked(tmp_path):
            pass
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EBADF])
def test_without_locks_the_work_goes_on_with_a_warning(
    tmp_path, monkeypatch, caplog, number
):
    def refuse(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING), locked(tmp_path):
        pass
    assert "without locks" in caplog.text


def test_any_other_error_is_one(tmp_path, monkeypatch):
    def fail(descriptor, operation):
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="the disk is broken"), locked(tmp_path):
        pass


def test_a_lock_of_another_user_is_taken_for_reading(tmp_path, monkeypatch):
    (tmp_path / LOCK_FILE).touch()
    really_open = os.open

    def open_for_reading(path, flags, *mode):
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, flags, *mode)

    monkeypatch.setattr(os, "open", open_for_reading)
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_destination_that_cannot_hold_it_is_named(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=folder), locked(tmp_path / folder):
        pass


def test_it_is_no_version(tmp_path):
    with locked(tmp_path):
        pass
    assert registry.versions(tmp_path) == ()
