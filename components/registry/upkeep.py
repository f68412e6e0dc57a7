# SPDX-License-Identifier: Apache-2.0
"""Takes models back out of production, and removes versions that are old."""

import logging
import os
from pathlib import Path

from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport
from components.registry.layout import (
    check_destination,
    read_passport,
    verify,
    version_folders,
)
from components.registry.publishing import (
    now,
    publish_copy,
    remove_version,
    replace_passport,
)

_LOG = logging.getLogger(__name__)


def rollback(destination: str | os.PathLike[str], to: int | None = None) -> Path:
    """Withdraws the newest model and publishes an earlier one again.

    Servers take the largest version, and some never go back to a smaller one, so the
    earlier model becomes a new version; nothing is deleted. The withdrawn model's
    passport says so, and `publish` refuses that model from then on.

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
        exist or is the newest, or the newest has no passport.
      OSError: If copying fails; the newest version is served as before.
    """
    root = check_destination(destination)
    folders = version_folders(root)
    if not folders:
        raise InputError(
            f"destination {root}: expected versions to go back to, but there is none; "
            "give the folder that models are pushed to"
        )
    newest = folders[max(folders)]
    current = read_passport(newest)
    target, passport = _target(folders, current, to)
    if passport.model_sha256 != current.model_sha256 and not current.withdrawn_at:
        replace_passport(newest, current.model_copy(update={"withdrawn_at": now()}))
    restored = publish_copy(
        target,
        root,
        passport.model_copy(
            update={"restored_from": int(target.name), "withdrawn_at": ""}
        ),
    )
    _take_marks_off(folders, passport.model_sha256)
    return restored


def prune(destination: str | os.PathLike[str], keep: int) -> tuple[int, ...]:
    """Removes old versions, of those that were pushed with a passport.

    Versions that somebody else has put there, or whose passport cannot be read, are
    left alone and do not count. Neither do withdrawn models, nor a model that a
    rollback has published again: what is kept can be gone back to.

    Args:
      destination: Folder of the versions.
      keep: Number of different models to keep, at least 1; the newest always stays.

    Returns:
      The versions removed, oldest first.

    Raises:
      ValueError: If `keep` is not positive.
      InputError: If the destination cannot be listed.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    folders = version_folders(destination)
    passports: dict[int, Passport] = {}
    for version, folder in folders.items():
        if not os.path.lexists(folder / PASSPORT_FILE):
            continue
        try:
            passports[version] = read_passport(folder)
        except InputError as error:
            _LOG.warning("%s is not removed: %s", folder, error)
    oldest = _oldest_to_keep(passports, keep)
    removed = []
    for version in sorted(passports):
        if oldest is None or version >= oldest or version == max(folders):
            break
        try:
            remove_version(folders[version])
        except FileNotFoundError:
            continue  # Another process was quicker.
        except OSError as error:
            _LOG.warning("%s could not be removed: %s", folders[version], error)
            continue
        removed.append(version)
    return tuple(removed)


def _oldest_to_keep(passports: dict[int, Passport], keep: int) -> int | None:
    """Returns the version before which all may go, or None where none may."""
    models: set[str] = set()
    for version in sorted(passports, reverse=True):
        if not passports[version].withdrawn_at:
            models.add(passports[version].model_sha256)
        if len(models) == keep:
            return version
    return None


def _target(
    folders: dict[int, Path], current: Passport, to: int | None
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
            if passport.withdrawn_at or passport.model_sha256 == current.model_sha256:
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


def _take_marks_off(folders: dict[int, Path], model_sha256: str) -> None:
    for folder in folders.values():
        if not os.path.lexists(folder / PASSPORT_FILE):
            continue
        try:
            passport = read_passport(folder)
        except InputError as error:
            _LOG.warning("%s is left as it is: %s", folder, error)
            continue
        if passport.withdrawn_at and passport.model_sha256 == model_sha256:
            replace_passport(folder, passport.model_copy(update={"withdrawn_at": ""}))
