# SPDX-License-Identifier: Apache-2.0
"""Makes ready, out of sight, what will appear at the destination in one step."""

import contextlib
import errno
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport
from components.registry.layout import check_bytes

_PREFIX = ".staging-"
_STALE_SECONDS = 24 * 60 * 60
"""Copying a model takes minutes. Whatever nobody has written to for a day was
left by a push that was killed."""
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP}
"""How a file system says that it flushes folders by itself, as SMB does."""

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def staged_copy(source: Path, root: Path, passport: Passport) -> Iterator[Path]:
    """Copies a model into a folder at the destination that no server reads.

    When the context ends, what has not been renamed is removed.

    Args:
      source: Folder of the model; a passport in it is left out.
      root: The destination; made if it does not exist.
      passport: Whose model it must be.

    Yields:
      The folder with the copy, flushed to disk.

    Raises:
      ModelChangedError: If the bytes of the copy are not those of the passport.
      InputError: If the destination is not writable.
      OSError: If copying fails.
    """
    with staging_folder(root) as staging:
        _copy(source, staging)
        check_bytes(staging, passport)
        yield staging


@contextlib.contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """Makes a folder at the destination that no server reads, for a while.

    Raises:
      InputError: If the destination is not writable.
    """
    staging = _new_name(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Not `tempfile.mkdtemp`, whose folders only their owner may read: the
        # server that loads the model is often another user.
        staging.mkdir()
    except OSError as error:
        raise InputError(
            f"destination {root}: expected a folder that this process can write to, "
            f"but making a folder in it failed ({error.strerror}); correct the path "
            "or its permissions"
        ) from error
    try:
        _remove_stale(root, staging.stat().st_mtime)
        yield staging
    finally:
        # Gone if it was renamed; half-written if something failed.
        shutil.rmtree(staging, ignore_errors=True)


def move_aside(folder: Path) -> Path:
    """Takes a folder out of the servers' sight, in one step.

    Returns:
      Where it is now; to be removed, and if this process is killed before that, the
      first push after a day does it.

    Raises:
      OSError: If it cannot be renamed, as where another process has removed it.
    """
    staging = _new_name(folder.parent)
    folder.rename(staging)
    return staging


def write_passport(staging: Path, root: Path, passport: Passport) -> None:
    """Writes a passport into a staging folder, and flushes both to disk."""
    path = staging / PASSPORT_FILE
    path.write_text(passport.model_dump_json(indent=2), encoding="utf-8")
    _open_to_readers(path, root)
    _flush(path)
    flush_folder(staging)


def flush_folder(path: Path) -> None:
    """Makes what was added to a folder or renamed in it outlast a loss of power."""
    try:
        _flush(path)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise


def _new_name(root: Path) -> Path:
    return root / f"{_PREFIX}{uuid.uuid4().hex}"


def _remove_stale(root: Path, now: float) -> None:
    """Removes what killed pushes have left.

    Args:
      root: The destination.
      now: The time by the clock of the file system, which may be a server's.
    """
    for staging in root.glob(f"{_PREFIX}*"):
        # Another push may be tidying up the same folder.
        with contextlib.suppress(OSError):
            if now - _last_change(staging) > _STALE_SECONDS:
                # Should its owner be alive after all, and the clock be wrong, it
                # fails to publish the folder, rather than publish a part of it.
                shutil.rmtree(move_aside(staging), ignore_errors=True)


def _last_change(folder: Path) -> float:
    """Returns when anything in a folder was last written, in seconds since 1970."""
    changes = [folder.lstat().st_mtime]
    changes += [path.lstat().st_mtime for path in folder.rglob("*")]
    return max(changes)


def _copy(source: Path, staging: Path) -> None:
    """Copies a model and flushes it to disk."""
    root = staging.parent
    # Walking must not pass over a folder that cannot be listed.
    for parent, _, names in os.walk(source, onerror=_raise):
        folder = staging / Path(parent).relative_to(source)
        folder.mkdir(exist_ok=True)
        _open_to_readers(folder, root)
        for name in names:
            if folder == staging and name == PASSPORT_FILE:
                continue  # A copy gets a passport of its own.
            shutil.copyfile(Path(parent, name), folder / name)
            _open_to_readers(folder / name, root)
            _flush(folder / name)
    for parent, _, _ in os.walk(staging, onerror=_raise):
        flush_folder(Path(parent))


def _open_to_readers(path: Path, root: Path) -> None:
    """Lets those read a file or folder who may read the destination.

    A pipeline often runs under a strict umask, and the server as another user. Who
    may enter the destination has been decided there; nobody is given more.
    """
    granted = root.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    if path.is_dir():
        granted |= root.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode | granted != mode:
        try:
            path.chmod(mode | granted)
        except OSError as error:  # Such as a mounted share, which sets them itself.
            _LOG.warning("%s keeps its permissions: %s", path, error)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    raise error
