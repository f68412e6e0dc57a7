# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.digest import model_digest
from components.errors import InputError

_FILES = {"saved_model.pb": b"graph", "variables/index": b"i", "variables/data": b"d"}


def write(root, files=None):
    for name, content in (_FILES if files is None else files).items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_is_the_documented_sum_of_names_sizes_and_contents(tmp_path):
    write(tmp_path, {"b": b"two", "a/c": b""})
    lines = "".join(
        f"{name}\0{len(content)}\0{hashlib.sha256(content).hexdigest()}\n"
        for name, content in [("a/c", b""), ("b", b"two")]
    )
    assert model_digest(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_is_64_hexadecimal_digits(tmp_path):
    assert re.fullmatch("[0-9a-f]{64}", model_digest(write(tmp_path)))


def test_is_the_same_for_text_and_path(tmp_path):
    assert model_digest(str(write(tmp_path))) == model_digest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"saved_model.pb": b"Graph"}, id="changed"),
        pytest.param({"saved_model.pb": b""}, id="emptied"),
        pytest.param({"assets/more": b""}, id="added-an-empty-file"),
        pytest.param({"saved_model.pb": None}, id="removed"),
        pytest.param({"saved_model.pb": None, "model.pb": b"graph"}, id="renamed"),
        pytest.param({"variables/data": None, "data": b"d"}, id="moved"),
        pytest.param(
            {"variables/index": b"d", "variables/data": b"i"}, id="contents-swapped"
        ),
        pytest.param(
            {"variables/index": b"", "variables/data": b"di"}, id="bytes-moved-across"
        ),
    ],
)
def test_changes_with_the_files(tmp_path, change):
    before = model_digest(write(tmp_path / "before"))
    files = {k: v for k, v in {**_FILES, **change}.items() if v is not None}
    assert model_digest(write(tmp_path / "after", files)) != before


def test_does_not_change_with_times_permissions_and_empty_folders(tmp_path):
    before = model_digest(write(tmp_path))
    (tmp_path / "assets").mkdir()
    (tmp_path / "saved_model.pb").chmod(0o600)
    os.utime(tmp_path / "saved_model.pb", (0, 0))
    assert model_digest(tmp_path) == before


def test_reads_files_larger_than_one_piece(tmp_path):
    content = bytes(range(256)) * (3 << 12) + b"end"
    write(tmp_path, {"data": content})
    line = f"data\0{len(content)}\0{hashlib.sha256(content).hexdigest()}\n"
    assert model_digest(tmp_path) == hashlib.sha256(line.encode()).hexdigest()


def test_ignores_only_the_very_path(tmp_path):
    before = model_digest(write(tmp_path))
    write(tmp_path, {"guard.json": b"{}"})
    assert model_digest(tmp_path) != before
    assert model_digest(tmp_path, ignore={"guard.json"}) == before
    write(tmp_path, {"variables/guard.json": b"{}"})
    assert model_digest(tmp_path, ignore={"guard.json"}) != before


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"guard.json": b"{}"}, id="only-what-is-ignored"),
    ],
)
def test_refuses_a_folder_without_files(tmp_path, files):
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        model_digest(write(tmp_path, files), ignore={"guard.json"})


def test_refuses_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        model_digest(tmp_path / "nowhere")


@pytest.mark.parametrize("target", ["saved_model.pb", "variables", "dangling"])
def test_refuses_symbolic_links(tmp_path, target):
    (write(tmp_path) / "link").symlink_to(target)
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "link"))):
        model_digest(tmp_path)


def test_a_name_that_is_no_text_counts_and_can_be_told(tmp_path):
    write(tmp_path)
    before = model_digest(tmp_path)
    odd = os.fsencode(tmp_path) + b"/\xff"
    with open(odd, "wb"):
        pass
    assert model_digest(tmp_path) != before
    os.remove(odd)
    os.symlink("saved_model.pb", odd)
    with pytest.raises(InputError, match=r"/\\xff: a model's files") as error:
        model_digest(tmp_path)
    assert str(error.value).encode()


def test_the_order_is_that_of_the_bytes_of_the_names(tmp_path):
    # As text, the second comes first: undecodable bytes become U+DC80 and upwards.
    names = ["\U0001f600".encode(), b"\xff"]
    for name in names:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb"):
            pass
    empty = hashlib.sha256(b"").hexdigest().encode()
    lines = b"".join(name + b"\x000\x00" + empty + b"\n" for name in names)
    assert model_digest(tmp_path) == hashlib.sha256(lines).hexdigest()


def test_a_folder_that_vanishes_while_it_is_read_is_no_model_without_it(
    tmp_path, monkeypatch
):
    write(tmp_path)
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("variables"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(FileNotFoundError, match="variables"):
        model_digest(tmp_path)


_NAMES = st.text(alphabet="ab\n 0é", min_size=1, max_size=4)
_MODELS = st.dictionaries(_NAMES, st.binary(max_size=4), min_size=1, max_size=4)


@given(_MODELS, _MODELS)
def test_is_equal_exactly_for_equal_models(one, other):
    with (
        tempfile.TemporaryDirectory() as first,
        tempfile.TemporaryDirectory() as second,
    ):
        same = model_digest(write(first, one)) == model_digest(write(second, other))
    assert same == (one == other)
