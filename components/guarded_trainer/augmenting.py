# SPDX-License-Identifier: Apache-2.0
"""Chooses between what the configuration and what the user's code vary inputs by."""

from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.guarded_trainer.augmentation.pictures import Augment, make_augment
from components.guarded_trainer.augmentation.settings import (
    Augmentation,
    AugmentationConfig,
)

_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""Ranges of pixels that are in use, in the order in which they are tried."""


def preset_augment(config: AugmentationConfig, rows: Any) -> Augment | None:
    """Returns what the configuration asks inputs to be varied by; None for nothing.

    Args:
      config: What is asked for.
      rows: Some inputs, shape (batch, ...), which tell shape and range of the pixels.

    Raises:
      InputError: If they are no pictures, but something is asked for.
    """
    if config.chosen == Augmentation():
        return None
    if not isinstance(rows, tf.Tensor | np.ndarray):
        return make_augment(config, rows)
    return make_augment(config, tuple(rows.shape[1:]), value_range(np.asarray(rows)))


def value_range(pixels: np.ndarray) -> tuple[float, float]:
    """Returns the range that pixels are scaled to, told by some of them.

    That is [0, 255] for bytes; else the narrowest in use that holds them, or their own.
    """
    if pixels.dtype.kind in "iu":
        return 0.0, 255.0
    low, high = float(pixels.min(initial=0.0)), float(pixels.max(initial=0.0))
    for smallest, largest in _RANGES:
        if smallest <= low and high <= largest:
            return smallest, largest
    return low, high


def refuse_both(config: AugmentationConfig, where: str) -> None:
    """Refuses a preset where the user's code varies inputs itself.

    Raises:
      InputError: If something is asked for.
    """
    if config.chosen != Augmentation():
        raise InputError(
            f"training.augmentation: expected none beside the function `augment` of "
            f"{where}, which would vary inputs a second time, but got preset "
            f"{config.preset!r}; leave out one of both"
        )
