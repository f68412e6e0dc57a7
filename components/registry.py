# SPDX-License-Identifier: Apache-2.0
"""The folder that models are pushed to and served from.

The layout is the one that TensorFlow Serving watches
(https://www.tensorflow.org/tfx/serving/serving_config): one folder per version,
whose name is the version as a decimal number, and the newest is served. Beside
each model lies its passport::

    destination/
      1760000000/
        guard.json        the passport (components.records.passport)
        saved_model.pb
        variables/...
      .staging-5e1f.../   a push in progress; a leading dot is never a version

A version folder appears whole or not at all: a push copies to a staging folder
in the destination, flushes it to disk and renames it, which POSIX makes atomic
within one file system. Object stores have no such rename, so the destination
must be a local or mounted path.

A digest tells accidents and careless edits from the blessed model. It is no
signature: whoever can write to the destination can forge model and passport
together.
"""

import contextlib
import datetime
import errno
import logging
import os
import re
import shutil
import time
import uuid
from pathlib import Path

from components.digest import model_digest
from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport

_STAGING_PREFIX = ".staging-"
_STALE_SECONDS = 24 * 60 * 60
"""Copying a model takes minutes. Whatever nobody has written to for a day was
left by a push that was killed."""
_LARGEST_VERSION = 2**63 - 1
"""TensorFlow Serving reads versions as signed 64-bit integers."""
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""How `rename` says that something stands where the version should go."""
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP}
"""How a file system says that it flushes folders by itself, as SMB does."""

_LOG = logging.getLogger(__name__)


class ModelChangedError(InputError):
    """The bytes of a model are not those that were blessed."""


def check_destination(destination: str | os.PathLike[str]) -> Path:
    """Returns the destination as a path, whether or not it exists yet.

    Raises:
      InputError: If it is empty or a URL such as `gs://bucket/models`.
    """
    text = os.fspath(destination)
    if not text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise InputError(
            f"destination {text!r}: expected a local or mounted folder, because only "
            "there a model can appear in one step, but this is "
            f"{'a URL' if text else 'empty'}; give a path, such as that of a mounted "
            "volume, and copy finished versions to an object store from there"
        )
    return Path(text)


def versions(destination: str | os.PathLike[str]) -> tuple[int, ...]:
    """Returns the versions at the destination, oldest first.

    A version is a folder whose name consists of decimal digits, with or without
    a passport; `0012` is version 12, as TensorFlow Serving reads it. Everything
    else, such as staging folders and files, is none.

    Returns:
      The versions in ascending order; empty where the destination does not exist.

    Raises:
      InputError: If the destination is a URL or cannot be listed as a folder.
    """
    return tuple(sorted(_version_folders(destination)))


def state(destination: str | os.PathLike[str]) -> str:
    """Returns a text that changes with each push: the newest version, or "".

    Hand it to `LatestBlessedModel` as `registry_state`, so that TFX's cache does
    not serve an old baseline.

    Raises:
      InputError: As `versions` does.
    """
    return "".join(map(str, versions(destination)[-1:]))


def latest(destination: str | os.PathLike[str]) -> Path | None:
    """Returns the folder of the newest version that was pushed with a passport.

    A newer version without one was put there by other means and has never been
    judged: it is passed over, with a warning in the log. The files of the model
    are not looked at; `verify` does that.

    Returns:
      The folder, or None where no version has a passport.

    Raises:
      InputError: If the destination cannot be listed, or if the newest passport
        cannot be read: an older model must not take its place unnoticed.
    """
    for _, folder in sorted(_version_folders(destination).items(), reverse=True):
        if os.path.lexists(folder / PASSPORT_FILE):
            _read_passport(folder)
            return folder
        _LOG.warning(
            "%s has no %s, so nobody has judged it; looking at the version before.",
            folder,
            PASSPORT_FILE,
        )
    return None


def verify(version_dir: str | os.PathLike[str]) -> Passport:
    """Returns the passport of a pushed model whose files are those blessed.

    The folder may have been copied elsewhere or renamed since: only contents
    count.

    Raises:
      InputError: If the passport is missing or cannot be read.
      ModelChangedError: If a file of the model was changed, added, renamed or
        removed; it is an `InputError`.
    """
    folder = Path(version_dir)
    passport = _read_passport(folder)
    _check_bytes(folder, passport)
    return passport


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
    _check_bytes(source, passport)
    folders = _version_folders(root)
    if folders and _holds(folders[max(folders)], passport.model_sha256):
        return folders[max(folders)]
    staging = _make_staging(root)
    try:
        _copy(source, staging)
        _check_bytes(staging, passport)
        return _rename_to_next_version(staging, root, passport)
    finally:
        # Gone if it was renamed; half-written if something failed.
        shutil.rmtree(staging, ignore_errors=True)


def _version_folders(destination: str | os.PathLike[str]) -> dict[int, Path]:
    """Returns the folder of each version; of `12` and `0012`, the plain one."""
    root = check_destination(destination)
    found: dict[int, Path] = {}
    try:
        # Shortest name last, so that `12` takes the place of `0012`.
        for path in sorted(root.iterdir(), key=lambda path: -len(path.name)):
            if re.fullmatch("[0-9]+", path.name) and path.is_dir():
                found[int(path.name)] = path
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(
            f"destination {root}: expected a folder that this process can read, but "
            f"listing it failed ({error.strerror}); correct the path or its permissions"
        ) from error
    return {v: path for v, path in found.items() if v <= _LARGEST_VERSION}


def _read_passport(folder: Path) -> Passport:
    path = folder / PASSPORT_FILE
    try:
        return Passport.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: expected the passport of a pushed model, but there is no such "
            "file; give the folder of a version that GuardedPusher has pushed"
        ) from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected a passport, but it cannot be read ({reason[:300]}); "
            "remove the version, or push its model again"
        ) from error


def _check_bytes(folder: Path, passport: Passport) -> None:
    digest = model_digest(folder, ignore={PASSPORT_FILE})
    if digest != passport.model_sha256:
        raise ModelChangedError(
            f"{folder}: expected the blessed model with SHA-256 "
            f"{passport.model_sha256}, but its files have {digest}; restore the "
            "blessed files, or have the changed model judged and pushed again"
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
            shutil.copyfile(Path(parent, name), folder / name)
            _flush(folder / name)
    for parent, _, _ in os.walk(staging, onerror=_raise):
        _flush_folder(Path(parent))


def _rename_to_next_version(staging: Path, root: Path, passport: Passport) -> Path:
    version = 0
    while True:
        newest = max(_version_folders(root), default=0)
        version = max(int(time.time()), newest + 1, version + 1)
        if version > _LARGEST_VERSION:
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
    now = datetime.datetime.now(datetime.timezone.utc)
    passport = passport.model_copy(
        update={"version": version, "pushed_at": now.isoformat(timespec="seconds")}
    )
    path = staging / PASSPORT_FILE
    path.write_text(passport.model_dump_json(indent=2), encoding="utf-8")
    _flush(path)
    _flush_folder(staging)


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
