# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from components.errors import InputError
from components.image_example_gen.folder import (
    Entry,
    Kind,
    fingerprint,
    looks_like_pictures,
    shown,
    walk,
)

TWO_CLASSES = {"cat/1.png": b"1", "dog/2.png": b"2"}


def pictures_in(base, folder=b""):
    entries = walk(os.fsencode(base), folder)
    return sorted(each.path for each in entries if each.kind is Kind.PICTURE)


def kinds_in(base, folder=b""):
    return {each.path: each.kind for each in walk(os.fsencode(base), folder)}


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a.JPEG", "a.Png", "a.bmp", "a.GIF", "a.webp", "a b.png", "a\nb.png"],
)
def test_pictures_are_told_by_their_ending(make_folder, name):
    assert pictures_in(make_folder({name: b""})) == [name.encode()]


@pytest.mark.parametrize("name", ["a", "png", "a.tif", "a.png.txt", "a.svg", "a.heic"])
def test_other_files_are_no_pictures(make_folder, name):
    assert kinds_in(make_folder({name: b""})) == {name.encode(): Kind.OTHER}


@pytest.mark.parametrize(
    "name", [".DS_Store", "._a.png", ".a.png", "Thumbs.db", "desktop.ini", "__MACOSX/a"]
)
def test_hidden_files_are_ignored(make_folder, name):
    found = kinds_in(make_folder({name: b""}))
    assert list(found.values()) == [Kind.HIDDEN]


def test_folders_are_walked_to_any_depth(make_folder):
    deep = "/".join("abcdefgh" * 8) + "/1.png"
    base = make_folder({deep: b"1", "x.png": b""})
    assert pictures_in(base) == [deep.encode(), b"x.png"]


def test_names_that_are_no_utf_8_survive(make_folder):
    base = make_folder({b"caf\xe9.png": b""})
    assert pictures_in(base) == [b"caf\xe9.png"]
    assert shown(b"caf\xe9\n.png") == "caf\\xe9\\n.png"


def test_links_to_files_and_folders_are_followed(make_folder, tmp_path):
    base = make_folder({"cat/1.png": b"1"})
    elsewhere = make_folder({"a.png": b"2", "2.png": b"3"}, "elsewhere")
    (base / "cat" / "2.png").symlink_to(elsewhere / "2.png")
    (base / "dog").symlink_to(elsewhere)
    assert pictures_in(base) == [
        b"cat/1.png",
        b"cat/2.png",
        b"dog/2.png",
        b"dog/a.png",
    ]


def test_no_folder_is_entered_twice(make_folder):
    base = make_folder({"cat/a/1.png": b"", "cat/b/2.png": b"", "dog/3.png": b""})
    (base / "cat" / "0").symlink_to(base / "cat" / "b")
    (base / "cat" / "a" / "loop").symlink_to(base / "cat")
    (base / "cat" / "a" / "top").symlink_to(base)
    found = kinds_in(base, b"cat")
    # By the path without links, whichever is listed first.
    assert pictures_in(base, b"cat") == [b"cat/a/1.png", b"cat/b/2.png"]
    assert sorted(p for p, kind in found.items() if kind is Kind.REPEATED) == [
        b"cat/0",
        b"cat/a/loop",
        b"cat/a/top",
    ]


def test_links_that_name_each_other_do_not_multiply(make_folder):
    """Without care, the number of paths grows as the factorial of the folders."""
    base = make_folder({f"c/{n}/{n}.png": b"" for n in range(12)})
    for n in range(12):
        for m in range(12):
            (base / "c" / str(n) / f"to{m}").symlink_to(base / "c" / str(m))
    assert len(pictures_in(base, b"c")) == 12


def test_broken_link_and_pipe_do_no_harm(make_folder):
    base = make_folder({"cat/x": None})
    (base / "cat" / "1.png").symlink_to("nowhere.png")
    (base / "cat" / "2.txt").symlink_to("nowhere.txt")
    (base / "cat" / "self.png").symlink_to("self.png")
    os.mkfifo(base / "cat" / "pipe.png")
    assert kinds_in(base, b"cat") == {
        b"cat/1.png": Kind.PICTURE,
        b"cat/2.txt": Kind.OTHER,
        b"cat/self.png": Kind.PICTURE,
        b"cat/pipe.png": Kind.OTHER,
    }


def test_folder_that_cannot_be_listed_is_refused(make_folder, monkeypatch):
    base = make_folder({"cat/1.png": b""})
    scandir = os.scandir

    def refuse(path):
        if path.endswith(b"cat"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    # For root, who often runs tests in containers, permissions do not count.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="cat.*Permission denied"):
        list(walk(os.fsencode(base)))


def test_entry_tells_size_and_time(make_folder):
    base = make_folder({"1.png": b"12345"})
    os.utime(base / "1.png", ns=(7, 9))
    assert list(walk(os.fsencode(base))) == [Entry(Kind.PICTURE, b"1.png", 5, 9)]


def test_fingerprint_sees_every_change(make_folder):
    base = make_folder({"cat/a/1.png": b"1", "dog/2.png": b"2"})
    seen = {fingerprint(str(base))}
    assert fingerprint(str(base)) in seen

    def changed():
        print_ = fingerprint(str(base), str(base / "t.csv"))
        is_new = print_ not in seen
        seen.add(print_)
        return is_new

    os.rename(base / "cat" / "a" / "1.png", base / "dog" / "1.png")
    assert changed(), "moved to another class"
    os.rename(base / "dog" / "1.png", base / "dog" / "3.png")
    assert changed(), "renamed"
    (base / "dog" / "3.png").write_bytes(b"longer")
    assert changed(), "longer"
    status = (base / "dog" / "3.png").stat()
    os.utime(base / "dog" / "3.png", ns=(0, status.st_mtime_ns + 1))
    assert changed(), "later by a nanosecond"
    (base / "bird").mkdir()
    assert changed(), "another class"
    (base / "t.csv").write_text("path\n1.png\n")
    assert changed(), "metadata"
    before = (base / "t.csv").stat()
    (base / "t.csv").write_text("path\n2.png\n")
    os.utime(base / "t.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed(), "other metadata of the same size and time"


def test_fingerprint_of_nothing(tmp_path):
    assert fingerprint(str(tmp_path / "none")) == fingerprint(str(tmp_path / "no"))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(TWO_CLASSES, True, id="classes"),
        pytest.param({**TWO_CLASSES, "metadata.csv": b""}, True, id="with-metadata"),
        pytest.param(
            {"train/a/x/1.JPG": b"", "eval/a/2.jpg": b""}, True, id="train-and-eval"
        ),
        pytest.param({"cat/1.png": b""}, True, id="one-class"),
        pytest.param({"1.png": b""}, True, id="loose-pictures"),
        pytest.param({}, False, id="empty"),
        pytest.param({"data.csv": b""}, False, id="table"),
        pytest.param({"data.csv": b"", "plots/1.png": b""}, False, id="table-and-plot"),
        pytest.param({"data.csv": b"", "logo.png": b""}, False, id="table-and-logo"),
        pytest.param(
            {"train/a.tfrecord.gz": b"", "eval/a.tfrecord.gz": b""}, False, id="records"
        ),
        pytest.param({"cat/1.txt": b"", "dog/2.txt": b""}, False, id="texts"),
    ],
)
def test_looks_like_pictures(make_folder, files, expected):
    assert looks_like_pictures(make_folder(files)) is expected


def test_nothing_looks_like_no_pictures(tmp_path):
    assert not looks_like_pictures(tmp_path / "none")
