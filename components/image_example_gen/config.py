# SPDX-License-Identifier: Apache-2.0
"""How a folder of pictures becomes examples."""

import os
from typing import Annotated, Literal

import pydantic

from components.content.pictures import MAX_PIXELS
from components.settings import Settings

Name = Annotated[str, pydantic.Field(min_length=1)]
SplitName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
"""What TFX accepts as the name of a split."""
_UP = (os.curdir, os.pardir)


class ImageExampleGenConfig(Settings):
    """Names of the features and limits; the defaults suit most folders."""

    label_key: Name = "label"
    """Feature with the class: the name of the folder, UTF-8."""
    image_key: Name = "image"
    """Feature with the encoded picture."""
    path_key: Name = "path"
    """Feature with the file's path relative to the base folder, byte for byte."""
    splits: dict[SplitName, Name] | None = None
    """Folder of each split, relative to the base folder. None, the splits are
    `train`, `eval` and, if there, `test`, where folders `train` and `eval` are both
    there. An empty table, there are no splits, and every folder is a class."""
    whole_split: SplitName = "all"
    """Name of the one split where there are no split folders."""
    metadata: Name | None = None
    """CSV file with more features per picture: a column `path` (paths relative to
    the base folder, or file names) and one per feature. None, there are none."""
    on_unmatched: Literal["error", "ignore"] = "error"
    """What to do if a picture has no row in `metadata`, or a row no picture: stop; or
    write the picture without these features, leave the row out, and count both."""
    max_undecodable_share: Annotated[
        float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)
    ] = 0.01
    """Largest share of all pictures that may be undecodable; up to it they are
    skipped, counted and named, above it is an error. 1 %: real collections hold a few
    broken downloads, while a wrong folder or a failed copy breaks far more."""
    min_side: Annotated[int, pydantic.Field(ge=1)] = 2
    """Least width and height in pixels; a smaller picture counts as undecodable. 2:
    one pixel in width or height is a tracking pixel or placeholder and has no shape."""
    max_pixels: Annotated[int, pydantic.Field(ge=1, le=MAX_PIXELS)] = MAX_PIXELS
    """Most pixels (width x height); a larger picture counts as undecodable and is not
    decoded, so each worker needs at most 15 bytes of memory per pixel allowed (measured
    with Pillow 12). The default is what the other components can decode."""

    @pydantic.model_validator(mode="after")
    def _names_differ(self) -> "ImageExampleGenConfig":
        if len({self.label_key, self.image_key, self.path_key}) < 3:
            raise ValueError(
                "`label_key`, `image_key` and `path_key` must be three names, but are "
                f"{self.label_key!r}, {self.image_key!r} and {self.path_key!r}; rename "
                "one"
            )
        return self

    @pydantic.field_validator("splits")
    @classmethod
    def _folders_differ(cls, splits: dict[str, str] | None) -> dict[str, str] | None:
        folders = [os.path.normpath(folder) for folder in (splits or {}).values()]
        outside = [f for f in folders if os.path.isabs(f) or f.split(os.sep)[0] in _UP]
        if outside or len(set(folders)) < len(folders):
            raise ValueError(
                "`splits` must name a folder of its own for each split, below the base "
                f"folder, but the folders are {folders}; correct them"
            )
        return splits
