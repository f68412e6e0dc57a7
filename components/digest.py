# SPDX-License-Identifier: Apache-2.0
"""The fingerprint by which a blessing knows its model."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from components.errors import InputError

_CHUNK = 1 << 20


def model_digest(folder: str | os.PathLike[str], ignore: Collection[str] = ()) -> str:
    """Returns the SHA-256 over the names and contents of all files of a model.

    Each file adds its relative path, its size and its own SHA-256, in the order
    of the paths, so that a renamed, added, missing or changed file changes the
    digest, and moving bytes from one file to the next does too. Empty folders,
    times and permissions do not count.

    Args:
      folder: Folder of the model, such as a SavedModel.
      ignore: Relative paths (with `/`) that do not count, such as the passport
        that is laid beside a model when it is pushed.

    Returns:
      64 hexadecimal digits.

    Raises:
      InputError: If the folder does not exist or holds no file to count, or if
        it holds a symbolic link, whose target could change unseen.
    """
    root = Path(folder)
    names = []
    for parent, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink():
                raise InputError(
                    f"{path}: a model's files must be regular files, but this is a "
                    "symbolic link; copy what it points to in its place"
                )
        names += [Path(parent, name).relative_to(root).as_posix() for name in files]
    names = sorted(set(names) - set(ignore))
    if not names:
        raise InputError(
            f"{root}: expected the folder of a model, but it holds no files; "
            "give the folder that holds saved_model.pb"
        )
    digest = hashlib.sha256()
    for name in names:
        size, content = _file_digest(root / name)
        digest.update(f"{name}\0{size}\0{content}\n".encode())
    return digest.hexdigest()


def _file_digest(path: Path) -> tuple[int, str]:
    """Returns size in bytes and SHA-256 of one file, read in pieces."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
