# SPDX-License-Identifier: Apache-2.0
"""The loss of a model that comes without one, and the weights of the classes."""

from typing import Literal

from components.settings import Settings


class LossConfig(Settings):
    """How uneven classes are answered in the loss."""

    kind: Literal["auto", "plain", "class_weights", "balanced_softmax", "focal"] = (
        "auto"
    )
    """How the loss treats uneven classes."""
