# SPDX-License-Identifier: Apache-2.0
"""What comes out of a model, as one number per class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from components.errors import InputError

PROBABILITIES = "probabilities"
"""Name of the output that counts where a model has several."""


def choose_output(outputs: Any, where: str) -> Any:
    """Returns the output with the probabilities.

    Args:
      outputs: What a model answers: one output, or several in a dict, list or tuple.
      where: Name of the model, for messages.

    Raises:
      InputError: If there are several, and none is called `probabilities`.
    """
    if isinstance(outputs, Mapping):
        if PROBABILITIES in outputs:
            return outputs[PROBABILITIES]
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        named = ", ".join(map(str, sorted(outputs))) or "none"
    elif isinstance(outputs, list | tuple):
        if len(outputs) == 1:
            return outputs[0]
        named = f"{len(outputs)} without names"
    else:
        return outputs
    raise InputError(
        f"{where}: expected one output, or one called {PROBABILITIES!r}, but the model "
        f"has {named}; let it answer the probabilities alone, or under that name"
    )


def num_classes(shape: tuple[int | None, ...], where: str) -> int:
    """Returns how many classes outputs of a shape, batch included, stand for.

    Two where there is but one unit: it stands for the second class.

    Raises:
      InputError: If it is not (batch, K), (batch, 1) or (batch,).
    """
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        return 2
    if len(shape) != 2 or not shape[1]:
        raise InputError(
            f"{where}: expected outputs of shape (batch, number of classes), but they "
            f"are of shape ({', '.join('?' if n is None else str(n) for n in shape)}); "
            "judge a classifier with one probability per class"
        )
    return shape[1]


def by_class(outputs: Any, where: str, *, from_logits: bool = False) -> np.ndarray:
    """Returns outputs as one number per class, float64 of shape (B, K).

    They are left as they are, whether or not they are probabilities, so that what a
    client would be served is judged; one unit is the second of two classes.

    Args:
      outputs: One output: shape (B, K), or (B, 1) or (B,) for two classes.
      where: Name of the model, for messages.
      from_logits: Whether to make probabilities of logits, by softmax or, of one
        unit, sigmoid.

    Raises:
      InputError: If they are of another shape, or no floating-point numbers.
    """
    answers = np.asarray(outputs)
    # Half precision of TensorFlow's own making is of no kind that NumPy knows.
    if answers.dtype.kind not in "fV" or answers.dtype.names:
        raise InputError(
            f"{where}: expected probabilities, floating-point numbers, but the outputs "
            f"are of type {answers.dtype}; let the model answer probabilities, not "
            "the classes that it chooses"
        )
    num_classes(answers.shape, where)
    # Not -1 for the units: there may be no rows.
    units = answers.astype(np.float64).reshape(len(answers), *answers.shape[1:] or (1,))
    if units.shape[1] == 1:
        second = special.expit(units) if from_logits else units
        return np.concatenate([1.0 - second, second], axis=1)
    return special.softmax(units, axis=1) if from_logits else units
