# SPDX-License-Identifier: Apache-2.0
"""Shrinks pictures in the step that parses the examples: no pixels leave it."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from components.content.examples import ParsedExample
from components.leakage.parse import SplitExample
from components.leakage.perceptual import thumbnail
from components.leakage.perceptual.pictures import PictureModel

BY_LABEL = "by_label"
"""Tag of the small pictures of the reference split by label."""


def describe_picture(example: ParsedExample, mirrored: bool) -> np.ndarray:
    """Returns the descriptor of an example's picture.

    Raises:
      ValueError: If it has none.
    """
    if example.pixels is None:
        raise ValueError(
            f"record {example.position} of {example.file} must have a picture, but has "
            "none; do not change the examples while they are read"
        )
    return PictureModel(mirrored).describe(example.pixels)


class DescribePictures(beam.DoFn):
    """Turns examples with a picture into descriptors.

    Main output: (split, fingerprint, record digest, descriptor). Output `by_label`:
    (label, uint8 picture of 32 x 32 pixels), of the reference split only.
    """

    def __init__(self, reference_split: str, mirrored: bool):
        """Says which split is the reference, and whether mirror images are near."""
        super().__init__()
        self._reference_split = reference_split
        self._mirrored = mirrored

    def process(self, element: SplitExample) -> Iterator[Any]:
        """Describes one example."""
        split, example = element
        if example.pixels is None:
            return
        descriptor = describe_picture(example, self._mirrored)
        yield split, example.fingerprint, example.record_digest, descriptor
        if split == self._reference_split and example.label is not None:
            small = thumbnail.rgb(descriptor[np.newaxis])[0]
            yield beam.pvalue.TaggedOutput(BY_LABEL, (example.label, small))
