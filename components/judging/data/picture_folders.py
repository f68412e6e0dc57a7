# SPDX-License-Identifier: Apache-2.0
"""Reads folders of pictures, one sub-folder per class, as ImageExampleGen does."""

import dataclasses
import os
from collections.abc import Iterator, Sequence

from absl import logging

from components.content.columns import Column
from components.content.pictures import PictureError
from components.errors import InputError
from components.image_example_gen import summary
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.folder import Kind, shown, walk
from components.image_example_gen.layout import ClassFolder, find_layout
from components.image_example_gen.reading import read_picture
from components.image_example_gen.survey import survey
from components.judging.data.batches import Batch

PATH_KEY = "path"
"""Feature with the path of a picture, relative to its folder."""
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class PictureFolder:
    """A folder with one sub-folder of pictures per class; a `Source`.

    Attributes:
      where: Path that the user gave.
      config: Names of the features, and limits.
    """

    where: str
    config: ImageExampleGenConfig

    def batches(self) -> Iterator[Batch]:
        """Reads the pictures, sorted by their paths.

        Up to `max_undecodable_share` of them may be undecodable; they are left out.
        """
        layout = find_layout(self.where)
        if len(layout.splits) > 1:
            raise InputError(
                f"{self.where}: expected one folder of pictures per class, but there "
                f"are the splits {', '.join(layout.splits)}; give the folder of one "
                "split"
            )
        found, _ = survey(self.where, layout, None)
        summary.require_usable(found, self.where, self.config)
        tally, start = summary.Tally(), 0
        for folder in layout.class_folders:
            for rows in self._rows(folder, tally):
                yield self._batch(rows, folder.label, start)
                start += len(rows)
        # What was counted by its ending alone is now known.
        result = found.with_facts(tally.facts())
        summary.require_usable(result, self.where, self.config)
        if result.undecodable.count:
            logging.warning("Pictures in %s: %s", self.where, result)

    def _rows(
        self, folder: ClassFolder, tally: summary.Tally
    ) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yields paths and encoded pictures of a class, some at a time."""
        root = os.fsencode(self.where)
        rows: list[tuple[bytes, bytes]] = []
        for path in sorted(
            each.path for each in walk(root, folder.path) if each.kind is Kind.PICTURE
        ):
            try:
                picture = read_picture(os.path.join(root, path), self.config)
            except PictureError as error:
                tally.add(f"{shown(path)} ({error})", "undecodable")
                continue
            tally.add("", "example", folder.split, folder.label)
            rows.append((path, picture.encoded))
            if len(rows) == _BATCH:
                yield rows
                rows = []
        if rows:
            yield rows

    def _batch(
        self, rows: Sequence[tuple[bytes, bytes]], label: str, start: int
    ) -> Batch:
        offsets = list(range(len(rows) + 1))
        columns = {
            self.config.label_key: Column(offsets, [label.encode()] * len(rows)),
            self.config.image_key: Column(offsets, [picture for _, picture in rows]),
            self.config.path_key: Column(offsets, [path for path, _ in rows]),
        }
        return Batch(columns, len(rows), self.where, start)
