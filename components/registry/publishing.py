# SPDX-License-Identifier: Apache-2.0
"""Puts a model where it is served from, whole or not at all."""

import datetime
import errno
import os
import time
from pathlib import Path

from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport
from components.registry.layout import (
    LARGEST_VERSION,
    ModelWithdrawnError,
    check_bytes,
    check_destination,
    check_verdict,
    read_passport,
    verify,
    version_folders,
)
from components.registry.locking import locked
from components.registry.staging import (
    flush_folder,
    staged_copy,
    staging_folder,
    write_passport,
)

_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""How `rename` says that something stands where the version should go."""


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

    Whoever may read the destination may read what is published, whatever the umask
    of this process: a server is often another user.

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
      InputError: If the destination is a URL, no folder or not writable, if the
        verdict in the passport blocks, or if the model has a file that is called
        like a passport.
      OSError: If copying fails, for instance because the disk is full.
    """
    source = Path(source_dir)
    root = check_destination(destination)
    check_verdict(source, passport)
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
    with staged_copy(source, root, passport) as staging, locked(root):
        # Again: it may have been withdrawn while it was copied.
        _check_not_withdrawn(version_folders(root), passport.model_sha256)
        return rename_to_next_version(staging, root, passport)


def rename_to_next_version(staging: Path, root: Path, passport: Passport) -> Path:
    """Makes a copy the newest version, in one step.

    Args:
      staging: Folder with the copy.
      root: The destination; the caller holds its lock.
      passport: What lies beside the copy; its version and time are filled in.

    Raises:
      InputError: If no greater version is left.
      OSError: If the folder cannot be renamed; then nothing has changed.
    """
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
        named = passport.model_copy(update={"version": version, "pushed_at": now()})
        write_passport(staging, root, named)
        try:
            # This would quietly replace an empty folder, but such a one counts as
            # a version above, and nobody who publishes makes one in between.
            staging.rename(root / str(version))
        except FileNotFoundError:
            # NFS sends a request again whose answer was lost, and finds it done.
            if not _is_there(root / str(version), named):
                raise
        except OSError as error:
            if error.errno in _TAKEN:
                continue
            raise
        flush_folder(root)
        return root / str(version)


def replace_passport(folder: Path, passport: Passport) -> None:
    """Writes a version's passport anew, in one step; its model stays."""
    # Not beside the model, where a reader would take it for one of its files.
    with staging_folder(folder.parent) as staging:
        write_passport(staging, folder.parent, passport)
        (staging / PASSPORT_FILE).replace(folder / PASSPORT_FILE)
    flush_folder(folder)


def now() -> str:
    """Returns the time, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _is_there(folder: Path, passport: Passport) -> bool:
    try:
        found = read_passport(folder)
    except InputError:
        return False
    return (found.model_sha256, found.pushed_at) == (
        passport.model_sha256,
        passport.pushed_at,
    )


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
