# SPDX-License-Identifier: Apache-2.0
"""What the policy may decide: a change, or a stop."""

import dataclasses

from components.guarded_trainer.remedies.settings import Action

BACK = ("last", "earlier", "best", "start")
"""How far to roll back: to the last checkpoint, to one of an epoch before it, to one
not after the best epoch, or to the initial weights."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A remedy to be taken.

    Attributes:
      action: What is changed.
      cause: Id of the cause that it answers.
      rule: Name of the rule that noticed it.
      reason: What was noticed, in a clause.
      factor: What a rate is multiplied by.
      value: What something is set to.
      back: How far to roll back, one of `BACK`; None goes on from here.
    """

    action: Action
    cause: str
    rule: str
    reason: str
    factor: float | None = None
    value: float | None = None
    back: str | None = None


@dataclasses.dataclass(frozen=True)
class Stop:
    """A training that no remedy can save.

    Attributes:
      cause: Id of the cause.
      reason: Why, and what to change, in words.
    """

    cause: str
    reason: str
