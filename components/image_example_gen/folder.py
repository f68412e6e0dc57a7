# SPDX-License-Identifier: Apache-2.0
"""Finds the pictures in a folder.

Names of files are bytes, as the operating system has them: not all are UTF-8.
"""

import enum
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from components.errors import InputError

ENDINGS = frozenset(
    (
        b".jpg",
        b".jpeg",
        b".jpe",
        b".jfif",
        b".png",
        b".apng",
        b".bmp",
        b".gif",
        b".webp",
    )
)
"""Endings of pictures, in lower case; the content decides what a file really is."""
_DATA_ENDINGS = frozenset((b".csv", b".gz", b".parquet", b".tfrecord", b".tfrecords"))
_HIDDEN = frozenset(
    (b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b"__macosx", b"@eadir")
)
"""What operating systems and network drives leave behind, in lower case."""
_LOOKED_AT = 1000  # Entries of a folder that `looks_like_pictures` looks at.


class Kind(enum.Enum):
    """What stands at a path."""

    PICTURE = "picture"
    FOLDER = "folder"
    OTHER = "other"
    """A file without a picture's ending, a broken link without it, a socket."""
    HIDDEN = "hidden"
    """Hidden or left behind by an operating system."""
    REPEATED = "repeated"
    """A link to a folder that is read under another path; perhaps a loop."""


class Entry(NamedTuple):
    """One thing in the folder."""

    kind: Kind
    path: bytes
    """Relative to the base folder."""
    size: int = 0
    """Bytes; 0 for all but files."""
    mtime_ns: int = 0
    """Last change in nanoseconds since 1970; 0 for all but files."""


def shown(path: bytes) -> str:
    """Returns a path as text in one line, whatever bytes are in it."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def check_base(base: str) -> None:
    """Refuses what cannot be a local path.

    Raises:
      InputError: If it is empty or a URL such as `gs://bucket/photos`.
    """
    if not base or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", base):
        raise InputError(
            f"input_base {base!r}: expected a local or mounted folder, but this is "
            f"{'a URL' if base else 'empty'}; give a path, such as that of a mounted "
            "volume, or copy the pictures there"
        )


def walk(base: bytes, folder: bytes = b"") -> Iterator[Entry]:
    """Lists everything below a folder, in no particular order.

    Links to files are files; links to folders are followed, but no folder is entered
    twice, so that no loop is followed. Hidden folders are not entered.

    Args:
      base: The base folder.
      folder: Where to begin, relative to the base folder; its parents count as
        entered.

    Raises:
      InputError: If a folder cannot be listed.
    """
    parts = folder.split(b"/") if folder else []
    parents = [os.path.join(base, *parts[:n]) for n in range(len(parts))]
    entered = {_identity(parent) for parent in parents}
    pending, links = [folder], list[bytes]()
    # Links last, so that a picture's path is the one without links if there is one.
    while pending or links:
        at = pending.pop() if pending else links.pop(0)
        identity = _identity(os.path.join(base, at))
        if identity in entered:
            yield Entry(Kind.REPEATED, at)
            continue
        entered.add(identity)
        for entry in scan(base, at):
            yield entry
            if entry.kind is Kind.FOLDER:
                is_link = os.path.islink(os.path.join(base, entry.path))
                (links if is_link else pending).append(entry.path)
        links.sort()


def scan(base: bytes, folder: bytes) -> Iterator[Entry]:
    """Lists one folder, relative to the base folder, in no particular order.

    Raises:
      InputError: If it cannot be listed.
    """
    try:
        with os.scandir(os.path.join(base, folder)) as entries:
            for entry in entries:
                yield _entry(folder, entry)
    except OSError as error:
        raise InputError(
            f"{shown(os.path.join(base, folder))}: expected a folder that this process "
            f"can list, but it cannot ({error.strerror}); correct its permissions, or "
            "move it away"
        ) from error


def holds_picture(base: bytes, folder: bytes) -> bool:
    """Whether a folder likely holds pictures; looks at its first entries only."""
    some = itertools.islice(walk(base, folder), _LOOKED_AT)
    return any(entry.kind is Kind.PICTURE for entry in some)


def fingerprint(base: str, metadata: str | None = None) -> str:
    """Returns a text that changes with the files: names, sizes and times of change.

    A file that is moved from one class to another changes it, unlike TFX's own
    fingerprint. Contents are read of the metadata only.

    Returns:
      SHA-256 in hexadecimal; also if there is no such folder.
    """
    root, total, count = os.fsencode(base), 0, 0
    for kind, path, size, mtime_ns in walk(root) if os.path.isdir(base) else ():
        record = b"%b %d %d %b" % (kind.value.encode(), size, mtime_ns, path)
        # A sum, because files come in no particular order.
        total += int.from_bytes(hashlib.sha256(record).digest(), "big")
        count += 1
    digest = hashlib.sha256(b"%d %d" % (count, total))
    if metadata is not None and os.path.isfile(metadata):
        with open(metadata, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def looks_like_pictures(path: Path) -> bool:
    """Whether a folder is likely one of pictures, by names alone, in bounded time.

    It is if two folders or more, directly in it or in its `train` or `eval`, hold
    pictures; or if one does, or there are pictures in the folder itself, and there
    are no files of tables or records.
    """
    if not path.is_dir():
        return False
    base = os.fsencode(path)
    try:
        tops = [b"train", b"eval"] if _has_both(base) else [b""]
        with_pictures, loose, data = 0, False, False
        for top in tops:
            for entry in itertools.islice(scan(base, top), _LOOKED_AT):
                if entry.kind is Kind.FOLDER and with_pictures < 2:
                    with_pictures += holds_picture(base, entry.path)
                loose |= entry.kind is Kind.PICTURE
                data |= _ending(entry.path) in _DATA_ENDINGS
    except InputError:
        return False
    return with_pictures >= 2 or ((with_pictures == 1 or loose) and not data)


def _has_both(base: bytes) -> bool:
    return all(os.path.isdir(os.path.join(base, name)) for name in (b"train", b"eval"))


def _entry(folder: bytes, entry: "os.DirEntry[bytes]") -> Entry:
    path = os.path.join(folder, entry.name)
    if entry.name.startswith(b".") or entry.name.lower() in _HIDDEN:
        return Entry(Kind.HIDDEN, path)
    is_picture = _ending(entry.name) in ENDINGS
    try:
        status = entry.stat()
    except OSError:
        # A broken link; a picture's is named later, as a picture that is not there.
        return Entry(Kind.PICTURE if is_picture else Kind.OTHER, path)
    if stat.S_ISDIR(status.st_mode):
        return Entry(Kind.FOLDER, path)
    # Opening anything but a regular file, such as a pipe, may wait for ever.
    is_picture &= stat.S_ISREG(status.st_mode)
    kind = Kind.PICTURE if is_picture else Kind.OTHER
    return Entry(kind, path, status.st_size, status.st_mtime_ns)


def _ending(path: bytes) -> bytes:
    return os.path.splitext(path)[1].lower()


def _identity(folder: bytes) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
