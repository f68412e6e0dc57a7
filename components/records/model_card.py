# SPDX-License-Identifier: Apache-2.0
"""What a model's copy for judging tells the evaluator about the model."""

import pydantic

from components.labels import LabelValue
from components.settings import Settings

MODEL_CARD_FILE = "assets.extra/guard_model.json"
"""Path of the card inside the SavedModel; `assets.extra` is where SavedModel lets
tools put files of their own."""
FORMAT_VERSION = 1
"""Version of the card; a newer one may mean something else by the same name."""


class ModelCard(Settings):
    """How a model must be asked, and how its answers are read."""

    format_version: int = pydantic.Field(default=FORMAT_VERSION, le=FORMAT_VERSION)
    label_key: str
    """Name of the label feature."""
    labels: tuple[LabelValue, ...]
    """Label values; output k of the model is the probability of `labels[k]`."""
    batch_size: int
    """Batch size of training: batch statistics mean something at this size."""
    batch_norm_layers: tuple[str, ...] = ()
    """Paths of the BatchNorm layers whose modes differ; empty if there are none."""
