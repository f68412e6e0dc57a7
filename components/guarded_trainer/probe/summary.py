# SPDX-License-Identifier: Apache-2.0
"""From what was computed of the probe, piece by piece, to a reading."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from components.guarded_trainer import batch_norm
from components.guarded_trainer.modes import BatchNorm
from components.guarded_trainer.probe.layers import WatchedLayer
from components.records.training import LayerReading

SATURATED_FROM = 0.95
"""Share of the probe (times positions) for which a unit must be flat to count as
saturated: TheDeepChecker (Ben Braiek and Khomh 2023) takes the 95th percentile for
units that are stuck."""

_Numbers = Mapping[tuple[Hashable, str], list[np.ndarray]]
_Pieces = Sequence[tuple[int, _Numbers]]


def is_read(entry: WatchedLayer) -> bool:
    """Returns whether a layer has a place in a reading."""
    return bool(entry.weights) or entry.activation is not None


def of_predictions(probabilities: np.ndarray, class_ids: np.ndarray) -> dict[str, Any]:
    """Returns the fields of a reading that are about the predictions.

    Args:
      probabilities: Shape (examples, classes). A row with NaN is no prediction.
      class_ids: Shape (examples,).
    """
    num_classes = probabilities.shape[1]
    whole = np.isfinite(probabilities).all(axis=1)
    predicted = np.where(whole, probabilities.argmax(axis=1), -1)
    right = predicted == class_ids
    spread = probabilities.astype(np.float64).std(axis=0).max()
    return {
        "inference_accuracy": float(right.mean()),
        "predicted_shares": tuple(
            float((predicted == k).mean()) for k in range(num_classes)
        ),
        "true_shares": tuple(
            float((class_ids == k).mean()) for k in range(num_classes)
        ),
        "recalls": tuple(
            float(right[class_ids == k].mean()) if (class_ids == k).any() else None
            for k in range(num_classes)
        ),
        "output_spread": float(spread),
    }


def of_layers(
    entries: Sequence[WatchedLayer],
    adaptive_layers: Sequence[BatchNorm],
    pieces: _Pieces,
    update_ratios: Mapping[str, float],
) -> tuple[LayerReading, ...]:
    """Returns one reading for each layer with weights or activation, in order.

    Args:
      entries: The layers.
      adaptive_layers: The BatchNorm layers whose statistics were kept.
      pieces: Size, and numbers that `measures` put together, of each piece.
      update_ratios: By the name of the layer.
    """
    adaptive = {id(layer): layer for layer in adaptive_layers}
    readings = []
    with np.errstate(all="ignore"):  # NaN and infinity are a result here.
        for entry in filter(is_read, entries):
            weights = _weights(entry, pieces)
            outputs = _outputs(entry, pieces)
            layer = adaptive.get(id(entry.layer))
            drift = {} if layer is None else _drift(layer, pieces)
            readings.append(
                LayerReading(
                    layer=entry.name,
                    update_ratio=update_ratios.get(entry.name),
                    dead_share=_dead_share(entry, pieces),
                    saturated_share=_saturated_share(entry, pieces),
                    not_finite=_not_finite(entry, weights, outputs, pieces),
                    **weights,
                    **outputs,
                    **drift,
                )
            )
    return tuple(readings)


def _weights(entry: WatchedLayer, pieces: _Pieces) -> dict[str, float]:
    (_, first), *_ = pieces
    found = {}
    weights = first.get((entry.name, "trainable"), [])
    if weights:
        found["weight_norm"] = float(np.sqrt(np.sum(weights)))
    gradients = first.get((entry.name, "gradient"), [])
    if gradients:
        squares, sizes = np.sum(gradients, axis=0)
        count = sum(math.prod(v.shape) for v in entry.trainable)
        found["gradient_norm"] = float(np.sqrt(squares))
        found["gradient_mean"] = float(sizes / max(count, 1))
    return found


def _outputs(entry: WatchedLayer, pieces: _Pieces) -> dict[str, float]:
    parts = [
        x for _, numbers in pieces for x in numbers.get((entry.name, "outputs"), [])
    ]
    if not parts:
        return {}
    sizes, means, variances = np.stack(parts, axis=1)
    shares = sizes / max(sizes.sum(), 1.0)
    mean = float(shares @ means)
    variance = float(shares @ (variances + np.square(means - mean)))
    return {"output_mean": mean, "output_std": float(np.sqrt(variance))}


def _dead_share(entry: WatchedLayer, pieces: _Pieces) -> float | None:
    largest, _ = _by_unit(entry, "largest", pieces)
    # A unit with NaN has another trouble.
    return float((largest.max(axis=0) <= 0).mean()) if largest.size else None


def _saturated_share(entry: WatchedLayer, pieces: _Pieces) -> float | None:
    flat, sizes = _by_unit(entry, "flat", pieces)
    if not flat.size:
        return None
    share = np.average(flat, axis=0, weights=sizes)
    return float((share >= SATURATED_FROM).mean())


def _by_unit(
    entry: WatchedLayer, part: str, pieces: _Pieces
) -> tuple[np.ndarray, list[int]]:
    """Returns a row for each piece (and use), with its number of examples.

    A layer with weights has the same units whenever it is used; an activation that
    stands alone has others each time.
    """
    rows: list[np.ndarray] = []
    sizes: list[int] = []
    for size, numbers in pieces:
        uses = numbers.get((entry.name, part), [])
        if not (entry.weights and len({len(use) for use in uses}) == 1):
            uses = [np.concatenate(uses)] if uses else []
        rows += uses
        sizes += [size] * len(uses)
    return np.array(rows), sizes


def _drift(layer: BatchNorm, pieces: _Pieces) -> dict[str, float]:
    rows = [
        (size, use)
        for size, numbers in pieces
        for use in numbers.get((id(layer), "batch_norm"), [])
    ]
    if not rows:
        return {}
    sizes = [size for size, _ in rows]
    means, variances = np.stack([use for _, use in rows], axis=1)
    mean = np.average(means, axis=0, weights=sizes)
    spread = variances + np.square(means - mean)
    found = batch_norm.Statistics(mean, np.average(spread, axis=0, weights=sizes))
    (drift,) = batch_norm.drift((layer,), (found,), 0)
    return {
        "mean_shift": drift.mean_shift,
        "log_variance_ratio": drift.log_variance_ratio,
    }


def _not_finite(
    entry: WatchedLayer,
    weights: Mapping[str, float],
    outputs: Mapping[str, float],
    pieces: _Pieces,
) -> tuple[str, ...]:
    (_, first), *_ = pieces
    found = []
    squares = [
        *first.get((entry.name, "trainable"), []),
        *first.get((entry.name, "fixed"), []),
    ]
    # A sum of squares may be infinite where no weight is.
    if not np.isfinite(squares).all() and any(
        not np.isfinite(np.asarray(v)).all() for v in entry.weights
    ):
        found.append("weights")
    if not math.isfinite(weights.get("gradient_mean", 0.0)):
        found.append("gradients")
    if not math.isfinite(outputs.get("output_mean", 0.0)):
        found.append("outputs")
    return tuple(found)
