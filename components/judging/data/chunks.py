# SPDX-License-Identifier: Apache-2.0
"""The rows of one split as they are given: in memory, or in a tf.data.Dataset."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from components.judging.data.nesting import Path

Slices = Mapping[str, np.ndarray]
"""Values of each row of a split, by the name of what it is sliced by."""


class Chunk(NamedTuple):
    """Some rows."""

    inputs: Any
    """Nested arrays."""
    labels: np.ndarray
    """As the user gave them, one for each row."""


class Rows(Protocol):
    """The rows of one split, read as often as need be."""

    @property
    def where(self) -> str:
        """What messages call the split."""

    @property
    def columns(self) -> Mapping[Path, Sequence[str]]:
        """Names of the columns of arrays, where they have some."""

    @property
    def slices(self) -> Slices:
        """What the rows may be sliced by, beside their inputs."""

    def chunks(self) -> Iterator[Chunk]:
        """Reads the rows; at least one.

        Raises:
          InputError: If there are none, or they cannot be read.
        """

    def at(self, positions: np.ndarray) -> Any | None:
        """Returns the inputs of some rows; None where only `chunks` has them."""
