# SPDX-License-Identifier: Apache-2.0
"""What to know about a model on its device. The model is never changed."""

import keras

from components.causes import Severity
from components.findings import Finding, Subject, find


def small_batches(
    model: keras.Model, num_replicas: int, batch_size: int, limit: int
) -> Finding | None:
    """Returns information where BatchNorm sees few examples at a time.

    Args:
      model: A built model.
      num_replicas: Replicas that share a batch.
      batch_size: Examples per step, over all replicas.
      limit: Fewest examples per replica that go without a remark.
    """
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
        and not layer.synchronized
    ]
    per_replica = batch_size / num_replicas
    if num_replicas == 1 or not layers or per_replica >= limit:
        return None
    return find(
        "mode_gap",
        f"In each step, BatchNorm sees only the {per_replica:.4g} examples of its own "
        f"replica, of {batch_size} in all, in {len(layers)} layers.",
        severity=Severity.INFO,
        subject=Subject(split="train", layer=layers[0].path),
        measured=per_replica,
        limit=float(limit),
        unit="examples",
        remedy="Give the BatchNorm layers `synchronized=True`, or raise the batch size "
        "with the number of replicas.",
        found_by="GuardedTrainer",
    )


def half_precision(model: keras.Model) -> str | None:
    """Returns a sentence where a model answers in half precision.

    Keras' guide to mixed precision has the last layer compute in float32. Only a
    model with symbolic outputs tells.
    """
    for output in getattr(model, "outputs", None) or ():
        dtype = keras.backend.standardize_dtype(output.dtype)
        if dtype in ("bfloat16", "float16"):
            return (
                f"The model answers in {dtype}, which has few digits for probabilities;"
                ' give its last layer `dtype="float32"`.'
            )
    return None
