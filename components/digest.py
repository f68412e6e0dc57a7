# SPDX-License-Identifier: Apache-2.0
"""The fingerprint by which a blessing knows its model."""

import hashlib
import os
from collections.abc import Collection, Iterator
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
        it holds a symbolic link, whose target could change unseen, or a device.
      OSError: If a file or folder cannot be read.
    """
    root = Path(folder)
    # By the bytes of the names, which are the same under any locale.
    names = sorted(set(_names(root)) - set(ignore), key=os.fsencode)
    if not names:
        raise InputError(
            f"{_printable(root)}: expected the folder of a model, but it holds no "
            "files; give the folder that holds saved_model.pb"
        )
    digest = hashlib.sha256()
    for name in names:
        size, content = _file_digest(root / name)
        # Names on disk are bytes, and need not be UTF-8.
        digest.update(os.fsencode(name) + f"\0{size}\0{content}\n".encode())
    return digest.hexdigest()


def _names(root: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        # A missing model is said more plainly by the caller. What vanishes inside of
        # it while it is read must not pass for a model without that part.
        if error.filename != os.fspath(root) or root.exists():
            raise error

    for parent, folders, files in os.walk(root, onerror=fail):
        for name in [*folders, *files]:
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise InputError(
                    f"{_printable(path)}: a model's files must be regular files, but "
                    "this is a symbolic link or a device; copy what it points to in "
                    "its place"
                )
        yield from (Path(parent, name).relative_to(root).as_posix() for name in files)


def _printable(path: Path) -> str:
    """Returns a path as text that can be written to JSON, whatever its bytes are."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _file_digest(path: Path) -> tuple[int, str]:
    """Returns size in bytes and SHA-256 of one file, read in pieces."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
