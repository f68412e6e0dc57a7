# SPDX-License-Identifier: Apache-2.0
"""Gradient clipping for a model that is compiled already."""

import keras

from components.guarded_trainer.schedule import rate


def clip(model: keras.Model, norm: float) -> bool:
    """Clips the gradient of all weights together to an L2 norm from now on.

    An optimizer that clips by itself is left as it is, unless it clips in the same
    way to a larger norm. The train step is traced anew, since it has been traced
    without.

    Args:
      model: A compiled model; its weights and those of its optimizer do not change.
      norm: Largest norm, of the gradients before loss scaling.

    Returns:
      Whether anything was changed.
    """
    # What is not compiled, or trains by a loop of its own, has no optimizer.
    optimizer = rate.inner(getattr(model, "optimizer", None))
    if optimizer is None or optimizer.clipnorm or optimizer.clipvalue:
        return False
    if optimizer.global_clipnorm and optimizer.global_clipnorm <= norm:
        return False
    optimizer.global_clipnorm = norm
    if model.train_function is not None:
        model.make_train_function(force=True)
    return True
