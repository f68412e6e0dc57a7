# SPDX-License-Identifier: Apache-2.0
"""How pictures are varied while training."""

from components.settings import Settings


class AugmentationConfig(Settings):
    """How pictures are varied while training."""
