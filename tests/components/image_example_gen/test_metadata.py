# SPDX-License-Identifier: Apache-2.0
import csv
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import InputError
from components.image_example_gen.metadata import read_rows, read_table


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "metadata.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def read(file, reserved=("label", "image")):
    table = read_table(file, reserved)
    return table, dict(read_rows(table))


def test_columns_get_the_narrowest_type_that_fits_all_values(write):
    table, rows = read(
        write(
            "path,patient,age,weight,when,empty\n"
            "cat/1.png,07,3,4,2024-05-01,\n"
            "./cat//2.png,7,-12,3.5e-1,2024-05-02,\n"
        )
    )
    assert table.types == {
        "patient": "bytes",
        "age": "int",
        "weight": "float",
        "when": "bytes",
        "empty": "bytes",
    }
    assert rows == {
        b"cat/1.png": {
            "patient": b"07",
            "age": 3,
            "weight": 4.0,
            "when": b"2024-05-01",
        },
        b"cat/2.png": {
            "patient": b"7",
            "age": -12,
            "weight": 0.35,
            "when": b"2024-05-02",
        },
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "-1", "9223372036854775807"], "int"),
        (["9223372036854775808"], "float"),
        (["1", "2.0"], "float"),
        (["1.", "1e3", "-0.5E-2"], "float"),
        (["1", "", "2"], "int"),
        (["007"], "bytes"),
        (["+1"], "bytes"),
        (["1_000"], "bytes"),
        (["nan"], "bytes"),
        (["inf"], "bytes"),
        (["1.5", "n/a"], "bytes"),
        (["\u0661"], "bytes"),
        ([" 1"], "bytes"),
    ],
    ids=str,
)
def test_types(write, values, expected):
    lines = "".join(f"a/{n}.png,{value}\n" for n, value in enumerate(values))
    table, _ = read(write("path,x\n" + lines))
    assert table.types["x"] == expected


def test_file_names_may_stand_for_paths(write):
    table, rows = read(write("x,path\n1,a.png\n2,b.png\n"))
    assert table.by_name
    assert table.key(b"cat/deep/a.png") in rows
    table, _ = read(write("x,path\n1,cat/a.png\n"))
    assert table.key(b"cat/a.png") == b"cat/a.png"


def test_names_of_any_bytes_survive(write):
    file = write(
        b'\xef\xbb\xbfpath,x\n"a/new\nline, ""quoted"".png",1\na/caf\xe9.png,2\n'
    )
    _, rows = read(file)
    assert rows == {
        b'a/new\nline, "quoted".png': {"x": 1},
        b"a/caf\xe9.png": {"x": 2},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no rows", id="empty"),
        pytest.param("path,x\n", "no rows", id="header-only"),
        pytest.param("file,x\na/1.png,2\n", r"'path'.*\['file', 'x'\]", id="no-path"),
        pytest.param("path;x\na/1.png;2\n", "'path;x'", id="semicolons"),
        pytest.param("path,label\na/1.png,2\n", "'label'", id="taken-name"),
        pytest.param("path,\na/1.png,2\n", "not empty.*''", id="nameless-column"),
        pytest.param("path,x,x\na/1.png,2,3\n", r"\['x'\].*more than", id="doubled"),
        pytest.param("path,x\na/1.png,2\na/2.png\n", ":3: expected 2", id="ragged"),
        pytest.param("path,x\n,2\n", ":2: .*cell is empty", id="no-picture"),
        pytest.param("path,x\na/1.png,2\n2.png,2\n", "1 have a `/`", id="mixed"),
        pytest.param('path,x\n"a/1.png,2\n', "reading failed", id="open-quote"),
    ],
)
def test_wrong_files_are_refused(write, text, message):
    file = write(text)
    with pytest.raises(InputError, match=message) as caught:
        read(file)
    assert str(caught.value).startswith(file)
    assert "\n" not in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_table(str(tmp_path / "none.csv"), ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        min_size=1,
    )
)
def test_what_a_csv_writer_writes_is_read_back(tmp_path, cells):
    file = tmp_path / "any.csv"
    with open(file, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["path", "x", "always"])
        for number, cell in enumerate(cells):
            writer.writerow([f"a/{number}.png", cell, "text"])
    table, rows = read(str(file))
    convert = {"int": int, "float": float, "bytes": os.fsencode}[table.types["x"]]
    for number, cell in enumerate(cells):
        values = rows[f"a/{number}.png".encode()]
        assert values["always"] == b"text"
        assert values.get("x") == (convert(cell) if cell else None)
