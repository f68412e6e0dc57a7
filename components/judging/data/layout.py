# SPDX-License-Identifier: Apache-2.0
"""A model's inputs, one array or many, as tf.Examples, and back."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import InputError
from components.judging.data import nesting, wire
from components.judging.data.leaves import Leaf
from components.judging.data.nesting import Path


@dataclasses.dataclass(frozen=True)
class Layout:
    """How rows of inputs are stored.

    Attributes:
      structure: Anything nested as the inputs are.
      leaves: How each array is stored.
    """

    structure: Any
    leaves: Mapping[Path, Leaf]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of all features."""
        return tuple(name for leaf in self.leaves.values() for name in leaf.features)

    @property
    def image_key(self) -> str | None:
        """The feature with pictures, if there is just one."""
        pictures = [leaf for leaf in self.leaves.values() if leaf.kind == "picture"]
        return pictures[0].features[0] if len(pictures) == 1 else None

    def given(self, inputs: Any) -> Any:
        """Returns rows as the model is given them."""
        return nesting.map_arrays(
            lambda path, rows: self.leaves[path].given(rows), inputs
        )

    def encode(self, inputs: Any, where: str) -> dict[str, list[wire.Feature]]:
        """Returns the features of rows, by name.

        Args:
          inputs: Nested arrays of N rows.
          where: What messages call them.

        Raises:
          OffLevelsError: If a number of a picture stands for no byte.
          InputError: If rows differ from the first ones in structure or shape.
        """
        arrays = dict(nesting.arrays_of(inputs))
        expected = {path: leaf.shape for path, leaf in self.leaves.items()}
        came = {path: array.shape[1:] for path, array in arrays.items()}
        if came != expected:
            raise InputError(
                f"{where}: expected each example to have the inputs of the first ones, "
                f"{_shapes(expected)}, but some have {_shapes(came)}; prepare all "
                "examples alike, and pad or crop them to one shape"
            )
        features: dict[str, list[wire.Feature]] = {}
        for path, array in arrays.items():
            features.update(self.leaves[path].encode(array))
        return features

    def decode(self, serialized: Sequence[bytes]) -> Any:
        """Returns rows as the model is given them, from serialized tf.Examples."""
        specs = {
            name: spec
            for leaf in self.leaves.values()
            for name, spec in leaf.parsing_spec.items()
        }
        parsed = tf.io.parse_example(np.array(serialized, object), specs)
        return nesting.map_arrays(
            lambda path, _: self.leaves[path].decode(parsed), self.structure
        )


def _shapes(shapes: Mapping[Path, tuple[int, ...]]) -> str:
    return ", ".join(
        f"{nesting.shown(path)} of shape {shape}" for path, shape in shapes.items()
    )
