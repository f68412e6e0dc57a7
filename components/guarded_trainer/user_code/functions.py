# SPDX-License-Identifier: Apache-2.0
"""What a user's `preprocess` and `augment` return, tried before it counts.

A function that is random, that mixes the rows of a batch or that cannot be exported is
refused before the first epoch: it would make of the served model another one than was
trained.
"""

import dataclasses
import inspect
import logging
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.user_code import blame

_LOG = logging.getLogger("components.guarded_trainer")
_PYTHON = {"EagerPyFunc", "PyFunc", "PyFuncStateless"}
_TOLERANCE = 1e-4
"""Largest difference that another order of float32 sums may explain, relative to the
largest number: what a row becomes alone, in a batch, or after export."""


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """A user's preprocessing: applied to whatever the model is ever given.

    Attributes:
      function: From a batch of inputs, float32, to another.
      shape: Shape of one row of the result, without the batch.
    """

    function: Callable[[tf.Tensor], tf.Tensor]
    shape: tuple[int, ...]

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns float32, shape `(batch, *self.shape)`."""
        outputs = tf.cast(_called(self.function, inputs), tf.float32)
        return tf.ensure_shape(outputs, (None, *self.shape))


def try_preprocess(
    make: Callable[[Any], Any], context: Any, rows: tf.Tensor
) -> Preprocess:
    """Makes a user's preprocessing, and tries it on real rows.

    Args:
      make: The user's `preprocess(context)`, which returns a Keras layer or a function
        of a batch of inputs.
      context: What it is told.
      rows: Two or more inputs, float32, shape (batch, ...).

    Raises:
      InputError: If it raises, returns no such thing, changes the number of rows, is
        random, depends on the other rows of a batch, or cannot be exported; names the
        user's file and line.
    """
    path, line = blame.location(make)
    function = _made(make, context, "preprocess", "a batch of inputs")
    with blame.blaming(path, "preprocessing a batch"):
        first, again = _traced(function, rows), _traced(function, rows)
        results = [first(rows), first(rows), again(rows)]
    shape = _row_shape(results[0], len(rows), f"{path}:{line}")
    whole, *others = (np.asarray(result, np.float64) for result in results)
    if not all(_agree(whole, other, 0.0) for other in others):
        raise InputError(
            f"{path}:{line}: expected `preprocess` to make the same of the same "
            "inputs, but it is random; move what varies at random to `augment`, which "
            "is left out of the exported model"
        )
    with blame.blaming(path, "preprocessing a single row"):
        alone = [np.asarray(first(row[None]), np.float64) for row in rows]
    if not _agree(whole, np.concatenate(alone), _TOLERANCE):
        raise InputError(
            f"{path}:{line}: expected `preprocess` to treat each row alone, but a "
            "row's result depends on what else is in the batch; compute statistics "
            "once, from `context.train_inputs` (as `Normalization().adapt` does), not "
            "from the batch"
        )
    preprocess = Preprocess(function, shape)
    _try_export(preprocess, rows, whole, f"{path}:{line}")
    return preprocess


def try_augment(
    make: Callable[[Any], Any], context: Any, rows: tf.Tensor
) -> Callable[[Any, tf.Tensor], tf.Tensor]:
    """Makes a user's augmentation, and tries it on real rows.

    Args:
      make: The user's `augment(context)`, which returns a function of a batch of
        inputs and a seed, int64, shape (2,).
      context: What it is told.
      rows: Some inputs as the model is given them, float32, shape (batch, ...).

    Returns:
      The function; its result is float32, of the shape of the inputs.

    Raises:
      InputError: If it raises, returns no such function, or changes the shape; names
        the user's file and line.
    """
    path, line = blame.location(make)
    function = _made(make, context, "augment", "a batch of inputs and a seed")
    name = f"{path}:{line}"

    def augment(inputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        varied = tf.cast(function(inputs, seed), tf.float32)
        return tf.ensure_shape(varied, inputs.shape)

    seed = tf.constant([1, 2], tf.int64)
    with blame.blaming(path, "augmenting a batch"):
        traced = tf.function(
            lambda x, s: function(x, s), autograph=False
        ).get_concrete_function(_spec(rows), tf.TensorSpec((2,), tf.int64))
        varied, again = traced(rows, seed), traced(rows, seed)
    if _row_shape(varied, len(rows), name, "augment") != tuple(rows.shape[1:]):
        raise InputError(
            f"{name}: expected `augment` to keep the shape {tuple(rows.shape[1:])} of "
            f"an input, but it makes {tuple(varied.shape[1:])} of it; crop and pad to "
            "the same size, or change shapes in `preprocess`"
        )
    if not np.isfinite(varied.numpy().astype(np.float64)).all():
        raise InputError(
            f"{name}: expected `augment` to return finite numbers, but it makes NaN or "
            "infinity of training inputs; mend what it computes"
        )
    if not np.array_equal(varied.numpy(), again.numpy()):
        _LOG.warning(
            "%s: `augment` does not depend on its seed alone, so that a training that "
            "is killed and taken up ends otherwise than one that is not; draw random "
            "numbers with tf.random.stateless_uniform or tf.image.stateless_random_*",
            name,
        )
    return augment


def _made(
    make: Callable[[Any], Any], context: Any, name: str, argument: str
) -> Callable[..., Any]:
    path, line = blame.location(make)
    with blame.called_from(make, f"{name}(context)"):
        made = make(context)
    if not callable(made):
        raise InputError(
            f"{path}:{line}: expected {name} to return a function of {argument}, but "
            f"it returned {type(made).__name__}; end it with `return function`, or "
            "rename it if it is not meant for the trainer"
        )
    return made


def _called(function: Callable[..., Any], inputs: tf.Tensor) -> Any:
    """Calls a layer as the served model would: in inference mode."""
    if isinstance(function, keras.layers.Layer):
        if "training" in inspect.signature(function.call).parameters:
            return function(inputs, training=False)
    return function(inputs)


def _spec(rows: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec((None, *rows.shape[1:]), rows.dtype)


def _traced(function: Callable[..., Any], rows: tf.Tensor) -> Any:
    # As a graph: so it is run in the input pipeline and in the exported model.
    traced = tf.function(lambda x: _called(function, x), autograph=False)
    return traced.get_concrete_function(_spec(rows))


def _row_shape(
    result: Any, num_rows: int, name: str, function: str = "preprocess"
) -> tuple[int, ...]:
    if not isinstance(result, tf.Tensor):
        raise InputError(
            f"{name}: expected `{function}` to make one tensor of a batch, but it "
            f"makes a {type(result).__name__}; join its parts, as with tf.concat"
        )
    if not result.dtype.is_floating and not result.dtype.is_integer:
        raise InputError(
            f"{name}: expected `{function}` to make numbers of a batch, but it makes "
            f"{result.dtype.name}; turn them into numbers"
        )
    if not result.shape.rank or result.shape[0] != num_rows:
        raise InputError(
            f"{name}: expected `{function}` to keep the {num_rows} rows of a batch, "
            f"but it makes shape {tuple(result.shape)} of them; it is given a "
            "batch, not a single row: keep the first axis"
        )
    return tuple(result.shape[1:])


def _agree(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    scale = max(float(np.abs(a[np.isfinite(a)]).max(initial=0.0)), 1.0)
    return a.shape == b.shape and bool(
        np.allclose(a, b, rtol=0.0, atol=tolerance * scale, equal_nan=True)
    )


def _try_export(
    preprocess: Preprocess, rows: tf.Tensor, expected: np.ndarray, name: str
) -> None:
    """Saves and loads it, as it will be within the exported models."""
    graph = _traced(preprocess, rows).graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    if _PYTHON & {node.op for node in nodes}:
        raise InputError(
            f"{name}: expected a `preprocess` that can be exported with the model, but "
            "it calls Python of this process (tf.numpy_function or tf.py_function), "
            "which a server does not have; use TensorFlow operations only"
        )
    archive = keras.export.ExportArchive()
    try:
        with tempfile.TemporaryDirectory() as folder:
            archive.add_endpoint("serve", preprocess, input_signature=[_spec(rows)])
            archive.write_out(folder, verbose=False)
            loaded = tf.saved_model.load(folder).serve(rows)
    except Exception as error:
        reason = " ".join(str(error).split())[:240]
        raise InputError(
            f"{name}: expected a `preprocess` that can be exported with the model, but "
            f"saving it failed: {reason}; use TensorFlow operations only, and return a "
            "Keras layer where there are tables or other state"
        ) from error
    if not _agree(expected, np.asarray(loaded, np.float64), _TOLERANCE):
        raise InputError(
            f"{name}: expected `preprocess` to do the same after export, but the saved "
            "one makes something else of the same inputs; use TensorFlow operations "
            "only, no Python state and no NumPy"
        )
