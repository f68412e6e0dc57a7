# SPDX-License-Identifier: Apache-2.0
"""Any function from a batch to probabilities."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from components.errors import InputError
from components.judging.models import answers
from components.judging.models.asked import EnteringScale
from components.judging.models.in_memory import first_line
from components.judging.spec import ModelSpec
from components.labels import LabelValue
from components.records.training import BatchNormDrift


class FunctionModel:
    """A function, of which nothing but its answers is known."""

    labels: Sequence[LabelValue] = ()
    batch_size: int | None = None
    modes: Sequence[str] = ()
    modes_missing_because = (
        "a function can be asked in one mode only; give the Keras model itself, or set "
        "`require_modes` to false where there is none"
    )
    has_no_modes = False
    rounding = 0.0

    def __init__(
        self, function: Callable[[Any], Any], inputs: Any, *, from_logits: bool = False
    ):
        """Asks the function once, to see how many classes it answers.

        Args:
          function: Called with what x holds, some rows of it.
          inputs: A few real inputs.
          from_logits: Whether it answers logits.

        Raises:
          InputError: If it does not answer one number per class.
        """
        self._function = function
        self._from_logits = from_logits
        self._where = (
            f"model {getattr(function, '__qualname__', type(function).__name__)}"
        )
        classes = self.ask("", inputs).shape[1]
        self.spec = ModelSpec(inputs=(), takes_examples=False, num_classes=classes)

    def takes_examples(self, mode: str) -> bool:
        """Returns whether it is given serialized tf.Examples: never."""
        return False

    def ask(self, mode: str, inputs: Any) -> np.ndarray:
        """Returns the answers to a batch; see `AskedModel`."""
        try:
            outputs = self._function(inputs)
        except Exception as error:
            raise InputError(
                f"{self._where}: expected a function from a batch of x to "
                f"probabilities, but it raises {type(error).__name__} "
                f"({first_line(error)}); mend it, or give inputs that it takes"
            ) from error
        output = answers.choose_output(outputs, self._where)
        return answers.by_class(output, self._where, from_logits=self._from_logits)

    def drift(self, batches: Iterable[Any]) -> tuple[BatchNormDrift, ...]:
        """Returns nothing: a function cannot be looked into."""
        return ()

    def entering(self, inputs: Any) -> EnteringScale | None:
        """Returns None: a function cannot be looked into."""
        return None
