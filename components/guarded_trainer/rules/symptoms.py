# SPDX-License-Identifier: Apache-2.0
"""What a rule returns when it fires."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Sign:
    """What one rule saw; `Rule.look` makes a `Symptom` of it.

    Attributes:
      message: One sentence with the numbers.
      measured: The number found.
      limit: The number it was held against.
      unit: Unit of both.
      layer: Path of the layer, where it is about one.
      class_name: Name of the class, where it is about one.
      cause: Id of the cause, where it is not the rule's first.
    """

    message: str
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    layer: str | None = None
    class_name: str | None = None
    cause: str | None = None


@dataclasses.dataclass(frozen=True)
class Symptom:
    """A rule that fired, as of the last epoch it was shown.

    A symptom is no verdict: many a healthy training shows one. What is made of it
    depends on the outcome of the training.

    Attributes:
      rule: Name of the rule, such as `VanishingGradient`.
      cause: Id of the cause in the catalogue that it points to.
      epoch: Index (from 0) of the epoch that showed it; -1 before the first step.
      message: One sentence with the numbers.
      measured: The number found.
      limit: The number it was held against.
      unit: Unit of both.
      layer: Path of the layer, where it is about one.
      class_name: Name of the class, where it is about one.
    """

    rule: str
    cause: str
    epoch: int
    message: str
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    layer: str | None = None
    class_name: str | None = None
