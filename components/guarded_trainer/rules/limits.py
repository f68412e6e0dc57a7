# SPDX-License-Identifier: Apache-2.0
"""The limits of the training rules, each with its reason and source."""

from components.settings import Settings


class RuleLimits(Settings):
    """Limits of the training rules."""
