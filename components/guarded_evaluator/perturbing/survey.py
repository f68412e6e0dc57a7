# SPDX-License-Identifier: Apache-2.0
"""Finds out, from a few training examples, which changes suit the data."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from tensorflow.core.example import example_pb2

from components.content.pictures import PictureError, open_picture
from components.guarded_evaluator.batching import content_hash
from components.guarded_evaluator.perturbing.changes import Change, make_changes
from components.guarded_evaluator.perturbing.noise import estimate_scales

NUM_SURVEYED = 256
"""Training examples that are looked at: a standard deviation is then known to 5 %,
and no more examples are held in memory."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What one example tells about the data.

    Attributes:
      key: Puts looks into an order that no sharding decides.
      numbers: Its float features, float32 of shape (n,).
      pictures: Names of the features that hold encoded pictures and nothing else.
    """

    key: int
    numbers: dict[str, np.ndarray]
    pictures: frozenset[str]


def look_at(serialized: bytes, label_key: str) -> Look:
    """Looks at one example; its label is no feature to change."""
    features = example_pb2.Example.FromString(serialized).features.feature
    numbers, pictures = {}, set()
    for name, feature in features.items():
        if name == label_key:
            continue
        if feature.float_list.value:
            numbers[name] = np.asarray(feature.float_list.value, np.float32)
        elif feature.bytes_list.value and all(
            map(_is_picture, feature.bytes_list.value)
        ):
            pictures.add(name)
    return Look(content_hash(serialized), numbers, frozenset(pictures))


def suitable_changes(looks: Iterable[Look]) -> dict[str, Change]:
    """Returns the changes that suit data that look like this, by name.

    The feature with the pictures is the first by name that holds them in most
    examples: some may be damaged. Empty where there are no examples.
    """
    ordered = sorted(looks, key=lambda look: look.key)
    names = sorted({name for look in ordered for name in look.pictures})
    image_keys = [
        name
        for name in names
        if 2 * sum(name in look.pictures for look in ordered) > len(ordered)
    ]
    scales = estimate_scales([look.numbers for look in ordered])
    return make_changes(image_keys[0] if image_keys else None, scales)


def _is_picture(value: bytes) -> bool:
    try:
        open_picture(value)
    except PictureError:
        return False
    return True
