# SPDX-License-Identifier: Apache-2.0

import pytest

from components.errors import InputError
from components.guarded_trainer.user_code import references


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("model.py", ("model.py", "build_model")),
        ("model.py:make", ("model.py", "make")),
        ("model.py:", ("model.py", "build_model")),
        ("a/b.c/model.py:make", ("a/b.c/model.py", "make")),
        ("C:\\models\\model.py", ("C:\\models\\model.py", "build_model")),
        ("C:\\models\\model.py:make", ("C:\\models\\model.py", "make")),
        ("a:b/model.py", ("a:b/model.py", "build_model")),
        ("package.module", ("package.module", "build_model")),
        ("package.module:make", ("package.module", "make")),
    ],
)
def test_split_reference(reference, parts):
    assert references.split_reference(reference) == parts


def test_digest_tells_changes_of_the_file_and_its_neighbours(write):
    path = write("x = 1")
    digests = [references.source_digest(path)]
    for code, name in [
        ("x = 2", "model.py"),
        ("y = 1", "neighbour.py"),
        ("y = 2", "neighbour.py"),
    ]:
        write(code, name)
        digests.append(references.source_digest(path))
    assert len(set(digests)) == 4


def test_digest_does_not_tell_anything_else(write, tmp_path):
    path = write("x = 1")
    before = references.source_digest(path)
    write("notes", "notes.txt")
    write("z = 1", "elsewhere/other.py")
    (tmp_path / ".#model.py").symlink_to("nobody@nowhere.1")
    (tmp_path / "folder.py").mkdir()
    assert references.source_digest(path) == before
    assert references.source_digest(f"{path}:another_function") == before


def test_digest_tells_renamed_files(write, tmp_path):
    path = write("x = 1")
    write("y = 1", "a.py")
    before = references.source_digest(path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert references.source_digest(path) != before


def test_digest_of_a_missing_file_is_refused():
    with pytest.raises(InputError, match="no such file"):
        references.source_digest("nowhere.py")


def test_unchanged_code_passes(write):
    path = write("x = 1")
    references.check_unchanged(path, references.source_digest(path))


def test_changed_code_is_refused(write):
    path = write("x = 1")
    expected = references.source_digest(path)
    write("x = 2")
    with pytest.raises(
        InputError,
        match=rf"model\.py: expected .*{expected[:12]}.*changed since.*run the",
    ):
        references.check_unchanged(path, expected)
