# SPDX-License-Identifier: Apache-2.0
import importlib.util
import sys
import textwrap

import pytest

from components.errors import InputError
from components.guarded_trainer.user_code import loading


def test_load_function_from_a_file(write):
    path = write("def make(context): return context")
    assert loading.load_function(f"{path}:make")(7) == 7


def test_load_function_is_build_model_by_default(write):
    path = write("def build_model(context): return context")
    assert loading.load_function(path)(7) == 7


def test_load_function_from_a_module():
    assert loading.load_function("textwrap:dedent") is textwrap.dedent


def test_load_function_from_a_folder_with_a_colon(write):
    path = write("def build_model(context): return context", "a:b/model.py")
    assert loading.load_function(path)(7) == 7


@pytest.mark.parametrize(
    "reference",
    ["nowhere.py", "nowhere.py:make", "/no/such/model.py"],
)
def test_missing_file_is_named(reference):
    with pytest.raises(
        InputError, match=r"(nowhere|model)\.py: expected .*no such file; correct"
    ):
        loading.load_function(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "no_such_module",
        "no_such_package.module:make",
        "json.no_such_module",
        "path/to/model",
        ".relative",
        ":",
        "",
        "sys",  # Not written in Python.
    ],
)
def test_missing_module_is_named(reference):
    with pytest.raises(
        InputError, match="expected `path/to/file.py:function`.*correct the name"
    ) as raised:
        loading.load_function(reference)
    assert repr(reference) in str(raised.value)


