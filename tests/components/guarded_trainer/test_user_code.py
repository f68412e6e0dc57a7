# SPDX-License-Identifier: Apache-2.0
import functools
import importlib.util
import sys
import textwrap
import types

import pytest

from components.errors import InputError
from components.guarded_trainer import user_code

CONTEXT = types.SimpleNamespace(num_classes=2)


@pytest.fixture
def write(tmp_path):
    """Writes a user's file; returns its path as text."""

    def write(code, name="model.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return str(path)

    return write


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
    assert user_code.split_reference(reference) == parts


def test_load_function_from_a_file(write):
    path = write("def make(context): return context")
    assert user_code.load_function(f"{path}:make")(7) == 7


def test_load_function_is_build_model_by_default(write):
    path = write("def build_model(context): return context")
    assert user_code.load_function(path)(7) == 7


def test_load_function_from_a_module():
    assert user_code.load_function("textwrap:dedent") is textwrap.dedent


def test_load_function_from_a_folder_with_a_colon(write):
    path = write("def build_model(context): return context", "a:b/model.py")
    assert user_code.load_function(path)(7) == 7


@pytest.mark.parametrize(
    "reference",
    ["nowhere.py", "nowhere.py:make", "/no/such/model.py"],
)
def test_missing_file_is_named(reference):
    with pytest.raises(
        InputError, match=r"(nowhere|model)\.py: expected .*no such file; correct"
    ):
        user_code.load_function(reference)


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
        user_code.load_function(reference)
    assert repr(reference) in str(raised.value)


def test_module_whose_package_fails_is_named(write, tmp_path, monkeypatch):
    write("raise RuntimeError('no licence')", "broken_package/__init__.py")
    write("def build_model(context): ...", "broken_package/model.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"broken_package\.model.*no licence"):
        user_code.load_function("broken_package.model")


def test_missing_function_lists_those_there_are(write):
    path = write("import json\nx = 1\ndef make(context): ...\n")
    with pytest.raises(
        InputError,
        match=r"model\.py: expected a function 'build_model', but the file has make;",
    ):
        user_code.load_function(path)


def test_name_of_something_else_is_no_function(write):
    path = write("build_model = 7")
    with pytest.raises(InputError, match="has no function; define it"):
        user_code.load_function(path)


def test_syntax_error_is_located(write):
    path = write("x = 1\ndef build_model(context)\n    return 1\n")
    with pytest.raises(
        InputError, match=r"model\.py:2: importing model\.py failed with SyntaxError"
    ):
        user_code.load_function(path)


def test_error_at_import_is_located(write):
    path = write("x = 1\n\ny = x / 0\n")
    with pytest.raises(
        InputError,
        match=r"model\.py:3: importing model\.py failed with ZeroDivisionError: .*mend",
    ):
        user_code.load_function(path)


def test_exit_at_import_does_not_end_the_program(write):
    path = write("import sys\nsys.exit('usage: model.py DATA')\n")
    with pytest.raises(InputError, match=r"model\.py:2: .*SystemExit: usage"):
        user_code.load_function(path)


def test_error_in_a_neighbour_is_located_where_it_is_imported(write):
    write("raise KeyError('k')", "trouble.py")
    path = write("import os\nimport trouble\n")
    with pytest.raises(InputError, match=r"model\.py:2: .*KeyError"):
        user_code.load_function(path)


def test_failed_file_leaves_nothing_behind(write, tmp_path):
    before = set(sys.modules)
    with pytest.raises(InputError):
        user_code.load_function(write("raise KeyError('k')"))
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
    assert user_code.load_function(path)(None) == (7, 2)
    assert str(tmp_path) not in sys.path


def test_neighbours_can_be_imported_when_the_model_is_built(write, tmp_path):
    write("SIZE = 7\nraise RuntimeError(SIZE)", "sizes.py")
    path = write("def build_model(context):\n    import sizes\n")
    with pytest.raises(InputError, match=r"model\.py:2: .*RuntimeError: 7"):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)
    assert str(tmp_path) not in sys.path


def test_neighbours_of_one_file_are_not_given_to_another(write):
    functions = []
    for folder in ("a", "b"):
        write(f"NAME = {folder!r}", f"{folder}/shared_name.py")
        path = write(
            "import shared_name\ndef build_model(context): return shared_name.NAME",
            f"{folder}/model.py",
        )
        functions.append(user_code.load_function(path))
    assert [function(None) for function in functions] == ["a", "b"]


def test_changed_neighbour_is_loaded_again(write):
    path = write("import width\ndef build_model(context): return width.WIDTH")
    write("WIDTH = 1", "width.py")
    assert user_code.load_function(path)(None) == 1
    write("WIDTH = 1_000", "width.py")
    assert user_code.load_function(path)(None) == 1_000


def test_changed_neighbour_in_a_folder_is_loaded_again(write):
    path = write("from sizes import w\ndef build_model(context): return w.WIDTH")
    write("WIDTH = 1", "sizes/w.py")
    assert user_code.load_function(path)(None) == 1
    write("WIDTH = 1_000", "sizes/w.py")
    assert user_code.load_function(path)(None) == 1_000


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
    first = user_code.load_function(path)(None)
    assert user_code.load_function(path)(None) is first


def test_standard_library_is_not_a_neighbour(write):
    path = write("import json\ndef build_model(context): return json")
    assert user_code.load_function(path)(None) is user_code.load_function(path)(None)


def test_error_in_build_model_is_located(write):
    path = write(
        """
        def build_model(context):
            x = 1
            raise ValueError("too\\nmany")
        """
    )
    with pytest.raises(
        InputError,
        match=r"model\.py:4: build_model\(context\) failed with ValueError: too many;",
    ):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


def test_error_deep_inside_keras_is_located_in_the_users_file(write):
    path = write(
        """
        import keras

        def build_model(context):
            inputs = keras.Input((4,))
            return keras.Model(
                inputs,
                keras.layers.Conv2D(2, 3)(inputs),
            )
        """
    )
    with pytest.raises(InputError, match=r"model\.py:8: .*ValueError.*conv2d"):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


def test_error_in_a_graph_is_located_in_the_users_file(write):
    path = write(
        """
        import tensorflow as tf

        @tf.function(autograph=False)
        def divide(x):
            tf.debugging.assert_positive(x, "too small")
            return x

        def build_model(context):
            divide(tf.constant(-1))
        """
    )
    with pytest.raises(
        InputError,
        match=r"model\.py:6: .* failed with InvalidArgumentError: [^{]*too small",
    ):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


def test_bold_print_of_keras_is_taken_out(write):
    path = write("def build_model(context): raise ValueError('\\x1b[1mno\\x1b[0m')")
    with pytest.raises(InputError, match="ValueError: no;"):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


@pytest.mark.parametrize(
    ("code", "came"),
    [
        pytest.param("pass", "None; end it with `return model`", id="nothing"),
        pytest.param("return 7", "builtins.int; return the model itself", id="number"),
        pytest.param("return keras.Model", "builtins.type;", id="class"),
        pytest.param(
            "return keras.layers.Dense(2)", r"keras.*\.Dense; return", id="layer"
        ),
    ],
)
def test_what_is_no_model_is_refused(write, code, came):
    path = write(f"import keras\n\ndef make(context):\n    {code}\n")
    with pytest.raises(
        InputError,
        match=rf"model\.py:3: expected make to return a keras\.Model, but .*{came}",
    ):
        user_code.call_build_model(user_code.load_function(f"{path}:make"), CONTEXT)


def test_model_of_tf_keras_is_refused(write):
    path = write(
        """
        class Model:
            __module__ = "tf_keras.src.engine.training"

        def build_model(context):
            return Model()
        """
    )
    with pytest.raises(InputError, match=r"tf_keras\.src\S+Model; .*not tf_keras"):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


def test_decorated_function_is_located_below_its_decorator(write):
    path = write(
        """
        import functools
        from textwrap import dedent

        def logged(function):
            @functools.wraps(function)
            def call(context):
                return function(context)
            return call

        @logged
        def build_model(context):
            return None
        """
    )
    with pytest.raises(InputError, match=r"model\.py:11: expected build_model"):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


def test_callables_that_are_no_functions_are_located(write):
    path = write(
        """
        class Builder:
            def __call__(self, context):
                return None

        build_model = Builder()
        """
    )
    builder = user_code.load_function(path)
    with pytest.raises(InputError, match=r"model\.py:3: expected Builder to return"):
        user_code.call_build_model(builder, CONTEXT)
    with pytest.raises(InputError, match=r"model\.py:3: expected partial to return"):
        user_code.call_build_model(functools.partial(builder), CONTEXT)
    with pytest.raises(InputError, match=r"len\(context\) failed with TypeError"):
        user_code.call_build_model(len, CONTEXT)


def test_input_error_of_the_user_is_passed_on(write):
    path = write(
        """
        from components.errors import InputError
        def build_model(context):
            raise InputError("use a smaller picture")
        """
    )
    with pytest.raises(InputError, match="^use a smaller picture$"):
        user_code.call_build_model(user_code.load_function(path), CONTEXT)


def test_digest_tells_changes_of_the_file_and_its_neighbours(write):
    path = write("x = 1")
    digests = [user_code.source_digest(path)]
    for code, name in [
        ("x = 2", "model.py"),
        ("y = 1", "neighbour.py"),
        ("y = 2", "neighbour.py"),
    ]:
        write(code, name)
        digests.append(user_code.source_digest(path))
    assert len(set(digests)) == 4


def test_digest_does_not_tell_anything_else(write, tmp_path):
    path = write("x = 1")
    before = user_code.source_digest(path)
    write("notes", "notes.txt")
    write("z = 1", "elsewhere/other.py")
    (tmp_path / ".#model.py").symlink_to("nobody@nowhere.1")
    (tmp_path / "folder.py").mkdir()
    assert user_code.source_digest(path) == before
    assert user_code.source_digest(f"{path}:another_function") == before


def test_digest_tells_renamed_files(write, tmp_path):
    path = write("x = 1")
    write("y = 1", "a.py")
    before = user_code.source_digest(path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert user_code.source_digest(path) != before


def test_digest_of_a_missing_file_is_refused():
    with pytest.raises(InputError, match="no such file"):
        user_code.source_digest("nowhere.py")


def test_unchanged_code_passes(write):
    path = write("x = 1")
    user_code.check_unchanged(path, user_code.source_digest(path))


def test_changed_code_is_refused(write):
    path = write("x = 1")
    expected = user_code.source_digest(path)
    write("x = 2")
    with pytest.raises(
        InputError,
        match=rf"model\.py: expected .*{expected[:12]}.*changed since.*run the",
    ):
        user_code.check_unchanged(path, expected)


def test_what_stands_beside_the_function_is_loaded(write):
    code = user_code.load(
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
    code = user_code.load(write("def build_model(context): ...\n"))
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
    code = user_code.load(
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
        user_code.load(write(f"{line}\ndef build_model(context): ...\n"))
