# SPDX-License-Identifier: Apache-2.0
"""Which remedies may be taken, how often, and for how long."""

from components.settings import Settings


class RemedyConfig(Settings):
    """Which remedies may be taken, how often, and for how long."""
