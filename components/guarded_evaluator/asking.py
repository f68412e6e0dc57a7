# SPDX-License-Identifier: Apache-2.0
"""Loads a SavedModel and asks it in this process; says clearly why that fails."""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_evaluator.models import JudgedModel

_MISSING = re.compile(r"Feature: (?P<name>.+?) \(data type: (?P<dtype>\w+)\)")
_UNFIT = re.compile(r"Key: (?P<name>.+?)(?:, Index: \d+)?\.\s+(?P<reason>[^\n]+)")
"""What TensorFlow says of an example that lacks a feature, or whose feature has another
type or length than the model's graph parses."""
_WHILE_RUNNING = re.compile(r" \[while running .*$", re.DOTALL)


class Asked:
    """A SavedModel in memory."""

    def __init__(self, model: JudgedModel):
        """Loads the model.

        Args:
          model: How it is asked.

        Raises:
          InputError: If it cannot be loaded, such as one that is cut off.
        """
        self._model = model
        try:
            self._loaded = tf.saved_model.load(model.path)
        except Exception as error:  # TensorFlow raises what a damaged file leads to.
            raise InputError(
                f"{model.path}: expected a SavedModel that TensorFlow "
                f"{tf.__version__} can load, but it cannot ({type(error).__name__}: "
                f"{_one_line(error)}); it may be cut off or need operations that are "
                "not there: export it again"
            ) from error

    def ask(self, signature: str, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name.

        Args:
          signature: Its name.
          examples: At least one serialized tf.Example.

        Raises:
          InputError: If the model does not take the examples.
        """
        try:
            outputs = self._loaded.signatures[signature](tf.constant(list(examples)))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise explained(error, self._model) from error
        return {name: np.asarray(output) for name, output in outputs.items()}

    def probabilities(self, examples: Sequence[bytes]) -> np.ndarray:
        """Returns the model's answers, float64 of shape (B, K).

        Raises:
          InputError: As `ask`.
        """
        outputs = self.ask(self._model.signature, examples)
        key = self._model.prediction_key or next(iter(outputs))
        return outputs[key].astype(np.float64)


def try_models(models: Iterable[JudgedModel], example: bytes, num_classes: int) -> None:
    """Asks every model about one example, before Beam asks about all of them.

    What is wrong with a model then shows at once and by name. Models are loaded one
    after the other.

    Args:
      models: The models.
      example: A serialized tf.Example.
      num_classes: Number of classes K.

    Raises:
      InputError: If one cannot be loaded, does not take the example, or answers
        something else than K numbers.
    """
    by_path: dict[str, list[JudgedModel]] = {}
    for model in models:
        by_path.setdefault(model.path, []).append(model)
    for path, signatures in by_path.items():
        asked = Asked(signatures[0])
        for model in signatures:
            outputs = asked.ask(model.signature, [example])
            answer = outputs[model.prediction_key or next(iter(outputs))]
            if answer.shape != (1, num_classes) or answer.dtype.kind not in "fiu":
                raise InputError(
                    f"{path}: expected signature {model.signature!r} to answer an "
                    f"example with the probabilities of {num_classes} classes, but it "
                    f"answers {answer.dtype} of shape {answer.shape}; export the "
                    "model with one probability per class"
                )


def explained(error: BaseException, model: JudgedModel) -> InputError:
    """Makes one clear line of what TensorFlow raised when a model was asked."""
    text = str(error)
    missing, unfit = _MISSING.search(text), _UNFIT.search(text)
    if missing:
        came = (
            f"an example lacks the feature {missing['name']!r} ({missing['dtype']}) "
            "that the model parses"
        )
    elif unfit:
        came = (
            f"the model parses the feature {unfit['name']!r} otherwise "
            f"({' '.join(unfit['reason'].split()).rstrip('.')})"
        )
    else:
        came = f"it cannot answer ({type(error).__name__}: {_one_line(error)})"
    return InputError(
        f"{model.path}: expected signature {model.signature!r} to take the examples, "
        f"but {came}; judge the model on data with the features that it was trained on"
    )


def plain(error: Exception, model: JudgedModel) -> Exception:
    """Returns what went wrong in a pipeline as it would have been raised outside.

    Beam adds where it ran, and TFMA prints whole batches.
    """
    if isinstance(error, InputError):
        return InputError(_WHILE_RUNNING.sub("", str(error)))
    for raised in _chain(error):
        text = str(raised)
        if _MISSING.search(text) or (
            isinstance(raised, tf.errors.OpError) and _UNFIT.search(text)
        ):
            return explained(raised, model)
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _one_line(error: BaseException) -> str:
    """Returns what matters of TensorFlow's message."""
    lines = [line.strip() for line in str(error).splitlines()]
    noise = ("", "Graph execution error:", "<stack traces unavailable>")
    telling = [
        line
        for line in lines
        if line not in noise and not line.startswith(("Detected at node", "[[{{node"))
    ]
    return (telling or ["no reason given"])[0][:300]
