# SPDX-License-Identifier: Apache-2.0
"""Which device, precision and distribution a training uses."""

from components.settings import Settings


class DeviceConfig(Settings):
    """Which device, precision and distribution a training uses."""
