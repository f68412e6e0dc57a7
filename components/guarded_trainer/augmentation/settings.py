# SPDX-License-Identifier: Apache-2.0
"""How pictures are varied while training."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import pydantic

from components.settings import Settings


class Augmentation(Settings):
    """How far each picture is varied at most; 0 switches a change off.

    Each picture gets its own random change, uniform between none and the most in
    either direction.
    """

    shift: float = 0.0
    """Shift along either side, as share of the side."""
    zoom: float = 0.0
    """Enlargement or reduction, as share of the size."""
    rotation: float = 0.0
    """Rotation in degrees."""
    horizontal_flip: bool = False
    """Whether half of the pictures are mirrored, left to right."""
    vertical_flip: bool = False
    """Whether half of the pictures are turned upside down."""
    brightness: float = 0.0
    """Change of all values, as share of their range."""
    contrast: float = 0.0
    """Change of the distance from the picture's mean, as share of it."""
    saturation: float = 0.0
    """Change of the distance from grey, as share of it; pictures of three channels
    only."""
    jpeg: float = 0.0
    """Share of the pictures that are compressed as JPEG, at a quality of 60 to 100."""
    erasing: float = 0.0
    """Share of the pictures of which a rectangle is replaced by noise."""


PRESETS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "none": Augmentation(),
        "light": Augmentation(shift=0.05, zoom=0.1, brightness=0.1, contrast=0.1),
        "standard": Augmentation(
            shift=0.1,
            zoom=0.15,
            rotation=10.0,
            horizontal_flip=True,
            brightness=0.1,
            contrast=0.2,
        ),
        "strong": Augmentation(
            shift=0.1,
            zoom=0.25,
            rotation=15.0,
            horizontal_flip=True,
            brightness=0.2,
            contrast=0.4,
            saturation=0.4,
            jpeg=0.25,
            erasing=0.25,
        ),
    }
)
"""The presets. Sizes follow common use: shifts of a tenth of the side are the four
pixels of padding of CIFAR's standard crops (He et al. 2016, arXiv:1512.03385);
brightness, contrast and saturation of 0.4 are those of SimCLR's and torchvision's
colour jitter, of which brightness is halved, since here it adds rather than multiplies;
a quarter of pictures erased is timm's choice of the half of Zhong et al. (2017,
arXiv:1708.04896). JPEG, brightness and contrast are what pictures meet in use, and
what the evaluator's robustness check tries."""


class AugmentationConfig(Settings):
    """How pictures are varied while training: a preset, and exceptions from it.

    Only batches that weights are fitted to are varied, never held-out rows, the probe
    or the exported model. Numeric features are not: for these, put a `GaussianNoise`
    layer behind the normalisation inside the model, where the scale is known.
    """

    preset: Literal["none", "light", "standard", "strong"] = "none"
    """`light` shifts, zooms, and changes brightness and contrast a little, and does no
    harm to digits, text or faces; `standard` mirrors and rotates as well; `strong`
    adds erasing, colour and JPEG. None by default: which changes leave the class as it
    is, only the user knows."""
    horizontal_flip: bool | None = None
    """Whether half of the pictures are mirrored; by default the preset's."""
    vertical_flip: bool | None = None
    """Whether half of the pictures are turned upside down; by default not."""
    rotation: float | None = pydantic.Field(default=None, ge=0, le=180)
    """Most degrees of rotation; by default the preset's."""
    zoom: float | None = pydantic.Field(default=None, ge=0, lt=1)
    """Most enlargement or reduction, as share; by default the preset's."""
    shift: float | None = pydantic.Field(default=None, ge=0, lt=1)
    """Most shift, as share of the side; by default the preset's."""
    brightness: float | None = pydantic.Field(default=None, ge=0, le=1)
    """Most change of brightness, as share of the range; by default the preset's."""
    contrast: float | None = pydantic.Field(default=None, ge=0, lt=1)
    """Most change of contrast, as share; by default the preset's."""
    saturation: float | None = pydantic.Field(default=None, ge=0, le=1)
    """Most change of saturation, as share; by default the preset's."""
    jpeg: float | None = pydantic.Field(default=None, ge=0, le=1)
    """Share of pictures that are compressed; by default the preset's."""
    erasing: float | None = pydantic.Field(default=None, ge=0, le=1)
    """Share of pictures of which a part is erased; by default the preset's."""

    @property
    def chosen(self) -> Augmentation:
        """The preset with its exceptions."""
        exceptions = self.model_dump(exclude={"preset"}, exclude_none=True)
        return PRESETS[self.preset].model_copy(update=exceptions)
