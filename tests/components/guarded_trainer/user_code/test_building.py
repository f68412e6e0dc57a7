# SPDX-License-Identifier: Apache-2.0
import functools
import sys
import types

import pytest

from components.errors import InputError
from components.guarded_trainer.user_code import building, loading

CONTEXT = types.SimpleNamespace(num_classes=2)


def test_neighbours_can_be_imported_when_the_model_is_built(write, tmp_path):
    write("SIZE = 7\nraise RuntimeError(SIZE)", "sizes.py")
    path = write("def build_model(context):\n    import sizes\n")
    with pytest.raises(InputError, match=r"model\.py:2: .*RuntimeError: 7"):
        building.call_build_model(loading.load_function(path), CONTEXT)
    assert str(tmp_path) not in sys.path


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
        building.call_build_model(loading.load_function(path), CONTEXT)


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
        building.call_build_model(loading.load_function(path), CONTEXT)


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
        building.call_build_model(loading.load_function(path), CONTEXT)


def test_bold_print_of_keras_is_taken_out(write):
    path = write("def build_model(context): raise ValueError('\\x1b[1mno\\x1b[0m')")
    with pytest.raises(InputError, match="ValueError: no;"):
        building.call_build_model(loading.load_function(path), CONTEXT)


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
        building.call_build_model(loading.load_function(f"{path}:make"), CONTEXT)


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
        building.call_build_model(loading.load_function(path), CONTEXT)


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
        building.call_build_model(loading.load_function(path), CONTEXT)


def test_callables_that_are_no_functions_are_located(write):
    path = write(
        """
        class Builder:
            def __call__(self, context):
                return None

        build_model = Builder()
        """
    )
    builder = loading.load_function(path)
    with pytest.raises(InputError, match=r"model\.py:3: expected Builder to return"):
        building.call_build_model(builder, CONTEXT)
    with pytest.raises(InputError, match=r"model\.py:3: expected partial to return"):
        building.call_build_model(functools.partial(builder), CONTEXT)
    with pytest.raises(InputError, match=r"len\(context\) failed with TypeError"):
        building.call_build_model(len, CONTEXT)


def test_input_error_of_the_user_is_passed_on(write):
    path = write(
        """
        from components.errors import InputError
        def build_model(context):
            raise InputError("use a smaller picture")
        """
    )
    with pytest.raises(InputError, match="^use a smaller picture$"):
        building.call_build_model(loading.load_function(path), CONTEXT)
