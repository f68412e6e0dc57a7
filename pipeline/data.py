# SPDX-License-Identifier: Apache-2.0
"""The `data` section of `guard.yaml`: where the examples are, and what is in them."""

import csv
from pathlib import Path
from typing import Literal

import pydantic

from components.content.formats import ENDINGS, DataFormat, format_of
from components.errors import InputError
from components.example_splitter.config import By, SplitConfig
from components.guarded_trainer.config import ImageInput
from components.image_example_gen.config import ImageExampleGenConfig
from components.image_example_gen.folder import looks_like_pictures
from components.settings import Settings

PATH_KEY = "path"
"""Feature with the path of a picture, relative to the data folder."""


class DataConfig(Settings):
    """Where the examples are, and what is in them."""

    path: Path
    """Folder with the data files, or with one sub-folder of pictures per class; in
    either case perhaps below sub-folders `train` and `eval`."""
    label: str = pydantic.Field(default="label", min_length=1)
    """Name of the label: integers or texts. Of pictures, it is the sub-folder."""
    format: DataFormat | None = None
    """Format of the files; by default told by their endings."""
    image: ImageInput | None = None
    """The feature with encoded images, where the model is given images."""
    features: tuple[str, ...] | None = None
    """Numeric features that the model is given; by default all."""
    ignore: tuple[str, ...] = ()
    """Features that are neither inputs nor content, such as ids and paths."""
    group: str | None = pydantic.Field(default=None, min_length=1)
    """Feature that names whom or what an example is of (patient, user, scene): the
    data are split by it, and no group may be on both sides. No input."""
    time: str | None = pydantic.Field(default=None, min_length=1)
    """Feature that says when an example came to be, a number or an ISO 8601 text: the
    newest are set apart for evaluation, and none may be older than the training
    data. No input."""
    metadata: Path | None = None
    """CSV file with more about each picture, such as its group: a column `path`,
    relative to the data folder, and one per feature."""
    on_unmatched: Literal["error", "ignore"] = "error"
    """What to do if a picture has no row in `metadata`, or a row no picture."""
    max_undecodable_share: float = pydantic.Field(default=0.01, ge=0, le=1)
    """Largest share of the pictures that may be undecodable: they are skipped, counted
    and named; more is an error."""
    eval_share: float = pydantic.Field(default=0.2, gt=0, lt=1)
    """Share of the examples that are set apart for evaluation, where there are no
    sub-folders `train` and `eval`: by time or by group where these are named, else
    by a hash of the content, so that equal examples stay together."""

    @property
    def is_split(self) -> bool:
        """Whether the folder has the sub-folders `train` and `eval`."""
        return (self.path / "train").is_dir() and (self.path / "eval").is_dir()

    @property
    def holds_pictures(self) -> bool:
        """Whether the folder has sub-folders of pictures."""
        return self.format == "images" or (
            self.format is None and looks_like_pictures(self.path)
        )

    @property
    def image_key(self) -> str | None:
        """The feature with encoded images; None where there is none."""
        return self.image.feature if self.image else None

    @property
    def no_input(self) -> tuple[str, ...]:
        """Features that the model is not given: those to ignore, group and time."""
        named = (*self.ignore, self.group, self.time)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def no_content(self) -> tuple[str, ...]:
        """Features that are no content, but for group and time.

        Raises:
          InputError: If the metadata of the pictures cannot be read.
        """
        if not self.holds_pictures:
            return self.ignore
        # What is known beside a picture does not tell two pictures apart.
        named = (*self.ignore, PATH_KEY, *_columns(self.metadata))
        return tuple(
            name
            for name in dict.fromkeys(named)
            if name not in (self.group, self.time, self.label)
        )

    @property
    def pictures(self) -> ImageExampleGenConfig:
        """How pictures are read.

        Raises:
          InputError: If the size that the model wants is not given.
        """
        if self.image is None:
            raise InputError(
                f"{self.path}: expected the size that the model wants its pictures in, "
                "but `data.image` is missing; set `image: {height: 64, width: 64}`"
            )
        return ImageExampleGenConfig(
            label_key=self.label,
            image_key=self.image.feature,
            path_key=PATH_KEY,
            metadata=str(self.metadata) if self.metadata else None,
            on_unmatched=self.on_unmatched,
            max_undecodable_share=self.max_undecodable_share,
        )

    @property
    def split(self) -> SplitConfig:
        """How the examples are split.

        Raises:
          InputError: If both a group and a time are named.
        """
        if self.group and self.time:
            raise InputError(
                "data: expected either a group or a time to split by, but both `group: "
                f"{self.group}` and `time: {self.time}` are given; put one under "
                "`ignore`, or bring sub-folders `train` and `eval`"
            )
        return SplitConfig(
            by=By.GROUP if self.group else By.TIME if self.time else By.CONTENT,
            ignore=self.no_content,
            image=self.image_key,
            group=self.group,
            time=self.time,
            eval_share=self.eval_share,
        )


def _columns(metadata: Path | None) -> tuple[str, ...]:
    """Returns the columns of the CSV file about pictures; none without one."""
    if metadata is None:
        return ()
    try:
        with metadata.open(encoding="utf-8-sig", newline="") as file:
            return tuple(next(csv.reader(file), ()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{metadata}: expected a CSV file in UTF-8, but {error}; correct "
            "`data.metadata`"
        ) from error


def data_format(data: DataConfig) -> DataFormat:
    """Returns the format of the data files.

    Raises:
      InputError: If the folder is missing, holds no data files, or files of
        several formats.
    """
    if not data.path.is_dir():
        raise InputError(
            f"{data.path}: expected a folder with data files, but there is "
            f"{'a file' if data.path.exists() else 'nothing'}; correct `data.path`"
        )
    if data.holds_pictures:
        return "images"
    folders = (
        [data.path / s for s in ("train", "eval")] if data.is_split else [data.path]
    )
    found: set[DataFormat] = set()
    for folder in folders:
        formats = {format_ for p in folder.iterdir() if (format_ := format_of(p))}
        if not formats and not (data.format and any(folder.iterdir())):
            raise InputError(
                f"{folder}: expected data files ending in {', '.join(ENDINGS)} (or "
                "those with .gz), but there are none; correct `data.path`, or set "
                "`data.format`"
            )
        found |= formats
    if data.format:
        return data.format
    if len(found) > 1:
        raise InputError(
            f"{data.path}: expected data files of one format, but there are "
            f"{' and '.join(sorted(found))}; move the others away"
        )
    return found.pop()
