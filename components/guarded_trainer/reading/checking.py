# SPDX-License-Identifier: Apache-2.0
"""What is refused before the first step, and in which words."""

from typing import Any

import numpy as np

from components.errors import InputError
from components.guarded_trainer.inputs import ModelInputs
from components.labels import ClassTable


def check_classes(classes: ClassTable) -> None:
    """Refuses fewer than two classes.

    Raises:
      InputError: If there are fewer.
    """
    if len(classes.labels) < 2:
        raise InputError(
            f"label {classes.label_key!r}: expected at least two classes, but the "
            f"data have {', '.join(classes.class_names) or 'none'}; give the training "
            "split examples of each class"
        )


def check_batch_size(batch_size: int, num_fitted: int) -> None:
    """Refuses to train on less than one batch.

    Such a training takes one small step per epoch, at a rate that was chosen for
    another batch size: nothing that is measured of it would tell of the next one.

    Raises:
      InputError: If a batch holds more examples than there are to fit.
    """
    if num_fitted < batch_size:
        raise InputError(
            f"batch_size: expected at most {num_fitted}, the number of examples to "
            f"fit, but it is {batch_size}; set `batch_size` to {num_fitted} or less, "
            "or give more examples"
        )


def check_labels(class_ids: np.ndarray, classes: ClassTable) -> None:
    """Refuses labels outside the class table.

    Args:
      class_ids: Shape (batch,); -1 for an unknown label.
      classes: The classes.

    Raises:
      InputError: If a label is unknown.
    """
    unknown = int((class_ids < 0).sum())
    if unknown:
        raise InputError(
            f"label {classes.label_key!r}: expected one of "
            f"{', '.join(classes.class_names[:8])}, but {unknown} examples carry "
            "another; correct the labels, or make the class table from these data"
        )


def check_finite(leaves: list[np.ndarray], inputs: ModelInputs) -> None:
    """Refuses NaN and infinity.

    Args:
      leaves: The arrays that make a batch of inputs, each of shape (batch, ...).
      inputs: Where they come from.

    Raises:
      InputError: If a number is not finite; names its feature where it can be told.
    """
    bad = [~np.isfinite(leaf) for leaf in leaves if leaf.dtype.kind == "f"]
    if not any(part.any() for part in bad):
        return
    rows = np.any([part.reshape(len(part), -1).any(axis=1) for part in bad], axis=0)
    raise InputError(
        f"{_name(bad, inputs)}: expected finite numbers, but {int(rows.sum())} "
        "training examples hold NaN or infinity; fill in or drop them"
    )


def _name(bad: list[np.ndarray], inputs: ModelInputs) -> str:
    if inputs.image:
        return f"feature {inputs.image.feature!r}"
    names: tuple[Any, ...] = inputs.entry_names
    if len(bad) == 1 and bad[0].shape[1:] == (len(names),):
        return f"feature {names[int(np.argmax(bad[0].any(axis=0)))]!r}"
    return "the inputs that `preprocess` returns"
