# SPDX-License-Identifier: Apache-2.0
"""How the example splitter sets examples apart for evaluation."""

import enum
from typing import Annotated

import pydantic

from components.settings import Settings

Name = Annotated[str, pydantic.Field(min_length=1)]
SplitName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_-]+$")]


class By(str, enum.Enum):
    """What is kept together, so that it cannot leak."""

    CONTENT = "content"
    """Examples of equal content: those that differ in their label, in an ignored
    feature or in how they are stored, and in nothing else."""
    GROUP = "group"
    """Examples of one group, such as a patient, a user or a scene."""
    TIME = "time"
    """The past: every example for evaluation is newer than every one to train on."""


class SplitConfig(Settings):
    """How examples are split in two."""

    by: By = By.CONTENT
    """What is kept together."""
    ignore: tuple[Name, ...] = ()
    """Features that are no content, such as ids and paths. `group` and `time` are no
    content either, where they are named."""
    image: Name | None = None
    """The feature with encoded images, whose content are its pixels. None, every
    feature whose bytes begin like an image file is tried. An image that cannot be
    decoded counts as it is stored: to report it is up to the LeakageValidator."""
    group: Name | None = None
    """The feature that names the group of an example. TFX's own ExampleGen calls it
    `partition_feature_name`; its split is neither stratified nor of a given share."""
    time: Name | None = None
    """The feature that says when an example came to be, a number or an ISO 8601
    text."""
    eval_share: float = pydantic.Field(default=0.2, gt=0, lt=1, allow_inf_nan=False)
    """Share of the contents or groups of each class, or with `time` of the examples,
    that are set apart for evaluation. A fifth, as most textbooks have it."""
    salt: str = ""
    """Goes into each hash: another text, another split of the same shares. It has no
    effect on a split by time."""
    train_split: SplitName = "train"
    """Name of the split to train on; TFX's name for it."""
    eval_split: SplitName = "eval"
    """Name of the split to evaluate on; TFX's name for it."""

    @property
    def no_content(self) -> tuple[str, ...]:
        """Features that are no content: the ignored ones, the group and the time."""
        named = (*self.ignore, self.group, self.time)
        return tuple(dict.fromkeys(name for name in named if name))

    @pydantic.model_validator(mode="after")
    def _names_what_it_needs(self) -> "SplitConfig":
        if self.by is By.GROUP and self.group is None:
            raise ValueError(
                "`by: group` needs the name of the feature in `group`, but it is not "
                "given; name the feature"
            )
        if self.by is By.TIME and self.time is None:
            raise ValueError(
                "`by: time` needs the name of the feature in `time`, but it is not "
                "given; name the feature"
            )
        if self.image is not None and self.image in self.no_content:
            raise ValueError(
                f"`image` must be content, but {self.image!r} is also named as "
                "`ignore`, `group` or `time`; name it once"
            )
        if self.train_split == self.eval_split:
            raise ValueError(
                "`train_split` and `eval_split` must differ, but both are "
                f"{self.train_split!r}; rename one"
            )
        return self
