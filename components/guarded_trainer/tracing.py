# SPDX-License-Identifier: Apache-2.0
"""Traces a model's methods as part of what is traced around them."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

_FRAMEWORKS = ("keras", "tensorflow")


@contextlib.contextmanager
def plain_calls(model: keras.Model) -> Iterator[None]:
    """Lets methods under `@tf.function` be traced as part of what is traced inside.

    Such a method keeps what was traced of it first, and uses it again. If that was
    done where variables must not change, a training would no longer update its
    BatchNorm statistics; and the other way round, looking would change them.
    """
    with contextlib.ExitStack() as stack:
        for layer in {id(layer): layer for layer in model._flatten_layers()}.values():
            for name, function in _traced_methods(type(layer)).items():
                if name in vars(layer):
                    continue  # Covered already, and so never traced by itself.
                bound = functools.partial(function, layer)
                stack.enter_context(replaced(layer, name, bound))
        yield


@contextlib.contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    """Covers an attribute, past Keras' own bookkeeping of attributes."""
    attributes = vars(owner)
    before = attributes.get(name, replaced)
    attributes[name] = new
    try:
        yield
    finally:
        if before is replaced:
            del attributes[name]
        else:
            attributes[name] = before


def _traced_methods(kind: type) -> dict[str, Callable[..., Any]]:
    """Returns, by name, what lies beneath the methods under `@tf.function`."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] in _FRAMEWORKS:
            continue
        for name, method in vars(base).items():
            found.pop(name, None)
            if hasattr(method, "python_function"):
                found[name] = method.python_function
                # What the decorator does to its ifs and loops, for which it needs the
                # source; without that, it leaves them as they are, too.
                with contextlib.suppress(Exception):
                    found[name] = tf.autograph.to_graph(method.python_function)
    return found
