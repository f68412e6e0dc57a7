# SPDX-License-Identifier: Apache-2.0
"""What the leakage validator looks for, and what it lets pass."""

from typing import Annotated

import pydantic

from components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)]


class LeakageConfig(Settings):
    """The limits of the leakage validator; the defaults suit most problems."""

    ignore: tuple[Annotated[str, pydantic.Field(min_length=1)], ...] = ()
    """Features that are no content, such as ids, paths and time stamps: two
    examples that differ in nothing else are duplicates. Their values name the
    rows in the evidence. None by default: a duplicate with an id of its own is
    missed until the id is named here."""
    reference_split: Annotated[str, pydantic.Field(min_length=1)] = "train"
    """The split that the model learns from; each other split is held against it."""
    max_duplicate_share: Share = 0.0
    """Largest allowed share of a split's examples whose content also stands in the
    reference split. 0, any shared example blocks: CIFAR-10's 3.3 % move its test
    error by a tenth (Barz and Denzler, 2020), and deepchecks' 5 % would pass them."""
    max_conflict_share: Share | None = None
    """Largest allowed share of all examples whose content carries several labels;
    a greater one blocks. None, conflicts only warn: where few distinct rows are
    possible, equal rows with different outcomes are honest noise, not mistakes."""
    max_evidence: Annotated[int, pydantic.Field(ge=0, le=1000)] = 10
    """Groups listed per finding, the largest first; 0 lists none, for data that
    must not reach a report."""
