# SPDX-License-Identifier: Apache-2.0
"""Calls a user's `build_model`."""

from collections.abc import Callable
from typing import Any

from components.errors import InputError
from components.guarded_trainer.user_code.blame import called_from, location


def call_build_model(build_model: Callable[..., Any], context: Any) -> Any:
    """Calls `build_model(context)` and checks that it returns a Keras model.

    Raises:
      InputError: If it raises, naming the user's file and line, or returns
        anything but a `keras.Model`.
    """
    import keras

    path, line = location(build_model)
    name = getattr(build_model, "__name__", type(build_model).__name__)
    with called_from(build_model, f"{name}(context)"):
        model = build_model(context)
    if not isinstance(model, keras.Model):
        came = (
            "None; end it with `return model`"
            if model is None
            else f"{type(model).__module__}.{type(model).__qualname__}; return the "
            "model itself (of Keras 3, not tf_keras)"
        )
        raise InputError(
            f"{path}:{line}: expected {name} to return a keras.Model, but it "
            f"returned {came}"
        )
    return model
