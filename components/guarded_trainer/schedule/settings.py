# SPDX-License-Identifier: Apache-2.0
"""The learning rate over time, and the size of a step."""

from components.settings import Settings


class ScheduleConfig(Settings):
    """The learning rate over time, and the size of a step."""
