# SPDX-License-Identifier: Apache-2.0
"""The layers of a model, and what passes through them while the model is traced."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from components.guarded_trainer.tracing import replaced

RELU_LIKE = frozenset({"relu", "relu6"})
"""Activations that answer 0, with slope 0, to all that is not positive."""

FLAT_FROM = {"tanh": 3.0, "sigmoid": 6.0, "hard_sigmoid": 3.0, "hard_tanh": 1.0}
"""Where an activation is flat on both sides: |input| from which its slope is below
1 % of its steepest (0 for the hard ones), so that of a gradient less than 1 % comes
through. DeepDiagnosis (Wardat et al. 2022) takes 5 for both tanh and sigmoid; Amazon
SageMaker Debugger 9.4999 and about 17 to 23, where float32 itself gives up."""


@dataclasses.dataclass(frozen=True)
class WatchedLayer:
    """A layer, the name it goes by, and the weights that are its own.

    Attributes:
      layer: The layer.
      name: Its path; a number follows where several layers have the same.
      weights: Weights of its own, not those of layers inside it. The cells of a
        recurrent layer count as part of it.
      trainable: Those of them that the model trains.
      activation: Name of its activation; None if it has none that can be named.
    """

    layer: keras.layers.Layer
    name: str
    weights: tuple[keras.Variable, ...]
    trainable: tuple[keras.Variable, ...]
    activation: str | None


@dataclasses.dataclass
class Calls:
    """What passed through one layer, over all its calls.

    Attributes:
      outputs: What it returned, floating-point tensors only.
      activated: What entered its activation, where that can be named.
    """

    outputs: list[tf.Tensor] = dataclasses.field(default_factory=list)
    activated: list[tf.Tensor] = dataclasses.field(default_factory=list)


def watched_layers(model: keras.Model) -> tuple[WatchedLayer, ...]:
    """Returns all layers of a built model, those inside other layers included.

    Input layers, and containers without weights or activation of their own, such as
    a nested model, are left out; the layers inside them are not.
    """
    trained = {id(v) for v in model.trainable_variables}
    names: dict[str, int] = {}
    found = []
    for layer in _flatten(model):
        inside = [] if _is_whole(layer) else _children(layer)
        theirs = {id(v) for child in inside for v in child.weights}
        weights = tuple(v for v in layer.weights if id(v) not in theirs)
        activation = activation_name(layer)
        empty = inside or isinstance(layer, keras.layers.InputLayer)
        if empty and not weights and activation is None:
            continue
        path = getattr(layer, "path", None) or layer.name
        names[path] = names.get(path, 0) + 1
        found.append(
            WatchedLayer(
                layer,
                path if names[path] == 1 else f"{path} ({names[path]})",
                weights,
                tuple(v for v in weights if id(v) in trained),
                activation,
            )
        )
    return tuple(found)


def activation_name(layer: keras.layers.Layer) -> str | None:
    """Returns the name of a layer's activation, such as `relu`.

    Returns:
      None for a layer without activation, with a linear one, or with one of the
      user's making.
    """
    if isinstance(layer, keras.layers.ReLU):
        # With a slope on the left, no unit is ever stuck.
        return "leaky_relu" if layer.negative_slope else "relu"
    for kind, name in (
        (keras.layers.LeakyReLU, "leaky_relu"),
        (keras.layers.PReLU, "prelu"),
        (keras.layers.ELU, "elu"),
        (keras.layers.Softmax, "softmax"),
    ):
        if isinstance(layer, kind):
            return name
    function = getattr(layer, "activation", None)
    module = getattr(function, "__module__", None) or ""
    if isinstance(function, keras.layers.Layer) or not callable(function):
        return None
    if module.partition(".")[0] not in ("keras", "tensorflow"):
        return None
    spoken = getattr(function, "__name__", None)
    return None if spoken == "linear" else spoken


@contextlib.contextmanager
def watching(
    layers: Sequence[WatchedLayer],
    after_call: Callable[[keras.layers.Layer], None] = lambda layer: None,
) -> Iterator[dict[int, Calls]]:
    """Keeps what passes through the layers while the model is traced inside.

    Nothing is computed and nothing stays on the layers. Calls inside a loop or a
    function of their own, such as the cell of an LSTM, cannot be looked into from
    outside, and are not kept.

    Args:
      layers: What `watched_layers` returned.
      after_call: Called with a layer each time it has been used.

    Yields:
      By `id` of the layer, in the order in which the layers are first called.
    """
    graph = tf.compat.v1.get_default_graph()
    calls: dict[int, Calls] = {}

    def kept(tensors: Any) -> list[tf.Tensor]:
        return [
            tensor
            for tensor in tf.nest.flatten(tensors)
            if isinstance(tensor, tf.Tensor)
            and tensor.dtype.is_floating
            and getattr(tensor, "graph", None) is graph
        ]

    def watch_call(layer: keras.layers.Layer) -> Callable[..., Any]:
        original = layer.call

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            seen = calls.setdefault(id(layer), Calls())
            if isinstance(layer, keras.layers.ReLU):
                shift = layer.threshold or 0.0
                seen.activated += [x - shift for x in kept((args, kwargs))[:1]]
            outputs = original(*args, **kwargs)
            seen.outputs += kept(outputs)
            after_call(layer)
            return outputs

        return call

    def watch_activation(layer: keras.layers.Layer) -> Callable[..., Any]:
        original = layer.activation

        def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
            calls.setdefault(id(layer), Calls()).activated += kept(x)
            return original(x, *args, **kwargs)

        return activation

    with contextlib.ExitStack() as stack:
        for entry in layers:
            layer = entry.layer
            stack.enter_context(replaced(layer, "call", watch_call(layer)))
            # Where it is a property, it belongs to a cell.
            if entry.activation is not None and "activation" in vars(layer):
                new = watch_activation(layer)
                stack.enter_context(replaced(layer, "activation", new))
        yield calls


def _flatten(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and all inside it, each once."""
    found: dict[int, keras.layers.Layer] = {}

    def add(layer: keras.layers.Layer) -> None:
        if id(layer) not in found:
            found[id(layer)] = layer
            for child in [] if _is_whole(layer) else _children(layer):
                add(child)

    add(layer)
    return list(found.values())


def _children(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _is_whole(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.RNN)
