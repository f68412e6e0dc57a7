# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of faults is."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
      name: What goes wrong, as a phrase.
      inject: Makes it go wrong.
      reason: Regular expression that the reason told must match.
      outcome: What happens, as a phrase, where the table of which the row is one does
        not say it all.
      measured: Whether the model is asked anew; else the numbers of the sound model
        are taken, which saves seconds where the fault lies elsewhere.
    """

    name: str
    inject: Callable[[Any], Any]
    reason: str = ""
    outcome: str = ""
    measured: bool = False

    @property
    def id(self) -> str:
        """The name as part of a test's name."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower()).strip("-")


def faults(*tables):
    """Runs a test with each fault of some tables."""
    return pytest.mark.parametrize(
        "fault",
        [pytest.param(fault, id=fault.id) for table in tables for fault in table],
    )
