# SPDX-License-Identifier: Apache-2.0
"""What the trainer is told: the inputs of the model, and how to train it."""

from typing import Literal

import pydantic

from components.guarded_trainer.augmentation.settings import AugmentationConfig
from components.guarded_trainer.device.settings import DeviceConfig
from components.guarded_trainer.losses.settings import LossConfig
from components.guarded_trainer.reading.settings import ReadingConfig
from components.guarded_trainer.remedies.settings import RemedyConfig
from components.guarded_trainer.rules.limits import RuleLimits
from components.guarded_trainer.schedule.settings import ScheduleConfig
from components.settings import Settings


class ImageInput(Settings):
    """A feature that holds encoded images (PNG, JPEG, BMP or GIF)."""

    feature: str = pydantic.Field(default="image", min_length=1)
    """Name of the feature; one encoded image per example."""
    height: int = pydantic.Field(gt=0)
    """Height the model gets, in pixels; other images are resized (bilinear)."""
    width: int = pydantic.Field(gt=0)
    """Width the model gets, in pixels."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for RGB; other images are converted."""


class InputConfig(Settings):
    """Which features of an example the model is given."""

    label_key: str = pydantic.Field(min_length=1)
    """Name of the label feature: integers or texts."""
    image: ImageInput | None = None
    """The image feature. The model is then given the pixels alone, float32 in
    [0, 255], shape (height, width, channels)."""
    features: tuple[str, ...] | None = None
    """Numeric features, in the order the model is given them, as one float32
    vector; by default all of the schema's features but the label and those to
    ignore, by name."""
    ignore: tuple[str, ...] = ()
    """Features that are neither inputs nor content, such as ids and paths."""


class TrainingConfig(Settings):
    """How the model is trained, and under which safeguards."""

    epochs: int = pydantic.Field(default=50, ge=1)
    """Most epochs to train; early stopping usually ends training before."""
    batch_size: int = pydantic.Field(default=32, ge=1)
    """Examples per step; 32 is Keras' own default."""
    learning_rate: float = pydantic.Field(default=1e-3, gt=0, allow_inf_nan=False)
    """Adam's learning rate (Kingma and Ba 2015 and Keras: 0.001); used only where
    `build_model` returns a model that is not compiled."""
    patience: int | None = pydantic.Field(default=8, ge=1)
    """Epochs without a better held-out loss before training stops; the weights of
    the best epoch are kept in any case. Keras' default of 0 stops at the first
    noise; 8 outlasts the plateaus of small data sets. None trains all epochs."""
    held_out_share: float = pydantic.Field(default=0.1, ge=0, lt=1)
    """Share of the training split that the weights are never fitted to: it decides
    when to stop and whether a repair helped, so that the evaluation split stays
    unseen. 0 holds nothing out."""
    min_held_out: int = pydantic.Field(default=20, ge=1)
    """Fewest rows worth holding out; if the share gives fewer, none is held out.
    With 20 rows the standard error of an accuracy is at most 0.11."""
    loss: LossConfig = LossConfig()
    """How uneven classes are answered in the loss."""
    schedule: ScheduleConfig = ScheduleConfig()
    """The learning rate over time, and the size of a step."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How pictures are varied while training."""
    reading: ReadingConfig = ReadingConfig()
    """How much memory and disk reading the training split may take."""
    device: DeviceConfig = DeviceConfig()
    """Device, precision and distribution."""
    rules: RuleLimits = RuleLimits()
    """What is looked for while training."""
    probe_examples: int = pydantic.Field(default=128, ge=0)
    """Training examples that the model is looked at with after each epoch; 0 switches
    the probe off, and with it all rules that need it."""
    remedies: RemedyConfig = RemedyConfig()
    """What may be done about a training that goes wrong."""
    checkpoint_dir: str | None = None
    """Folder for checkpoints, from which a killed training is taken up; by default one
    beside the component's artifacts. Removed when training has ended."""
    recalibrate_batch_norm: bool = True
    """Whether the moving statistics of BatchNorm layers are replaced by the
    training data's own after training (Wu and Johnson 2021, arXiv:2105.07576),
    where that does no harm on held-out rows. Where it is false, the remedies leave
    their momentum alone, too."""
    recalibration_examples: int = pydantic.Field(default=10_000, ge=1)
    """Most training examples the statistics are estimated from; the paper finds
    1,000 to 10,000 enough."""
    seed: int = pydantic.Field(default=0, ge=0, lt=2**32)
    """Seed of initial weights, shuffling and dropout; NumPy takes no other."""
    hyperparameters: dict[str, pydantic.JsonValue] = {}
    """Handed to `build_model` as `context.hyperparameters`; JSON values only."""
