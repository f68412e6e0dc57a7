# SPDX-License-Identifier: Apache-2.0
"""What a recipe is: a model, its data and a plan, and what must come of them."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Data:
    """Rows to fit and rows to judge by."""

    x: Any
    y: np.ndarray
    x_eval: Any
    y_eval: np.ndarray

    @property
    def num_classes(self) -> int:
        return int(self.y_eval.max()) + 1

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape[1:]

    @property
    def prior(self) -> float:
        """Accuracy of always answering the class most frequent in training."""
        ids = self.y.astype(int)
        return float(np.mean(self.y_eval == np.bincount(ids).argmax()))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training.

    Attributes:
      name: Unique.
      data: Makes the data of a seed.
      model: Makes the model for the data.
      causes: The causes that explain the failure, any of which may come first;
        empty for a healthy training.
      repairable: Whether the trainer is expected to mend it.
      like: Name of the healthy recipe to which a mended one is held.
      config: Fields of TrainingConfig that differ from the sweep's own.
    """

    name: str
    data: Callable[[int], Data]
    model: Callable[[Data], keras.Model]
    causes: tuple[str, ...] = ()
    repairable: bool = False
    like: str | None = None
    config: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def half(self) -> str:
        """`development`, or `held back`: limits were never chosen by these."""
        digest = hashlib.sha256(self.name.encode()).digest()
        return "held back" if digest[0] % 2 else "development"
