# SPDX-License-Identifier: Apache-2.0
"""Reads the folder that models are served from."""

import logging
import os
import re
from pathlib import Path

from components.digest import model_digest
from components.errors import InputError
from components.records.passport import PASSPORT_FILE, Passport

LARGEST_VERSION = 2**63 - 1
"""TensorFlow Serving reads versions as signed 64-bit integers."""

_LOG = logging.getLogger(__name__)


class ModelChangedError(InputError):
    """The bytes of a model are not those that were blessed."""


class ModelWithdrawnError(InputError):
    """The model was in production and has been withdrawn from it."""


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
    return tuple(sorted(version_folders(destination)))


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
    judged: it is passed over, with a warning in the log, and so is a version that
    was withdrawn. The files of the model are not looked at; `verify` does that.

    Returns:
      The folder, or None where there is no such version.

    Raises:
      InputError: If the destination cannot be listed, or if the newest passport
        cannot be read: an older model must not take its place unnoticed.
    """
    for _, folder in sorted(version_folders(destination).items(), reverse=True):
        if os.path.lexists(folder / PASSPORT_FILE):
            try:
                passport = read_passport(folder)
            except InputError:
                if folder.exists():
                    raise
                continue  # Another process has removed it meanwhile.
            if not passport.withdrawn_at:
                return folder
            _LOG.warning("%s was withdrawn; looking at the version before.", folder)
            continue
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
      InputError: If the passport is missing, cannot be read or says that the model
        was not blessed, or if a file of the model cannot be read.
      ModelChangedError: If a file of the model was changed, added, renamed or
        removed; it is an `InputError`.
    """
    folder = Path(version_dir)
    passport = read_passport(folder)
    check_bytes(folder, passport)
    return passport


def version_folders(destination: str | os.PathLike[str]) -> dict[int, Path]:
    """Returns the folder of each version; of `12` and `0012`, the plain one.

    Raises:
      InputError: As `versions` does.
    """
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
    return {v: path for v, path in found.items() if v <= LARGEST_VERSION}


def read_passport(folder: Path) -> Passport:
    """Returns the passport of a version, without a look at its model.

    Raises:
      InputError: If the passport is missing, cannot be read or says that the model
        was not blessed.
    """
    path = folder / PASSPORT_FILE
    try:
        passport = Passport.from_json(path.read_text(encoding="utf-8"))
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
    check_verdict(path, passport)
    return passport


def check_verdict(path: Path, passport: Passport) -> None:
    """Checks that a passport speaks of a model that was blessed.

    Args:
      path: What to name in the message.
      passport: The passport.

    Raises:
      InputError: If the verdict in it blocks.
    """
    if not passport.verdict.passed:
        raise InputError(
            f"{path}: expected the passport of a model that was blessed, but its "
            f"verdict is: {passport.verdict}; such a model must not be served, so "
            "push one that was blessed"
        )


def check_bytes(folder: Path, passport: Passport) -> None:
    """Checks that a folder holds the model of a passport.

    Raises:
      ModelChangedError: If it holds other files, or files of other contents, or what
        no blessed model holds: no files at all, or links.
      InputError: If a file cannot be read.
    """
    try:
        digest = model_digest(folder, ignore={PASSPORT_FILE})
    except InputError as error:
        raise ModelChangedError(str(error)) from error
    except OSError as error:
        raise InputError(
            f"{folder}: expected the files of a model, but reading them failed "
            f"({error}); mend the disk or the permissions, or push the model again"
        ) from error
    if digest != passport.model_sha256:
        raise ModelChangedError(
            f"{folder}: expected the blessed model with SHA-256 "
            f"{passport.model_sha256}, but its files have {digest}; restore the "
            "blessed files, or have the changed model judged and pushed again"
        )
