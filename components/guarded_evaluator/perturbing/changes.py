# SPDX-License-Identifier: Apache-2.0
"""Harmless changes of a serialized tf.Example.

A model that serves must not mind them: the next camera, the next version of a resize
or the last digit of a sensor brings them about. Every change is a function of the
example's bytes alone, so that the changed examples are the same wherever and in
whatever order they are made.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np
from tensorflow.core.example import example_pb2

from components.guarded_evaluator.perturbing.noise import Scale, add_noise
from components.guarded_evaluator.perturbing.pictures import (
    PICTURE_CHANGES,
    PictureChange,
    change_encoded,
)

Change = Callable[[bytes], bytes | None]
"""Turns a serialized tf.Example into a changed one; None where the change does not
apply: the feature is absent, the picture damaged or of a kind that is left alone."""

_NOISE = "noise"
CHANGE_NAMES = (*PICTURE_CHANGES, _NOISE)
"""All changes that there are."""


def make_changes(
    image_key: str | None, scales: Mapping[str, Scale]
) -> dict[str, Change]:
    """Returns the changes that suit some examples, by name.

    Args:
      image_key: Feature that holds an encoded picture; None where there is none.
      scales: What each float feature varies by, as `noise.estimate_scales` finds out;
        other features are left alone.

    Returns:
      Some of `CHANGE_NAMES`; empty where there is nothing to change. They can be
      pickled.
    """
    changes: dict[str, Change] = {}
    if image_key is not None:
        for name, change in PICTURE_CHANGES.items():
            changes[name] = functools.partial(
                _change_picture, image_key=image_key, change=change
            )
    if scales:
        changes[_NOISE] = functools.partial(_change_numbers, scales=dict(scales))
    return changes


def _change_picture(
    serialized: bytes, image_key: str, change: PictureChange
) -> bytes | None:
    example = example_pb2.Example.FromString(serialized)
    pictures = example.features.feature[image_key].bytes_list.value
    if not pictures:
        return None
    for i, encoded in enumerate(pictures):
        changed = change_encoded(encoded, change)
        if changed is None:
            return None
        pictures[i] = changed
    return example.SerializeToString(deterministic=True)


def _change_numbers(serialized: bytes, scales: Mapping[str, Scale]) -> bytes | None:
    example = example_pb2.Example.FromString(serialized)
    features = example.features.feature
    any_changed = False
    for name in sorted(scales.keys() & features.keys()):
        numbers = features[name].float_list.value
        # One direction for each number, also where features hold equal numbers.
        seed = name.encode() + b"\0" + serialized
        changed = add_noise(np.asarray(numbers, np.float32), scales[name], seed)
        if changed is not None:
            numbers[:] = changed.tolist()
            any_changed = True
    return example.SerializeToString(deterministic=True) if any_changed else None
