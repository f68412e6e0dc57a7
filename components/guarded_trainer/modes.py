# SPDX-License-Identifier: Apache-2.0
"""Asks a model in one of its modes without changing it.

Keras stores what a forward pass in training mode brings about: moving statistics
of BatchNorm, seeds of dropout. A model that is judged must stay as it is, however
often and in whatever order it is asked, so updates are caught here and dropped.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import keras

from components.guarded_trainer import tracing

BatchNorm: TypeAlias = keras.layers.BatchNormalization


def call(model: keras.Model, inputs: Any, *, training: bool) -> Any:
    """Calls a model as `fit` (training) or `predict` (not training) does.

    Keras passes `training` only to models whose `call` has such an argument; one
    without it is trained in inference mode, and so it is judged.
    """
    if "training" in inspect.signature(model.call).parameters:
        return model(inputs, training=training)
    return model(inputs)


def forward(model: keras.Model, inputs: Any, *, training: bool) -> Any:
    """Returns the outputs of a forward pass that changes no variable.

    Not even the seeds of dropout advance, so that the result does not depend on
    how often it was asked for.
    """
    with keras.StatelessScope(), tracing.plain_calls(model):
        return call(model, inputs, training=training)


def adaptive_layers(model: keras.Model, inputs: Any) -> tuple[BatchNorm, ...]:
    """Returns the BatchNorm layers that work differently in training mode.

    Those are the layers that a forward pass in training mode updates. Layers that
    are frozen, or that a model always calls in inference mode, are not among them:
    their statistics belong to the data they were made from.

    Args:
      model: A built model; it is not changed.
      inputs: Any batch of what it is called with.

    Returns:
      Each layer once, however often the model uses it.
    """
    with keras.StatelessScope() as scope, tracing.plain_calls(model):
        call(model, inputs, training=True)
    return tuple(
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization)
        and scope.get_current_value(layer.moving_mean) is not None
    )


@contextlib.contextmanager
def batch_statistics(
    layers: Sequence[BatchNorm],
    after_call: Callable[[BatchNorm], None] = lambda layer: None,
) -> Iterator[None]:
    """Makes these BatchNorm layers, and nothing else, use the batch's statistics.

    Whatever is traced inside computes inference mode (no dropout, no noise, no
    augmentation) with batch statistics in the layers. Outside, they are as they
    were.

    Args:
      layers: What `adaptive_layers` returned.
      after_call: Called with a layer each time it has been used.
    """
    for layer in layers:
        layer.call = _in_training_mode(layer, after_call)
    try:
        yield
    finally:
        for layer in layers:
            # Uncovers the method of the class again.
            del layer.call


def _in_training_mode(
    layer: BatchNorm, after_call: Callable[[BatchNorm], None]
) -> Callable[..., Any]:
    call_layer = layer.call
    # Subclasses of BatchNorm need not take the same arguments in the same order.
    signature = inspect.signature(call_layer)

    def call_with_batch_statistics(*args: Any, **kwargs: Any) -> Any:
        if "training" in signature.parameters:
            bound = signature.bind(*args, **kwargs)
            bound.arguments["training"] = True
            args, kwargs = bound.args, bound.kwargs
        else:
            kwargs["training"] = True
        outputs = call_layer(*args, **kwargs)
        after_call(layer)
        return outputs

    return call_with_batch_statistics
