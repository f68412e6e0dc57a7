# SPDX-License-Identifier: Apache-2.0
"""Tells splits and classes from the names of folders."""

import dataclasses
import os
import unicodedata
from collections.abc import Mapping

from components.errors import InputError
from components.image_example_gen.folder import (
    Entry,
    Kind,
    check_base,
    holds_picture,
    scan,
    shown,
)

_SPLIT_LIKE = frozenset(
    ("train", "training", "eval", "evaluation", "val", "valid", "validation")
    + ("test", "testing", "dev", "holdout")
)
"""Names that people give to splits, in lower case."""


@dataclasses.dataclass(frozen=True, order=True)
class ClassFolder:
    """The pictures of one class in one split.

    Attributes:
      split: Name of the split.
      label: Name of the class.
      path: Path of the folder, relative to the base folder.
    """

    split: str
    label: str
    path: bytes


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the folder's form says.

    Attributes:
      class_folders: At least one for each split; two classes or more.
      aside: Files and folders in the base and split folders that are neither a
        split nor a class.
    """

    class_folders: tuple[ClassFolder, ...]
    aside: tuple[Entry, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits in their order."""
        return tuple(dict.fromkeys(each.split for each in self.class_folders))


def find_layout(
    base: str, splits: Mapping[str, str] | None = None, whole_split: str = "all"
) -> Layout:
    """Tells splits and classes from the names of the folders, of which none is walked.

    Args:
      base: The base folder.
      splits: As `ImageExampleGenConfig.splits`.
      whole_split: As `ImageExampleGenConfig.whole_split`.

    Raises:
      InputError: If the folder cannot be listed, has pictures outside of class
        folders, no class, one class only, names that differ in case alone, or names
        that are no UTF-8.
    """
    check_base(base)
    if not os.path.isdir(base):
        raise InputError(
            f"input_base {base}: expected a folder with one folder of pictures per "
            f"class, but there is {'a file' if os.path.exists(base) else 'nothing'}; "
            "correct the path"
        )
    root = os.fsencode(base)
    top = list(scan(root, b""))
    roots, aside = _split_folders(root, top, splits, whole_split)
    classes = []
    for split, folder in roots.items():
        inside = list(scan(root, folder)) if folder else top
        if folder:
            aside += [e for e in inside if e.kind is not Kind.FOLDER]
        _refuse_loose_pictures(base, folder, inside)
        found = [
            ClassFolder(split, _label(base, each.path), each.path)
            for each in sorted(inside, key=lambda each: each.path)
            if each.kind is Kind.FOLDER
        ]
        if not found:
            raise InputError(
                f"{os.path.join(base, shown(folder))}: expected one folder of pictures "
                "per class, but there is none; put the pictures of each class into a "
                "folder with its name"
            )
        classes += found
    _refuse_alike(base, classes)
    _refuse_single_class(base, classes)
    return Layout(tuple(classes), tuple(aside))


def _split_folders(
    base: bytes,
    top: list[Entry],
    splits: Mapping[str, str] | None,
    whole_split: str,
) -> tuple[dict[str, bytes], list[Entry]]:
    """Returns the folder of each split, and what in the base folder is none."""
    name = shown(base)
    folders = {entry.path for entry in top if entry.kind is Kind.FOLDER}
    files = [entry for entry in top if entry.kind is not Kind.FOLDER]
    if splits is None:
        if not {b"train", b"eval"} <= folders:
            _refuse_split_names(name, folders)
            return {whole_split: b""}, files
        roots = {
            s: s.encode() for s in ("train", "eval", "test") if s.encode() in folders
        }
    elif not splits:
        return {whole_split: b""}, files
    else:
        roots = {s: os.path.normpath(os.fsencode(f)) for s, f in splits.items()}
    for split, folder in roots.items():
        if not os.path.isdir(os.path.join(base, folder)):
            raise InputError(
                f"{name}: expected the folder {shown(folder)!r} of split {split!r}, "
                "but there is no such folder; correct `splits`"
            )
    _refuse_loose_pictures(name, b"", files)
    tops = {folder.split(b"/")[0] for folder in roots.values()}
    others = sorted(folders - tops)
    for other in others if splits is None else []:
        if holds_picture(base, other):
            raise InputError(
                f"{name}: expected no folders of pictures beside the splits "
                f"{', '.join(roots)}, but there is {shown(other)!r}; move it away, or "
                "name the folder of each split in `splits`"
            )
    return roots, files + [Entry(Kind.OTHER, other) for other in others]


def _refuse_split_names(base: str, folders: set[bytes]) -> None:
    """Refuses what would make classes of folders that are named like splits."""
    names = {shown(folder) for folder in folders}
    alike = sorted(name for name in names if name.lower() in _SPLIT_LIKE)
    if alike and (len(alike) > 1 or len(names) == 1):
        raise InputError(
            f"{base}: expected one folder per class, or splits in folders `train` and "
            f"`eval`, but {' and '.join(map(repr, alike))} would be taken for classes; "
            "rename the folders, or name the folder of each split in `splits`"
        )


def _refuse_loose_pictures(base: str, folder: bytes, inside: list[Entry]) -> None:
    loose = sorted(shown(e.path) for e in inside if e.kind is Kind.PICTURE)
    if loose:
        raise InputError(
            f"{os.path.join(base, shown(folder))}: expected pictures in one folder per "
            f"class only, but {len(loose)} lie outside of any: {', '.join(loose[:3])}"
            f"{', ...' * (len(loose) > 3)}; move them into the folders of their classes"
        )


def _label(base: str, folder: bytes) -> str:
    name = os.path.basename(folder)
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"{os.path.join(base, shown(folder))}: expected the name of a class in "
            "UTF-8, but it has other bytes; rename the folder"
        ) from None


def _refuse_alike(base: str, classes: list[ClassFolder]) -> None:
    """Refuses classes whose names people would take for one."""
    spellings: dict[str, ClassFolder] = {}
    for each in classes:
        key = unicodedata.normalize("NFC", each.label).strip().casefold()
        first = spellings.setdefault(unicodedata.normalize("NFC", key), each)
        if first.label != each.label:
            raise InputError(
                f"{base}: expected folders of different classes to differ in more than "
                f"case, spaces at the ends or Unicode form, but there are "
                f"{shown(first.path)!r} and {shown(each.path)!r}; give one class one "
                "name"
            )


def _refuse_single_class(base: str, classes: list[ClassFolder]) -> None:
    labels = {each.label for each in classes}
    if len(labels) == 1:
        raise InputError(
            f"{base}: expected folders of two classes or more, but there is one only, "
            f"{labels.pop()!r}; give the folder whose sub-folders are the classes, or "
            "add the other classes"
        )
