# SPDX-License-Identifier: Apache-2.0
"""Takes models back out of production, and removes versions that are old."""

import logging
import os
import shutil
from pathlib import Path

from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport
from components.registry.layout import (
    ModelChangedError,
    check_destination,
    read_passport,
    verify,
    version_folders,
)
from components.registry.locking import locked
from components.registry.publishing import (
    now,
    rename_to_next_version,
    replace_passport,
)
from components.registry.staging import move_aside, staged_copy

_LOG = logging.getLogger(__name__)


def rollback(destination: str | os.PathLike[str], to: int | None = None) -> Path:
    """Withdraws the newest model and publishes an earlier one again.

    Servers take the largest version, and some never go back to a smaller one, so the
    earlier model becomes a new version; nothing is deleted. The withdrawn model's
    passport says so, and `publish` refuses that model from then on. A newest version
    that has no passport that can be read was not pushed, or was damaged; it is
    covered by the new version, and the log says that nothing marks it.

    If the process is killed on the way, the newest model is at worst withdrawn and
    still there; running it again finishes the work.

    Args:
      destination: Folder of the versions.
      to: The version to go back to; by default the newest whose model is another
        than the one withdrawn, was not withdrawn itself and is whole. A withdrawn
        model that is named comes back, and its mark is taken off.

    Returns:
      The new version's folder.

    Raises:
      ModelChangedError: If the files of the version named are not those blessed.
      InputError: If there is no version to go back to, the version named does not
        exist or is the newest, or another process pushes or rolls back meanwhile;
        then nothing has changed.
      OSError: If copying fails; the newest version is served as before.
    """
    root = check_destination(destination)
    folders = version_folders(root)
    if not folders:
        raise InputError(
            f"destination {root}: expected versions to go back to, but there is none; "
            "give the folder that models are pushed to"
        )
    newest = max(folders)
    current = _passport_of(folders[newest])
    target, passport = _target(folders, current, to)
    restored = passport.model_copy(
        update={"restored_from": int(target.name), "withdrawn_at": ""}
    )
    try:
        return _publish_again(target, root, restored, newest, current)
    except (FileNotFoundError, ModelChangedError) as error:
        if target.exists():
            raise
        raise InputError(
            f"{target}: expected the version to stay while it is copied, but another "
            "process has removed it; choose another with --to"
        ) from error


def prune(destination: str | os.PathLike[str], keep: int) -> tuple[int, ...]:
    """Removes old versions, of those that were pushed with a passport.

    Versions that somebody else has put there, or whose passport cannot be read, are
    left alone and do not count. Neither do withdrawn models, nor a model that a
    rollback has published again: what is kept can be gone back to.

    A server that is loading a version while it is removed gets an error, never a
    part of a model; it loads the newest, which always stays.

    Args:
      destination: Folder of the versions.
      keep: Number of different models to keep, at least 1; the newest always stays.

    Returns:
      The versions removed, oldest first.

    Raises:
      ValueError: If `keep` is not positive.
      InputError: If the destination cannot be listed or is not writable.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    root = check_destination(destination)
    if not version_folders(root):
        return ()
    aside: dict[int, Path] = {}
    with locked(root):
        folders = version_folders(root)
        for version in _too_old(folders, keep):
            try:
                aside[version] = move_aside(folders[version])
            except OSError as error:
                _LOG.warning("%s could not be removed: %s", folders[version], error)
    for folder in aside.values():
        shutil.rmtree(folder, ignore_errors=True)
    return tuple(aside)


def _too_old(folders: dict[int, Path], keep: int) -> list[int]:
    """Returns the versions that may go, oldest first."""
    passports = {
        version: passport
        for version, folder in sorted(folders.items())
        if (passport := _passport_of(folder)) is not None
    }
    oldest = _oldest_to_keep(passports, keep)
    if oldest is None:
        return []
    return [version for version in passports if version < min(oldest, max(folders))]


def _oldest_to_keep(passports: dict[int, Passport], keep: int) -> int | None:
    """Returns the version before which all may go, or None where none may."""
    models: set[str] = set()
    for version in sorted(passports, reverse=True):
        if not passports[version].withdrawn_at:
            models.add(passports[version].model_sha256)
        if len(models) == keep:
            return version
    return None


def _passport_of(folder: Path) -> Passport | None:
    """Returns a version's passport, None for one that was not pushed or was damaged."""
    if not os.path.lexists(folder / PASSPORT_FILE):
        return None
    try:
        return read_passport(folder)
    except InputError as error:
        _LOG.warning("%s is left as it is: %s", folder, error)
        return None


def _target(
    folders: dict[int, Path], current: Passport | None, to: int | None
) -> tuple[Path, Passport]:
    """Returns the version to go back to, whole, and its passport."""
    newest = max(folders)
    if to is not None:
        if to not in folders or to == newest:
            raise InputError(
                f"--to {to}: expected an earlier version, but "
                f"{'that is the newest' if to == newest else 'there is none of that'}"
                f"{'' if to == newest else ' number'}; choose one of "
                f"{', '.join(map(str, sorted(folders)[:-1][-8:])) or 'none'}"
            )
        return folders[to], verify(folders[to])
    problems = []
    for version in sorted(folders, reverse=True)[1:]:
        try:
            passport = read_passport(folders[version])
            same = current and passport.model_sha256 == current.model_sha256
            if passport.withdrawn_at or same:
                continue
            return folders[version], verify(folders[version])
        except InputError as error:
            problems.append(f"{version}: {error}")
    raise InputError(
        f"destination {folders[newest].parent}: expected an earlier model to go back "
        "to, but no version holds another one that is whole and was not withdrawn"
        f"{' (' + problems[0] + ')' if problems else ''}; name one with --to, or push "
        "a model that was blessed"
    )


def _publish_again(
    target: Path, root: Path, restored: Passport, newest: int, current: Passport | None
) -> Path:
    with staged_copy(target, root, restored) as staging, locked(root):
        folders = version_folders(root)
        _check_still_newest(root, newest, folders)
        if current is None:
            _LOG.warning("%s cannot be marked as withdrawn.", folders[newest])
        elif restored.model_sha256 != current.model_sha256 and not current.withdrawn_at:
            replace_passport(
                folders[newest], current.model_copy(update={"withdrawn_at": now()})
            )
        version = rename_to_next_version(staging, root, restored)
        _take_marks_off(folders, restored.model_sha256)
        return version


def _check_still_newest(root: Path, version: int, folders: dict[int, Path]) -> None:
    newest = max(folders, default=None)
    if newest != version:
        raise InputError(
            f"destination {root}: expected {version} to be the newest version while it "
            f"is rolled back, but another process has made that {newest}; see what it "
            "has pushed, and roll back again if need be"
        )


def _take_marks_off(folders: dict[int, Path], model_sha256: str) -> None:
    for folder in folders.values():
        passport = _passport_of(folder)
        if (
            passport is not None
            and passport.withdrawn_at
            and passport.model_sha256 == model_sha256
        ):
            replace_passport(folder, passport.model_copy(update={"withdrawn_at": ""}))
