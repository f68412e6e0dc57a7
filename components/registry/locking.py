# SPDX-License-Identifier: Apache-2.0
"""Lets one process at a time change which versions there are."""

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from components.errors import InputError

LOCK_FILE = ".guard-lock"
"""Name of the file in the destination that is locked; it is empty, and stays."""
_PATIENCE_SECONDS = 60.0
"""What is done under the lock takes milliseconds: models are copied before."""
_RETRY_SECONDS = 0.01
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL, errno.EBADF}
"""How a file system says that it has no locks."""

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keeps other pushes, rollbacks and removals out while versions are changed.

    A version appears and vanishes in one step without a lock, too. The lock is for
    decisions that rest on what is there: a model that is withdrawn while its copy is
    under way must not follow its own withdrawal. The system releases it when the
    process ends, also when it is killed. Where the file system has no locks, the work
    goes on without, with a warning in the log.

    Args:
      root: The destination; it must exist.

    Raises:
      InputError: If the destination is not writable, or if another process holds the
        lock for a minute, as one that was stopped does.
    """
    descriptor = _open(root)
    try:
        _acquire(descriptor, root)
        yield
        # Closing alone would not do where a process was forked off meanwhile.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _open(root: Path) -> int:
    path = root / LOCK_FILE
    try:
        # NFS locks only what is open for writing.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        # It belongs to another user, which does not matter to local file systems.
        with contextlib.suppress(OSError):
            return os.open(path, os.O_RDONLY)
        raise _not_writable(root, errno.EACCES) from None
    except OSError as error:
        raise _not_writable(root, error.errno) from error


def _not_writable(root: Path, number: int | None) -> InputError:
    return InputError(
        f"destination {root}: expected a folder that this process can write to, but "
        f"opening {LOCK_FILE} in it failed ({os.strerror(number or 0)}); correct the "
        "path or its permissions"
    )


def _acquire(descriptor: int, root: Path) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise InputError(
                    f"destination {root}: expected other pushes and rollbacks to end "
                    f"within {_PATIENCE_SECONDS:g} seconds, but one has held "
                    f"{LOCK_FILE} for so long; end that process, and run again"
                ) from None
            time.sleep(_RETRY_SECONDS)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _LOG.warning(
                "%s is on a file system without locks (%s); pushes and rollbacks at "
                "the same time are not kept apart.",
                root,
                error.strerror,
            )
            return