def test_module_whose_package_fails_is_named(write, tmp_path, monkeypatch):
    write("raise RuntimeError('no licence')", "broken_package/__init__.py")
    write("def build_model(context): ...", "broken_package/model.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"broken_package\.model.*no licence"):
        loading.load_function("broken_package.model")


def test_missing_function_lists_those_there_are(write):
    path = write("import json\nx = 1\ndef make(context): ...\n")
    with pytest.raises(
        InputError,
        match=r"model\.py: expected a function 'build_model', but the file has make;",
    ):
        loading.load_function(path)


def test_name_of_something_else_is_no_function(write):
    path = write("build_model = 7")
    with pytest.raises(InputError, match="has no function; define it"):
        loading.load_function(path)


def test_syntax_error_is_located(write):
    path = write("x = 1\ndef build_model(context)\n    return 1\n")
    with pytest.raises(
        InputError, match=r"model\.py:2: importing model\.py failed with SyntaxError"
    ):
        loading.load_function(path)


def test_error_at_import_is_located(write):
    path = write("x = 1\n\ny = x / 0\n")
    with pytest.raises(
        InputError,
        match=r"model\.py:3: importing model\.py failed with ZeroDivisionError: .*mend",
    ):
        loading.load_function(path)


def test_exit_at_import_does_not_end_the_program(write):
    path = write("import sys\nsys.exit('usage: model.py DATA')\n")
    with pytest.raises(InputError, match=r"model\.py:2: .*SystemExit: usage"):
        loading.load_function(path)


def test_error_in_a_neighbour_is_located_where_it_is_imported(write):
    write("raise KeyError('k')", "trouble.py")
    path = write("import os\nimport trouble\n")
    with pytest.raises(InputError, match=r"model\.py:2: .*KeyError"):
        loading.load_function(path)


def test_failed_file_leaves_nothing_behind(write, tmp_path):
    before = set(sys.modules)
    with pytest.raises(InputError):
        loading.load_function(write("raise KeyError('k')"))
    assert not {name for name in set(sys.modules) - before if "_user_" in name}
    assert str(tmp_path) not in sys.path


def test_neighbours_can_be_imported(write, tmp_path):
    write("SIZE = 7", "sizes.py")
    write("DEPTH = 2", "parts/depths.py")
    path = write(
        """
        import sizes
        from parts import depths

        def build_model(context):
            return sizes.SIZE, depths.DEPTH
        """
    )
    assert loading.load_function(path)(None) == (7, 2)
    assert str(tmp_path) not in sys.path


def test_neighbours_of_one_file_are_not_given_to_another(write):
    functions = []
    for folder in ("a", "b"):
        write(f"NAME = {folder!r}", f"{folder}/shared_name.py")
        path = write(
            "import shared_name\ndef build_model(context): return shared_name.NAME",
            f"{folder}/model.py",
        )
        functions.append(loading.load_function(path))
    assert [function(None) for function in functions] == ["a", "b"]


def test_changed_neighbour_is_loaded_again(write):
    path = write("import width\ndef build_model(context): return width.WIDTH")
    write("WIDTH = 1", "width.py")
    assert loading.load_function(path)(None) == 1
    write("WIDTH = 1_000", "width.py")
    assert loading.load_function(path)(None) == 1_000


def test_changed_neighbour_in_a_folder_is_loaded_again(write):
    path = write("from sizes import w\ndef build_model(context): return w.WIDTH")
    write("WIDTH = 1", "sizes/w.py")
    assert loading.load_function(path)(None) == 1
    write("WIDTH = 1_000", "sizes/w.py")
    assert loading.load_function(path)(None) == 1_000


def test_package_that_is_installed_from_the_same_folder_is_loaded_once(
    write, tmp_path, monkeypatch
):
    class Installed:
        """As an editable installation finds its packages."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "installed_here":
                return importlib.util.spec_from_file_location(
                    name, tmp_path / name / "__init__.py"
                )
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Installed])
    write("", "installed_here/__init__.py")
    path = write(
        "import installed_here\ndef build_model(context): return installed_here"
    )
    first = loading.load_function(path)(None)
    assert loading.load_function(path)(None) is first


def test_standard_library_is_not_a_neighbour(write):
    path = write("import json\ndef build_model(context): return json")
    assert loading.load_function(path)(None) is loading.load_function(path)(None)


def test_what_stands_beside_the_function_is_loaded(write):
    code = loading.load(
        write(
            "import json as augment\n"
            "HYPERPARAMETERS = {'units': 32, 'name': None}\n"
            "def preprocess(context): ...\n"
            "def build_model(context): ...\n"
        )
    )
    assert code.preprocess.__name__ == "preprocess"
    assert code.augment is None  # A module that is called so is no function.
    assert code.hyperparameters({}) == {"units": 32, "name": None}
    assert code.hyperparameters({"units": 8.5, "name": "a"}) == {
        "units": 8.5,
        "name": "a",
    }


def test_a_file_without_defaults_takes_any_hyperparameters(write):
    code = loading.load(write("def build_model(context): ...\n"))
    assert code.hyperparameters({"anything": [1]}) == {"anything": [1]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unit": 1}, r"of .*model\.py has \(rate, units\), but got 'unit'; did you"),
        ({"zzz": 1}, "but got 'zzz'; correct the name"),
        ({"units": "32"}, r"hyperparameters\.units: expected a number.*\(32\).*'32'"),
        ({"units": True}, "expected a number, .*got True"),
    ],
)
def test_other_hyperparameters_are_refused(write, given, message):
    code = loading.load(
        write(
            "HYPERPARAMETERS = {'units': 32, 'rate': 0.1}\n"
            "def build_model(context): ...\n"
        )
    )
    with pytest.raises(InputError, match=message):
        code.hyperparameters(given)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("preprocess = 3", "`preprocess` to be a function of the context, .*a int"),
        ("HYPERPARAMETERS = [1]", "HYPERPARAMETERS to be a dict of defaults by name"),
        ("HYPERPARAMETERS = {'a': print}", "cannot be written as JSON"),
        ("HYPERPARAMETERS = {'a': float('nan')}", "cannot be written as JSON"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(write, line, message):
    with pytest.raises(InputError, match=message):
        loading.load(write(f"{line}\ndef build_model(context): ...\n"))
