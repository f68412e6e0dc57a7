# SPDX-License-Identifier: Apache-2.0
"""A pretrained base, and how it is trained further."""

from typing import Any, Literal

import pydantic

from components.settings import Settings

IMAGENET, NO_WEIGHTS = "imagenet", "none"


class TransferConfig(Settings):
    """A pretrained base of `keras.applications`, and how it is trained further.

    The head is trained first, on the frozen base; then the stages of the base are
    unfrozen one after the other, from the top, at a lower rate, with BatchNorm kept
    in inference mode. A stage is the layers that work at one resolution. What
    fine-tuning makes is kept only if it is no worse on held-out rows.

    The model is given pixels in [0, 255]; the preprocessing of the base is inside.
    """

    backbone: str = pydantic.Field(min_length=1)
    """Name of a model of `keras.applications`, such as `Xception`."""
    weights: str = pydantic.Field(default=IMAGENET, min_length=1)
    """`imagenet` (downloaded by Keras, once); the path of a `.keras`, `.weights.h5` or
    `.h5` file of the same architecture, with or without its top; or `none`, which
    trains all layers from random weights in one phase, BatchNorm included."""
    options: dict[str, pydantic.JsonValue] = {}
    """Further arguments of the backbone, such as `{alpha: 0.25}` for `MobileNet`."""
    pooling: Literal["avg", "max"] = "avg"
    """How a feature map becomes one vector; `avg` is what nearly all backbones were
    pretrained with."""
    hidden_units: tuple[pydantic.PositiveInt, ...] = ()
    """Units of ReLU layers between the base and the last layer, from the bottom; none
    by default: few examples do not feed a large head."""
    dropout: float = pydantic.Field(default=0.2, ge=0, lt=1)
    """Share of its inputs that the last layer, and each hidden one, does not see in a
    step; 0.2 is what Keras' guide to transfer learning takes."""
    unfreeze: int | Literal["all"] = 2
    """Stages of the base that fine-tuning unfreezes, from the top; 0 is feature
    extraction alone. The layers near the input transfer best (Yosinski et al. 2014,
    arXiv:1411.1792), so most of a base is better left alone where data are few."""
    fine_tuning_rate: float | None = pydantic.Field(
        default=None, gt=0, allow_inf_nan=False
    )
    """Learning rate of fine-tuning; by default a tenth of `training.learning_rate`,
    which the head is trained with: a rate that suits random weights destroys trained
    ones."""
    head_epochs: int | None = pydantic.Field(default=None, ge=1)
    """Most epochs for the head; `training.epochs` by default. Each phase stops early by
    `training.patience`."""
    fine_tuning_epochs: int | None = pydantic.Field(default=None, ge=1)
    """Most epochs for each stage that is unfrozen; `training.epochs` by default."""
    cache_features: bool = True
    """Whether the frozen base runs only once over the data, and the head is trained on
    what it answered. Never so with augmentation, under which no two epochs agree."""
    max_distance: float = pydantic.Field(default=0.5, gt=0, allow_inf_nan=False)
    """Farthest that fine-tuning may move a layer of the base, as a share of the norm of
    its weights, before a loss of accuracy is put down to forgetting. Of 29
    settings on handwritten digits, sound rates moved the farthest layer by 0.002 to
    0.2, those that destroyed the base by 1.1 to 91, and some that did no harm by 0.65
    to 2.8, which is why both must be seen; two sets of random weights are 1.4 apart."""
    significance: float = pydantic.Field(default=0.01, gt=0, lt=1)
    """Largest p-value at which held-out accuracy counts as fallen (exact McNemar test,
    one-sided)."""
    roll_back: bool = True
    """Whether a base that forgot, or a fine-tuning that made the held-out loss worse,
    is rolled back to the frozen base's weights."""

    @pydantic.field_validator("unfreeze", mode="before")
    @classmethod
    def _counts_stages(cls, unfreeze: Any) -> Any:
        # Before the types are looked at: of a union, each would be said to be missed.
        counts = isinstance(unfreeze, int) and not isinstance(unfreeze, bool)
        if unfreeze != "all" and not (counts and unfreeze >= 0):
            raise ValueError("Input should be a number of stages from 0, or 'all'")
        return unfreeze

    @property
    def is_pretrained(self) -> bool:
        """Whether there is anything to transfer."""
        return self.weights != NO_WEIGHTS

    @property
    def weights_file(self) -> str | None:
        """The path of the file with the weights, None where there is none."""
        return None if self.weights in (IMAGENET, NO_WEIGHTS) else self.weights
