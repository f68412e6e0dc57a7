# SPDX-License-Identifier: Apache-2.0
"""Finds out by which features examples can be sliced, and into which slices.

Slices are for categories with few values, such as a site or a device. Another feature
that was asked for is left out with its reason, so that nobody takes it for judged.
"""

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from components.errors import InputError
from components.records.evaluation import UnjudgedSlice


class NotCategory(Exception):
    """A feature cannot be sliced by; the message is the reason, one sentence."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """What some examples tell about the features that are to be sliced by.

    Attributes:
      known: Names of all features.
      values: Values of each category, as text.
      reasons: Why the other features are no categories.
    """

    known: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)


def survey(
    known: Iterable[str], columns: Mapping[str, Collection[str | None] | NotCategory]
) -> Survey:
    """Surveys a batch.

    Args:
      known: Names of all features of the batch.
      columns: For each feature to slice by that the batch has, its values as text,
        None where there is none; or why it is no category.
    """
    return Survey(
        frozenset(known),
        {
            name: frozenset(value for value in values if value is not None)
            for name, values in columns.items()
            if not isinstance(values, NotCategory)
        },
        {
            name: str(values)
            for name, values in columns.items()
            if isinstance(values, NotCategory)
        },
    )


def merge(surveys: Iterable[Survey], max_values: int) -> Survey:
    """Merges surveys, in any order; of no surveys the empty one.

    Args:
      surveys: Of parts of the examples.
      max_values: Most values that a category may have; of one with more, no values
        are kept.
    """
    known: set[str] = set()
    values: dict[str, frozenset[str]] = {}
    reasons: dict[str, str] = {}
    for part in surveys:
        known |= part.known
        found = list(part.reasons.items())
        for name, some in part.values.items():
            values[name] = values.get(name, frozenset()) | some
            if len(values[name]) > max_values:
                values[name] = frozenset()
                found.append((name, too_many_values(max_values)))
        for name, reason in found:
            # The first by the alphabet, so that no sharding decides.
            reasons[name] = min(reason, reasons.get(name, reason))
    kept = {name: some for name, some in values.items() if name not in reasons}
    return Survey(frozenset(known), kept, reasons)


def unjudged(survey: Survey, features: Iterable[str]) -> tuple[UnjudgedSlice, ...]:
    """Returns the features that were asked for but cannot be sliced by.

    Raises:
      InputError: If no example has a feature of that name.
    """
    for name in features:
        if survey.known and name not in survey.known:
            raise unknown_feature(name, survey.known)
    return tuple(
        UnjudgedSlice(slice=name, reason=survey.reasons[name])
        for name in features
        if name in survey.reasons
    )


def unknown_feature(name: str, known: Collection[str]) -> InputError:
    """Makes the error of slicing by a feature that no example has."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "correct the name"
    return InputError(
        f"`slices`: expected features of the examples, but there is no {name!r} among "
        f"{', '.join(sorted(known)[:20])}; {hint}"
    )


def too_many_values(max_values: int) -> str:
    """Returns the reason why a feature with more values is no category."""
    return f"it has more than {max_values} values, so it is no category"


def text_of(values: list[Any] | None, feature: str) -> str | None:
    """Returns an example's value of a feature as text; None where it has none.

    Raises:
      NotCategory: If there are several values, or one is neither text nor integer.
    """
    if not values:
        return None
    if len(values) > 1:
        raise NotCategory(
            f"feature {feature!r} has {len(values)} values in one example, so it is no "
            "category"
        )
    value = values[0]
    if isinstance(value, float):
        raise NotCategory(
            f"feature {feature!r} holds fractions, which are no categories"
        )
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise NotCategory(
            f"feature {feature!r} holds bytes that are no text, so it is no category"
        ) from None
