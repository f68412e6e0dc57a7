# SPDX-License-Identifier: Apache-2.0
"""A pretrained base, and how it is trained further."""

from components.settings import Settings


class TransferConfig(Settings):
    """A pretrained base, and how it is trained further."""
