# SPDX-License-Identifier: Apache-2.0
"""What is minimised: the answer to uneven classes, and the regularisation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import pydantic

from components.settings import Settings

LossKind = Literal["plain", "class_weights", "balanced_softmax", "focal"]
"""How a loss treats uneven classes."""


class Regularization(NamedTuple):
    """The parts of a preset."""

    label_smoothing: float
    weight_decay: float


REGULARIZATION: Mapping[str, Regularization] = MappingProxyType(
    {
        "none": Regularization(0.0, 0.0),
        "light": Regularization(0.05, 0.01),
        "strong": Regularization(0.1, 0.05),
    }
)
"""The presets. 0.1 is the label smoothing of Szegedy et al. (2016,
arXiv:1512.00567) and of about every training of pictures since; 0.01 the default of
PyTorch's AdamW, 0.05 what ConvNeXt (arXiv:2201.03545), Swin and DeiT are trained
with. All of them belong to rates near 0.001."""


class LossConfig(Settings):
    """What is minimised: the answer to uneven classes, and the regularisation.

    A model that the user has compiled keeps its loss and its optimizer: of all these
    settings, only class weights can be had with it.
    """

    kind: Literal["auto", "plain", "class_weights", "balanced_softmax", "focal"] = (
        "auto"
    )
    """How the loss treats uneven classes.

    - `plain`: cross-entropy; every example counts the same.
    - `class_weights`: cross-entropy times the weight of the class (Cui et al. 2019,
      arXiv:1901.05555), as ClassBalanceValidator computed them.
    - `balanced_softmax`: cross-entropy of logits to which the logarithm of the share
      of each class is added while training (Ren et al. 2020, arXiv:2007.10740; Menon
      et al. 2021, arXiv:2007.07314, with tau = 1). What the model answers are the
      probabilities for classes that are equally frequent.
    - `focal`: cross-entropy in which examples that are recognised already count less
      (Lin et al. 2017, arXiv:1708.02002).
    - `auto`: see `auto_ratio`."""
    auto_ratio: float = pydantic.Field(default=3.0, ge=1, allow_inf_nan=False)
    """With `auto`, the loss is plain unless the most frequent class has more than so
    many times the examples of the rarest. Beyond, it is `balanced_softmax` for a model
    that comes uncompiled, and `class_weights` for one that is compiled, where
    ClassBalanceValidator gave weights; `plain` where the data carry sample weights.

    By `benchmarks/uneven_classes.py` (six data sets, five seeds), the balanced softmax
    gains 7, 8 and 10 points of balanced accuracy at ratios of 10, 30 and 100, more
    than class weights (6, 5, 6), and costs 3, 7 and 4 points of the accuracy for
    classes as frequent as in training; where rare classes are learnt anyway, neither
    changes much. At ratios of 2 and 3 gain and cost are within 2 points. Focal loss
    helps nowhere. Published long tails agree (CIFAR-10 at 100: error 30.1 % plain,
    29.8 % weighted, 30.9 % focal, 23.6 % balanced softmax; Zhang et al. 2021)."""
    focal_gamma: float = pydantic.Field(default=2.0, ge=1, le=5)
    """Exponent of the focal loss; 2 is the best of those that Lin et al. tried (0 to
    5). Below 1 its gradient is infinite for an example that is recognised fully."""
    regularization: Literal["none", "light", "strong"] = "none"
    """Preset of label smoothing and weight decay, meant for pictures: `light` is 0.05
    and 0.01, `strong` 0.1 and 0.05. Dropout is a layer, and so the model's own."""
    label_smoothing: float | None = pydantic.Field(default=None, ge=0, lt=1)
    """Share of each label that is spread evenly over all classes; by default the
    preset's. The focal loss has none."""
    weight_decay: float | None = pydantic.Field(default=None, ge=0, allow_inf_nan=False)
    """Decoupled weight decay (AdamW: Loshchilov and Hutter 2019, arXiv:1711.05101),
    of kernels but not of biases and normalisation; by default the preset's. 0 is
    plain Adam."""

    @pydantic.model_validator(mode="after")
    def _focal_loss_is_not_smoothed(self) -> "LossConfig":
        if self.kind == "focal" and self.label_smoothing:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}, but the focal loss has "
                "none; leave it out, or choose another kind"
            )
        return self

    @property
    def smoothing(self) -> float:
        """Label smoothing, by the preset where it is not set."""
        if self.label_smoothing is not None:
            return self.label_smoothing
        return REGULARIZATION[self.regularization].label_smoothing

    @property
    def decay(self) -> float:
        """Weight decay, by the preset where it is not set."""
        if self.weight_decay is not None:
            return self.weight_decay
        return REGULARIZATION[self.regularization].weight_decay
