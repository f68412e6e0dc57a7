# SPDX-License-Identifier: Apache-2.0
"""Decides what goes where: by the hash of a content or group, or by time.

A unit (a content, or a group) has a place in [0, 2^64), the hash of its 16 bytes. Up
to a share of that range it goes to evaluation. That alone keeps equal examples together
and old rows where they were when new ones come, but gives a class of few units too many
or too few of them, or none. So of each class the units nearest to the border are moved
across it until the share is met. As only those are kept that stand near the border, a
class of any size takes the same little memory.
"""

import dataclasses
import hashlib
import heapq
from collections.abc import Iterable, Sequence

UNIT_SIZE = 16
"""Bytes of a unit: a digest."""
MAX_MOVES = 64
"""Units of one class that are moved at most. The number below the border has standard
deviation sqrt(n s (1 - s)) for n units and the share s, so up to 1,000 units (s = 0.2)
the share is met but for 5 standard deviations. Of 100,000 units, whose number for
evaluation varies by 126, or 0.6 % of it, the 64 only lessen what is left."""
_RANGE = 2**64


def place_of(unit: bytes, salt: str) -> int:
    """Returns the place of a unit in [0, 2^64), uniform by its hash (BLAKE2b)."""
    digest = hashlib.blake2b(salt.encode() + unit, digest_size=8).digest()
    return int.from_bytes(digest, "big")


def border_of(share: float) -> int:
    """Returns the place below which units go to evaluation."""
    return int(share * _RANGE)


def units_for_eval(num_units: int, share: float) -> int:
    """Returns how many units of a class are to go to evaluation.

    Returns:
      The share, rounded; of two units or more at least 1 and not all of them. A single
      unit stays in training: a class that is only judged has never been learnt.
    """
    if num_units < 2:
        return 0
    return min(max(int(num_units * share + 0.5), 1), num_units - 1)


@dataclasses.dataclass
class NearestUnits:
    """The units of one class: how many there are, and those nearest to the border.

    Attributes:
      num_units: Units of the class.
      num_below: Units below the border.
      below: (place, unit) of those nearest to the border from below.
      above: (place, unit) of those nearest to it from above.
    """

    num_units: int = 0
    num_below: int = 0
    below: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    above: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)

    def add(self, place: int, unit: bytes, border: int) -> None:
        """Counts a unit; each unit may be added once only."""
        self.num_units += 1
        if place < border:
            self.num_below += 1
            self.below.append((place, unit))
        else:
            self.above.append((place, unit))
        if max(len(self.below), len(self.above)) > 2 * MAX_MOVES:
            self.cut()

    def merge(self, other: "NearestUnits") -> None:
        """Adds other units of the same class."""
        self.num_units += other.num_units
        self.num_below += other.num_below
        self.below += other.below
        self.above += other.above
        self.cut()

    def cut(self) -> None:
        """Keeps `MAX_MOVES` units on either side."""
        self.below = heapq.nlargest(MAX_MOVES, self.below)
        self.above = heapq.nsmallest(MAX_MOVES, self.above)


@dataclasses.dataclass(frozen=True)
class ClassSplit:
    """How the units of one class are split.

    Attributes:
      label: Text of the label.
      num_units: Units of the class.
      num_eval: Those that go to evaluation.
      into_eval: Units above the border that go to evaluation all the same.
      into_train: Units below the border that do not.
    """

    label: str
    num_units: int
    num_eval: int
    into_eval: tuple[bytes, ...] = ()
    into_train: tuple[bytes, ...] = ()


def split_class(label: str, nearest: NearestUnits, share: float) -> ClassSplit:
    """Moves units across the border until the class has its share, if it can be."""
    nearest.cut()
    missing = units_for_eval(nearest.num_units, share) - nearest.num_below
    into_eval = tuple(unit for _, unit in nearest.above[: max(missing, 0)])
    into_train = tuple(unit for _, unit in nearest.below[: max(-missing, 0)])
    return ClassSplit(
        label,
        nearest.num_units,
        nearest.num_below + len(into_eval) - len(into_train),
        into_eval,
        into_train,
    )


@dataclasses.dataclass(frozen=True)
class UnitPlan:
    """Which units go to evaluation."""

    border: int
    salt: str
    into_eval: frozenset[bytes]
    into_train: frozenset[bytes]

    @classmethod
    def of(cls, classes: Iterable[ClassSplit], share: float, salt: str) -> "UnitPlan":
        """Joins the splits of all classes; each unit is of one class."""
        classes = tuple(classes)
        return cls(
            border_of(share),
            salt,
            frozenset(unit for each in classes for unit in each.into_eval),
            frozenset(unit for each in classes for unit in each.into_train),
        )

    def is_eval(self, unit: bytes) -> bool:
        """Whether a unit goes to evaluation."""
        if unit in self.into_eval:
            return True
        return place_of(unit, self.salt) < self.border and unit not in self.into_train


@dataclasses.dataclass(frozen=True)
class TimePlan:
    """Which times go to evaluation: all after the newest one to train on."""

    newest_train: int

    def is_eval(self, time: int) -> bool:
        """Whether a time, as its place in the order of time, goes to evaluation."""
        return time > self.newest_train


Plan = UnitPlan | TimePlan


def newest_for_train(times: Sequence[tuple[int, int]], share: float) -> int | None:
    """Returns the newest time to train on.

    Equal times are not torn apart, so the share is met as nearly as they allow; of two
    equally near ones, the smaller number for evaluation is taken.

    Args:
      times: (time, number of examples), each time once, in any order.
      share: Share of the examples to evaluate on.

    Returns:
      One of the times, not the newest; None if there are fewer than two.
    """
    ordered = sorted(times, reverse=True)
    wanted = share * sum(count for _, count in ordered)
    best, newer = None, 0
    for (_, count), (time, _) in zip(ordered, ordered[1:], strict=False):
        newer += count
        distance = abs(newer - wanted)
        if best is None or distance < best[0]:
            best = distance, time
    return best[1] if best else None
