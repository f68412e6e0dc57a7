# SPDX-License-Identifier: Apache-2.0
"""Puts a model where it is served from, whole or not at all."""

import contextlib
import datetime
import errno
import os
import shutil
import time
import uuid
from pathlib import Path

from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport
from components.registry.layout import (
    LARGEST_VERSION,
    ModelWithdrawnError,
    check_bytes,
    check_destination,
    read_passport,
    verify,
    version_folders,
)

_STAGING_PREFIX = ".staging-"
_STALE_SECONDS = 24 * 60 * 60
"""Copying a model takes minutes. Whatever nobody has written to for a day was
left by a push that was killed."""
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""How `rename` says that something stands where the version should go."""
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP}
"""How a file system says that it flushes folders by itself, as SMB does."""


def publish(
    source_dir: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    passport: Passport,
) -> Path:
    """Puts a blessed model at the destination as its newest version, in one step.

    The version is the time in seconds since 1970, or one more than the newest
    version if that is greater, so that versions grow even if the clock goes
    back. If the newest version already holds this model, nothing is written.

    Several processes may publish at once: each gets a version of its own. After
    an error, or a kill, no version folder has been added; the staging folder of
    a killed process is removed by the first push after a day.

    Args:
      source_dir: Folder of the model, a SavedModel.
      destination: Folder of the versions; made if it does not exist.
      passport: What was blessed; `version` and `pushed_at` are filled in here.

    Returns:
      The version folder that holds the model.

    Raises:
      ModelChangedError: If the bytes of the model, or of its copy, are not those
        of `passport.model_sha256`.
      ModelWithdrawnError: If a version that holds the same model was withdrawn.
      InputError: If the destination is a URL, no folder or not writable, or if
        the model has a file that is called like a passport.
      OSError: If copying fails, for instance because the disk is full.
    """
    source = Path(source_dir)
    root = check_destination(destination)
    if os.path.lexists(source / PASSPORT_FILE):
        raise InputError(
            f"{source / PASSPORT_FILE}: expected a model as it was trained, but this "
            "is the name of the passport that is laid beside pushed models; give the "
            "trained model, or rename the file"
        )
    check_bytes(source, passport)
    folders = version_folders(root)
    _check_not_withdrawn(folders, passport.model_sha256)
    if folders and _holds(folders[max(folders)], passport.model_sha256):
        return folders[max(folders)]
    return publish_copy(source, root, passport)


def publish_copy(source: Path, root: Path, passport: Passport) -> Path:
    """Copies a model to the destination as its newest version, in one step.

    Args:
      source: Folder of the model; a passport in it is left out.
      root: The destination.
      passport: What lies beside the copy.

    Raises:
      ModelChangedError: If the bytes of the copy are not those of the passport.
      InputError: If the destination is not writable.
      OSError: If copying fails.
    """
    staging = _make_staging(root)
    try:
        _copy(source, staging)
        check_bytes(staging, passport)
        return _rename_to_next_version(staging, root, passport)
    finally:
        # Gone if it was renamed; half-written if something failed.
        shutil.rmtree(staging, ignore_errors=True)


def replace_passport(folder: Path, passport: Passport) -> None:
    """Writes a version's passport anew, in one step; its model stays."""
    # Not beside the model, where a reader would take it for one of its files.
    staging = _make_staging(folder.parent)
    try:
        _write(staging / PASSPORT_FILE, passport)
        (staging / PASSPORT_FILE).replace(folder / PASSPORT_FILE)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _flush_folder(folder)


def remove_version(folder: Path) -> None:
    """Removes a version; it is gone from the destination in one step.

    Raises:
      OSError: If it cannot be renamed, as where another process has removed it.
    """
    # If this process is killed now, a later push clears the rest away.
    staging = folder.parent / f"{_STAGING_PREFIX}{uuid.uuid4().hex}"
    folder.rename(staging)
    shutil.rmtree(staging, ignore_errors=True)


def now() -> str:
    """Returns the time, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _check_not_withdrawn(folders: dict[int, Path], model_sha256: str) -> None:
    for version, folder in folders.items():
        try:
            passport = read_passport(folder)
        except InputError:
            continue  # Not a version of ours, or one that `latest` refuses.
        if passport.withdrawn_at and passport.model_sha256 == model_sha256:
            raise ModelWithdrawnError(
                f"{folder}: expected a model that may go into production, but version "
                f"{version} is the same one, and was withdrawn at "
                f"{passport.withdrawn_at}; train another, or bring it back with "
                f"`tfx-guard rollback {folder.parent} --to {version}`"
            )


def _holds(folder: Path, model_sha256: str) -> bool:
    """Returns whether a version is whole and the model of this digest."""
    try:
        return verify(folder).model_sha256 == model_sha256
    except InputError:
        return False


def _make_staging(root: Path) -> Path:
    staging = root / f"{_STAGING_PREFIX}{uuid.uuid4().hex}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_stale_staging(root)
        # Not `tempfile.mkdtemp`, whose folders only their owner may read: the
        # server that loads the model is often another user.
        staging.mkdir()
    except OSError as error:
        raise InputError(
            f"destination {root}: expected a folder that this process can write to, "
            f"but making a folder in it failed ({error.strerror}); correct the path "
            "or its permissions"
        ) from error
    return staging


def _remove_stale_staging(root: Path) -> None:
    for staging in root.glob(f"{_STAGING_PREFIX}*"):
        # Another push may be tidying up the same folder.
        with contextlib.suppress(OSError):
            if time.time() - _last_change(staging) > _STALE_SECONDS:
                shutil.rmtree(staging, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """Returns when anything in a folder was last written, in seconds since 1970."""
    changes = [folder.lstat().st_mtime]
    changes += [path.lstat().st_mtime for path in folder.rglob("*")]
    return max(changes)


def _copy(source: Path, staging: Path) -> None:
    """Copies a model and flushes it to disk."""
    # Walking must not pass over a folder that cannot be listed.
    for parent, _, names in os.walk(source, onerror=_raise):
        folder = staging / Path(parent).relative_to(source)
        folder.mkdir(exist_ok=True)
        for name in names:
            if folder == staging and name == PASSPORT_FILE:
                continue  # A copy gets a passport of its own.
            shutil.copyfile(Path(parent, name), folder / name)
            _flush(folder / name)
    for parent, _, _ in os.walk(staging, onerror=_raise):
        _flush_folder(Path(parent))


def _rename_to_next_version(staging: Path, root: Path, passport: Passport) -> Path:
    version = 0
    while True:
        newest = max(version_folders(root), default=0)
        version = max(int(time.time()), newest + 1, version + 1)
        if version > LARGEST_VERSION:
            raise InputError(
                f"destination {root}: expected versions that leave room for a newer "
                f"one, but {newest} is the largest that TensorFlow Serving reads; "
                "rename that folder"
            )
        target = root / str(version)
        _write_passport(staging, passport, version)
        try:
            # This would quietly replace an empty folder, but such a one counts as
            # a version above, and nobody who publishes makes one in between.
            staging.rename(target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            _flush_folder(root)
            return target


def _write_passport(staging: Path, passport: Passport, version: int) -> None:
    passport = passport.model_copy(update={"version": version, "pushed_at": now()})
    _write(staging / PASSPORT_FILE, passport)
    _flush_folder(staging)


def _write(path: Path, passport: Passport) -> None:
    path.write_text(passport.model_dump_json(indent=2), encoding="utf-8")
    _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: Path) -> None:
    try:
        _flush(path)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise


def _raise(error: OSError) -> None:
    raise error
