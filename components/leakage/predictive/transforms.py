# SPDX-License-Identifier: Apache-2.0
"""Draws the sample for single features, and sums up pictures, with Beam."""

from collections.abc import Collection, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from components.content.examples import ParsedExample
from components.content.fingerprint import fingerprint
from components.content.sampling import CountingBottomKFn, keep_smallest
from components.leakage.predictive.rows import SampleRow, make_row
from components.leakage.predictive.variance import PictureSums, add_picture, merge

MAX_CELLS = 5_000_000
"""Values in a sample: 40 MB as float64, 20,000 rows of 250 features."""


class SampleRows(beam.PTransform):
    """Draws a sample of distinct contents, each with the number of its examples.

    Input: a PCollection of `ParsedExample` of the reference split; they are not
    shuffled. Output: a PCollection of exactly one list of (key, `SampleRow`, count),
    sorted by key, for `Sample`; the same for any sharding.

    The key is a hash of content and label, so that copies of an example count once:
    an honest feature tells the label of a copy whose original it has seen.
    """

    def __init__(self, label_key: str, no_content: Collection[str], size: int):
        """Says what to draw.

        Args:
          label_key: Name of the label feature.
          no_content: Names of the features that a model does not see.
          size: Rows to draw at most; fewer where they hold more than `MAX_CELLS`
            values together.
        """
        super().__init__()
        self._label_key = label_key
        self._no_content = tuple(no_content)
        self._size = size

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Wires the steps."""
        return (
            examples
            | "MakeRows"
            >> beam.ParDo(_MakeRowFn(self._label_key, self._no_content, self._size))
            | "DrawSample"
            >> beam.CombineGlobally(CountingBottomKFn(self._size, MAX_CELLS, _cells))
        )


def _cells(row: SampleRow) -> int:
    return row.cells


class _MakeRowFn(beam.DoFn):
    """Packs those examples that can still be in the sample; most others cannot."""

    def __init__(self, label_key: str, no_content: tuple[str, ...], size: int):
        self._label_key = label_key
        self._no_content = no_content
        self._size = size

    def start_bundle(self) -> None:
        self._keys: set[bytes] = set()
        self._largest: bytes | None = None

    def process(self, example: ParsedExample) -> Iterator[tuple[bytes, SampleRow]]:
        if example.label is None:
            return
        key = fingerprint({"": [example.fingerprint, example.label.encode()]})
        if self._largest is not None and key > self._largest:
            return
        self._keys.add(key)
        if len(self._keys) >= 2 * self._size:
            self._keys = set(keep_smallest(self._keys, self._size))
            self._largest = max(self._keys)
        yield (
            key,
            make_row(
                example.features,
                example.label,
                label_key=self._label_key,
                no_content=self._no_content,
                file=example.file,
                position=example.position,
            ),
        )


class SumPicturesFn(beam.CombineFn):
    """Sums up the pictures of one class; for `CombinePerKey` by label.

    Input: a small picture, uint8 of shape (height, width, 3) or (height, width).
    Output: `PictureSums`. All sums are integers, so the result is the same for any
    sharding.
    """

    def create_accumulator(self) -> PictureSums:
        """Returns sums of nothing."""
        return PictureSums()

    def add_input(self, sums: PictureSums, picture: np.ndarray) -> PictureSums:
        """Adds one picture."""
        return add_picture(sums, picture)

    def merge_accumulators(self, many: Any) -> PictureSums:
        """Adds up sums."""
        return merge(many)

    def extract_output(self, sums: PictureSums) -> PictureSums:
        """Returns the sums."""
        return sums
